//! A program in front of the measured one, which gives every run another source.
//!
//! `BPF_PROG_TEST_RUN` runs one frame repeatedly, and does not restore what a program wrote into
//! it. So this program increments an address in the frame, and continues with a tail call.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::bpf::{self, instruction, load_map};

const TAIL_CALL: i32 = 12;

/// Offset of the source in a frame without tags.
const SOURCE_AT: i16 = 26;
/// The sources are 10.0.0.0 and those that follow it.
pub const FIRST_SOURCE: u32 = 0x0a00_0000;

/// The sources of the packets, and their runner.
pub struct Runner {
    program: OwnedFd,
    _next: OwnedFd,
}

/// A program that drops everything, to measure the overhead.
pub fn nothing() -> anyhow::Result<OwnedFd> {
    bpf::always(1)
}

impl Runner {
    /// Runs `measured`, an XDP program that accepts fragments, for `sources` sources, one after
    /// another.
    pub fn new(measured: BorrowedFd<'_>, sources: u32) -> anyhow::Result<Self> {
        let next = bpf::create_map(bpf::PROGRAMS, 4, 4, 1)?;
        let first = i32::try_from(FIRST_SOURCE)?;
        let end = first + i32::try_from(sources)?;
        let [map, rest] = load_map(2, next.as_fd());
        let program = bpf::load(&[
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
            map,
            rest,
            instruction(0xb7, (3, 0), 0, 0), // r3 = 0
            instruction(0x85, (0, 0), 0, TAIL_CALL),
            instruction(0xb7, (0, 0), 0, 0), // end: r0 = XDP_ABORTED
            instruction(0x95, (0, 0), 0, 0),
        ])?;
        bpf::lead_to(next.as_fd(), measured)?;
        Ok(Self {
            program,
            _next: next,
        })
    }

    /// Runs the frame `repeat` times; returns nanoseconds of this thread's CPU time per run.
    pub fn run(&self, frame: &[u8], repeat: u32, verdict: u32) -> anyhow::Result<f64> {
        let before = bpf::cpu_time()?;
        bpf::run(self.program.as_fd(), frame, repeat, verdict)?;
        Ok((bpf::cpu_time()? - before) / f64::from(repeat))
    }
}
