//! bpf(2) for programs of a few instructions, which run in front of a measured program or next to
//! it.

use std::{
    ffi::CString,
    io,
    mem::size_of_val,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, ensure};
use nix::time::{ClockId, clock_gettime};

// Commands, types and flags of include/uapi/linux/bpf.h and if_link.h.
const BPF_MAP_CREATE: libc::c_int = 0;
const BPF_MAP_LOOKUP_ELEM: libc::c_int = 1;
const BPF_MAP_UPDATE_ELEM: libc::c_int = 2;
const BPF_MAP_GET_NEXT_KEY: libc::c_int = 4;
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_PROG_TEST_RUN: libc::c_int = 10;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_MAP_FREEZE: libc::c_int = 22;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const BPF_PSEUDO_MAP_FD: u8 = 1;
const BPF_PSEUDO_MAP_VALUE: u8 = 2;

/// Frames that the kernel creates and passes on at once in a run of live frames: the maximum of
/// NAPI.
const LIVE_BATCH: u32 = 64;

/// `BPF_MAP_TYPE_HASH`.
pub const HASH: u32 = 1;
/// `BPF_MAP_TYPE_ARRAY`.
pub const ARRAY: u32 = 2;
/// `BPF_MAP_TYPE_PROG_ARRAY`.
pub const PROGRAMS: u32 = 3;

/// The head of the info of a map, a program or a link.
#[repr(C)]
#[derive(Debug, Default)]
pub struct ObjectInfo {
    /// Type, among objects of its sort.
    pub kind: u32,
    /// Id, among objects of its sort.
    pub id: u32,
    /// Of a map: size of keys, size of values, entries, flags. Of a link: first the program's id.
    pub words: [u32; 4],
}

/// Calls bpf(2) with attributes in the layout of the kernel's union (`union bpf_attr`); attributes
/// of 32 bits are in pairs ([`pair`]).
fn bpf(command: libc::c_int, attributes: &mut [u64]) -> io::Result<libc::c_int> {
    let size = size_of_val(attributes);
    // SAFETY: the kernel reads and writes `size` bytes of the attributes; what they point at is
    // vouched for by the callers below.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Two attributes that follow each other.
fn pair(first: u32, second: u32) -> u64 {
    let mut bytes = [0; 8];
    let (start, end) = bytes.split_at_mut(4);
    start.copy_from_slice(&first.to_ne_bytes());
    end.copy_from_slice(&second.to_ne_bytes());
    u64::from_ne_bytes(bytes)
}

fn own(fd: libc::c_int) -> OwnedFd {
    // SAFETY: called with a descriptor that a successful bpf(2) has just returned, and that has no
    // other owner.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn raw(fd: BorrowedFd<'_>) -> anyhow::Result<u32> {
    Ok(fd.as_raw_fd().try_into()?)
}

fn address<T>(bytes: &[T]) -> u64 {
    bytes.as_ptr().expose_provenance() as u64
}

/// Creates a map with keys and values of these sizes.
pub fn create_map(kind: u32, key: usize, value: usize, entries: usize) -> anyhow::Result<OwnedFd> {
    // Type and size of keys; size of values and entries; flags.
    let mut attributes = [
        pair(kind, key.try_into()?),
        pair(value.try_into()?, entries.try_into()?),
        0,
    ];
    let created = bpf(BPF_MAP_CREATE, &mut attributes);
    created
        .map(own)
        .with_context(|| format!("create a map of type {kind} with {entries} entries"))
}

/// Sets one element; key and value must be as long as the map's.
pub fn update(map: BorrowedFd<'_>, key: &[u8], value: &[u8]) -> anyhow::Result<()> {
    let mut attributes = [pair(raw(map)?, 0), address(key), address(value), 0];
    bpf(BPF_MAP_UPDATE_ELEM, &mut attributes).context("set an element of a map")?;
    Ok(())
}

/// Returns the value of a key, of this size; `None` if there is no such key.
pub fn look_up(map: BorrowedFd<'_>, key: &[u8], size: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let mut value = vec![0_u8; size];
    let out = value.as_mut_ptr().expose_provenance() as u64;
    let mut attributes = [pair(raw(map)?, 0), address(key), out, 0];
    found(bpf(BPF_MAP_LOOKUP_ELEM, &mut attributes), value).context("look up an element of a map")
}

/// Returns the next key in a map, of this size; `None` after the last.
pub fn next_key(
    map: BorrowedFd<'_>,
    key: Option<&[u8]>,
    size: usize,
) -> anyhow::Result<Option<Vec<u8>>> {
    let mut next = vec![0_u8; size];
    let out = next.as_mut_ptr().expose_provenance() as u64;
    let mut attributes = [pair(raw(map)?, 0), key.map_or(0, address), out, 0];
    found(bpf(BPF_MAP_GET_NEXT_KEY, &mut attributes), next).context("walk over a map")
}

fn found<T>(result: io::Result<libc::c_int>, what: T) -> io::Result<Option<T>> {
    match result {
        Ok(_) => Ok(Some(what)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the kernel's information about an object.
pub fn object_info(object: BorrowedFd<'_>) -> anyhow::Result<ObjectInfo> {
    let mut info = ObjectInfo::default();
    let size = size_of_val(&info).try_into()?;
    let out = (&raw mut info).expose_provenance() as u64;
    let mut attributes = [pair(raw(object)?, size), out];
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes).context("ask for an object's info")?;
    Ok(info)
}

/// Sets the only element of an array of programs.
pub fn lead_to(programs: BorrowedFd<'_>, program: BorrowedFd<'_>) -> anyhow::Result<()> {
    let program = raw(program)?.to_ne_bytes();
    update(programs, &0_u32.to_ne_bytes(), &program).context("tail call to the measured program")
}

/// One instruction: operation, target and source register, offset and constant.
#[must_use]
pub fn instruction(code: u8, registers: (u8, u8), offset: i16, constant: i32) -> u64 {
    let [o0, o1] = offset.to_le_bytes();
    let [c0, c1, c2, c3] = constant.to_le_bytes();
    let (target, source) = registers;
    u64::from_ne_bytes([code, target | source << 4, o0, o1, c0, c1, c2, c3])
}

/// The two instructions that put a map into a register, for a helper.
#[must_use]
pub fn load_map(register: u8, map: BorrowedFd<'_>) -> [u64; 2] {
    let first = instruction(0x18, (register, BPF_PSEUDO_MAP_FD), 0, map.as_raw_fd());
    [first, 0]
}

/// The two instructions that put the address of an array's only element into a register.
#[must_use]
pub fn load_value(register: u8, array: BorrowedFd<'_>) -> [u64; 2] {
    let first = instruction(0x18, (register, BPF_PSEUDO_MAP_VALUE), 0, array.as_raw_fd());
    [first, 0]
}

/// Loads an XDP program that takes fragments.
pub fn load(instructions: &[u64]) -> anyhow::Result<OwnedFd> {
    let mut attributes = [
        pair(BPF_PROG_TYPE_XDP, instructions.len().try_into()?),
        address(instructions),
        c"GPL".as_ptr().expose_provenance() as u64,
        // No log: level and size, buffer.
        0,
        0,
        // Version of the kernel and flags, a name of 16 bytes, interface and type of attachment.
        pair(0, BPF_F_XDP_HAS_FRAGS),
        0,
        0,
        pair(0, BPF_XDP),
    ];
    let loaded = bpf(BPF_PROG_LOAD, &mut attributes);
    loaded.map(own).context("load a small program")
}

/// A program that returns this verdict and does nothing else.
pub fn always(verdict: i32) -> anyhow::Result<OwnedFd> {
    load(&[
        instruction(0xb7, (0, 0), 0, verdict),
        instruction(0x95, (0, 0), 0, 0),
    ])
}

/// Runs a program `repeat` times on the frame and requires this verdict of the last run. The next
/// run sees what it writes into the frame.
pub fn run(program: BorrowedFd<'_>, frame: &[u8], repeat: u32, verdict: u32) -> anyhow::Result<()> {
    let actual = test_run(program, frame, repeat, None, 0)?;
    ensure!(
        actual == verdict,
        "the verdict is {actual} and not {verdict}"
    );
    Ok(())
}

/// Returns the verdict of the last of `repeat` runs. Live frames arrive on `interface`, in batches.
fn test_run(
    program: BorrowedFd<'_>,
    frame: &[u8],
    repeat: u32,
    interface: Option<u32>,
    batch: u32,
) -> anyhow::Result<u32> {
    let size = frame.len().try_into()?;
    // `struct xdp_md`: the frame's start and end, its metadata and interface, queue and way out.
    let context = interface.map(|interface| [pair(0, size), pair(0, interface), 0]);
    let context = context.as_ref().map_or(&[][..], <[u64; 3]>::as_slice);
    let flags = interface.map_or(0, |_| BPF_F_TEST_XDP_LIVE_FRAMES);
    let at = if context.is_empty() {
        0
    } else {
        address(context)
    };
    let mut attributes = [
        // The result is written behind the program.
        pair(raw(program)?, 0),
        pair(size, 0),
        address(frame),
        0,
        // Times, and how long one took.
        pair(repeat, 0),
        // The context that goes in and comes out: sizes and places.
        pair(size_of_val(context).try_into()?, 0),
        at,
        0,
        // CPU; frames at once.
        pair(flags, 0),
        pair(batch, 0),
    ];
    bpf(BPF_PROG_TEST_RUN, &mut attributes).context("run a program")?;
    let [.., e, f, g, h] = attributes[0].to_ne_bytes();
    Ok(u32::from_ne_bytes([e, f, g, h]))
}

/// Runs a program on real frames, as if they had arrived on an interface of this thread's
/// namespace: with `XDP_TX` they leave through it.
pub fn run_live(
    program: BorrowedFd<'_>,
    frame: &[u8],
    interface: u32,
    repeat: u32,
) -> anyhow::Result<()> {
    test_run(program, frame, repeat, Some(interface), LIVE_BATCH)
        .map(drop)
        .context("send live frames")
}

/// Attaches an XDP program in native mode to an interface of this thread's namespace, for as long as
/// the link is held.
pub fn attach(program: BorrowedFd<'_>, interface: u32) -> anyhow::Result<OwnedFd> {
    let mut attributes = [
        pair(raw(program)?, interface),
        pair(BPF_XDP, XDP_FLAGS_DRV_MODE),
    ];
    let attached = bpf(BPF_LINK_CREATE, &mut attributes);
    attached.map(own).context("attach an XDP program")
}

/// Pins a map or a program.
pub fn pin(fd: BorrowedFd<'_>, path: &Path) -> anyhow::Result<()> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = [address(text.as_bytes_with_nul()), pair(raw(fd)?, 0)];
    bpf(BPF_OBJ_PIN, &mut attributes).with_context(|| format!("pin {}", path.display()))?;
    Ok(())
}

/// Opens what is pinned.
pub fn open_pin(path: &Path) -> anyhow::Result<OwnedFd> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = [address(text.as_bytes_with_nul()), 0];
    let opened = bpf(BPF_OBJ_GET, &mut attributes);
    opened
        .map(own)
        .with_context(|| format!("open {}", path.display()))
}

/// Makes the kernel reject further writes to a map from user space, permanently; programs can still
/// write.
pub fn freeze_map(map: impl AsFd) -> anyhow::Result<()> {
    let mut attributes = [pair(raw(map.as_fd())?, 0)];
    bpf(BPF_MAP_FREEZE, &mut attributes).context("freeze a map")?;
    Ok(())
}

/// What this thread has used so far, in nanoseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "differences of seconds, in double precision"
)]
pub fn cpu_time() -> anyhow::Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
}
