//! A program in front of the one that is measured: it gives every run another source.
//!
//! `BPF_PROG_TEST_RUN` runs one frame over and over, and does not restore what a program wrote into
//! it. So an address is counted up in the frame, and a tail call leads on.

use std::{
    io,
    mem::size_of_val,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, ensure};
use nix::time::{ClockId, clock_gettime};

// Commands, types and flags of include/uapi/linux/bpf.h.
const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_TEST_RUN: libc::c_int = 10;
const BPF_MAP_TYPE_PROG_ARRAY: u32 = 3;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const BPF_PSEUDO_MAP_FD: u8 = 1;
const TAIL_CALL: i32 = 12;

/// Offset of the source in a frame without tags.
const SOURCE_AT: i16 = 26;
/// The sources are 10.0.0.0 and those that follow it.
pub const FIRST_SOURCE: u32 = 0x0a00_0000;

/// Whose packets are judged, and what runs them.
pub struct Runner {
    program: OwnedFd,
    _next: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct MapAttributes {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct ElementAttributes {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
#[derive(Default)]
struct RunAttributes {
    program: u32,
    result: u32,
    size_in: u32,
    size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
}

/// Calls bpf(2).
fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<libc::c_int> {
    let size = size_of_val(attributes);
    // SAFETY: the kernel reads and writes `size` bytes of the attributes; what they point at is
    // vouched for by the callers below.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

fn own(fd: libc::c_int) -> OwnedFd {
    // SAFETY: called with the descriptor that a successful bpf(2) has just returned to us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn raw(fd: &OwnedFd) -> anyhow::Result<u32> {
    Ok(fd.as_raw_fd().try_into()?)
}

/// One instruction: operation, target and source register, offset and constant.
fn instruction(code: u8, registers: (u8, u8), offset: i16, constant: i32) -> u64 {
    let [o0, o1] = offset.to_le_bytes();
    let [c0, c1, c2, c3] = constant.to_le_bytes();
    let (target, source) = registers;
    u64::from_ne_bytes([code, target | source << 4, o0, o1, c0, c1, c2, c3])
}

fn load(instructions: &[u64]) -> anyhow::Result<OwnedFd> {
    let mut attributes = LoadAttributes {
        kind: BPF_PROG_TYPE_XDP,
        count: instructions.len().try_into()?,
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: c"GPL".as_ptr().expose_provenance() as u64,
        flags: BPF_F_XDP_HAS_FRAGS,
        attach_type: BPF_XDP,
        ..LoadAttributes::default()
    };
    let loaded = bpf(BPF_PROG_LOAD, &mut attributes);
    loaded.map(own).context("load the program in front")
}

/// A program that drops everything: what is left is the cost of measuring.
pub fn nothing() -> anyhow::Result<OwnedFd> {
    load(&[
        instruction(0xb7, (0, 0), 0, 1),
        instruction(0x95, (0, 0), 0, 0),
    ])
}

impl Runner {
    /// Runs `measured`, an XDP program that takes fragments, for so many sources, one after another.
    pub fn new(measured: BorrowedFd<'_>, sources: u32) -> anyhow::Result<Self> {
        let mut attributes = MapAttributes {
            kind: BPF_MAP_TYPE_PROG_ARRAY,
            key: 4,
            value: 4,
            entries: 1,
            flags: 0,
        };
        let next =
            own(bpf(BPF_MAP_CREATE, &mut attributes).context("map of the program in front")?);
        let first = i32::try_from(FIRST_SOURCE)?;
        let end = first + i32::try_from(sources)?;
        let program = load(&[
            instruction(0xbf, (6, 1), 0, 0),         // r6 = context
            instruction(0x61, (2, 1), 0, 0),         // r2 = data
            instruction(0x61, (3, 1), 4, 0),         // r3 = data_end
            instruction(0xbf, (4, 2), 0, 0),         // r4 = r2
            instruction(0x07, (4, 0), 0, 34),        // r4 += 34
            instruction(0x2d, (4, 3), 12, 0),        // if r4 > r3 goto end
            instruction(0x61, (5, 2), SOURCE_AT, 0), // r5 = source
            instruction(0xdc, (5, 0), 0, 32),        // r5 = be32 r5
            instruction(0x07, (5, 0), 0, 1),         // r5 += 1
            instruction(0x55, (5, 0), 1, end),       // if r5 == end
            instruction(0xb7, (5, 0), 0, first),     //     r5 = first
            instruction(0xdc, (5, 0), 0, 32),        // r5 = be32 r5
            instruction(0x63, (2, 5), SOURCE_AT, 0), // source = r5
            instruction(0xbf, (1, 6), 0, 0),         // r1 = context
            instruction(0x18, (2, BPF_PSEUDO_MAP_FD), 0, next.as_raw_fd()),
            0,
            instruction(0xb7, (3, 0), 0, 0), // r3 = 0
            instruction(0x85, (0, 0), 0, TAIL_CALL),
            instruction(0xb7, (0, 0), 0, 0), // end: r0 = XDP_ABORTED
            instruction(0x95, (0, 0), 0, 0),
        ])?;
        let (index, descriptor) = (0_u32, u32::try_from(measured.as_raw_fd())?);
        let mut attributes = ElementAttributes {
            map: raw(&next)?,
            key: (&raw const index).expose_provenance() as u64,
            value: (&raw const descriptor).expose_provenance() as u64,
            ..ElementAttributes::default()
        };
        bpf(BPF_MAP_UPDATE_ELEM, &mut attributes).context("tail call to the measured program")?;
        Ok(Self {
            program,
            _next: next,
        })
    }

    /// Runs the frame so many times; nanoseconds of this thread's CPU time for each.
    pub fn run(&self, frame: &[u8], repeat: u32, verdict: u32) -> anyhow::Result<f64> {
        let mut attributes = RunAttributes {
            program: raw(&self.program)?,
            size_in: frame.len().try_into()?,
            data_in: frame.as_ptr().expose_provenance() as u64,
            repeat,
            ..RunAttributes::default()
        };
        let before = cpu_time()?;
        bpf(BPF_PROG_TEST_RUN, &mut attributes).context("run")?;
        let time = cpu_time()? - before;
        let actual = attributes.result;
        ensure!(
            actual == verdict,
            "the verdict is {actual} and not {verdict}"
        );
        Ok(time / f64::from(repeat))
    }
}

/// What this thread has used so far, in nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "differences of seconds, in double precision"
)]
fn cpu_time() -> anyhow::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
}
