//! Sources for measurements: a pool of a million, and a program that puts the next one into the
//! frame and continues with the measured program.
//!
//! `BPF_PROG_TEST_RUN` runs one frame repeatedly, and does not restore what a program wrote into
//! it. The pool is one element of an array, read in order, so reading costs about a nanosecond and
//! leaves the caches to the measured program.

use std::{
    net::IpAddr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::Arc,
};

use anyhow::{Context as _, ensure};

use crate::bpf::{self, instruction, load_map, load_value};

/// Default number of sources in a pool: more than fit into any cache of a core.
pub const SOURCES: usize = 1 << 20;

const TAIL_CALL: i32 = 12;
const XDP_TX: i32 = 3;

/// Offsets in a frame without tags.
const IPV4_HEADER: usize = 14;
const IPV4_CHECKSUM: i16 = 24;
const IPV4_SOURCE: i16 = 26;
const IPV6_SOURCE: i16 = 22;

/// Addresses of one family, in the kernel.
pub struct SourcePool {
    map: OwnedFd,
    count: usize,
    is_ipv4: bool,
}

/// Measures a program with sources of a pool.
pub struct Front {
    program: OwnedFd,
    _pool: Arc<SourcePool>,
    _position: OwnedFd,
    _next: OwnedFd,
}

/// Sends frames with sources of a pool.
pub struct PoolSender {
    program: OwnedFd,
    _pool: Arc<SourcePool>,
    _position: OwnedFd,
}

impl SourcePool {
    /// Returns a pool of these sources, a power of two and of one family, for this frame. The
    /// program keeps the IPv4 checksum valid.
    pub fn new(frame: &[u8], sources: &[IpAddr]) -> anyhow::Result<Self> {
        let count = sources.len();
        ensure!(count.is_power_of_two(), "{count} sources");
        let is_ipv4 = sources.iter().all(IpAddr::is_ipv4);
        let mut bytes = Vec::with_capacity(sources.len() * 16);
        for source in sources {
            match source {
                IpAddr::V4(source) => {
                    bytes.extend(source.octets());
                    bytes.extend(checksum(frame, source.octets())?.to_be_bytes());
                    bytes.extend([0; 2]);
                }
                IpAddr::V6(source) => bytes.extend(source.octets()),
            }
        }
        let whole = count * if is_ipv4 { 8 } else { 16 };
        ensure!(bytes.len() == whole, "a pool of both families");
        let map = bpf::create_map(bpf::ARRAY, 4, whole, 1)?;
        bpf::update(map.as_fd(), &0_u32.to_ne_bytes(), &bytes)?;
        Ok(Self {
            map,
            count,
            is_ipv4,
        })
    }

    /// Returns instructions that put the next source into the frame and then do the rest, which
    /// finds the context in r6. A frame that is too short returns `XDP_ABORTED`.
    fn next_source(&self, position: BorrowedFd<'_>, rest: &[u64]) -> anyhow::Result<Vec<u64>> {
        let (end, shift) = if self.is_ipv4 {
            (i32::from(IPV4_SOURCE) + 4, 3)
        } else {
            (i32::from(IPV6_SOURCE) + 16, 4)
        };
        let mut body = Vec::from(load_value(7, position));
        body.extend([
            instruction(0x79, (8, 7), 0, 0), // r8 = position
            instruction(0xbf, (9, 8), 0, 0), // r9 = r8
            instruction(0x07, (9, 0), 0, 1), // r9 += 1
            instruction(0x7b, (7, 9), 0, 0), // position = r9
            instruction(0x57, (8, 0), 0, i32::try_from(self.count - 1)?), // r8 &= count - 1
            instruction(0x67, (8, 0), 0, shift), // r8 <<= shift
        ]);
        body.extend(load_value(7, self.map.as_fd()));
        body.push(instruction(0x0f, (7, 8), 0, 0)); // r7 += r8
        body.extend(if self.is_ipv4 {
            [
                instruction(0x61, (5, 7), 0, 0), // r5 = source
                instruction(0x63, (2, 5), IPV4_SOURCE, 0),
                instruction(0x69, (5, 7), 4, 0), // r5 = checksum
                instruction(0x6b, (2, 5), IPV4_CHECKSUM, 0),
            ]
        } else {
            [
                instruction(0x79, (5, 7), 0, 0), // r5 = first half
                instruction(0x7b, (2, 5), IPV6_SOURCE, 0),
                instruction(0x79, (5, 7), 8, 0), // r5 = second half
                instruction(0x7b, (2, 5), IPV6_SOURCE + 8, 0),
            ]
        });
        body.extend(rest);
        let mut program = vec![
            instruction(0xbf, (6, 1), 0, 0),   // r6 = context
            instruction(0x61, (2, 1), 0, 0),   // r2 = data
            instruction(0x61, (3, 1), 4, 0),   // r3 = data_end
            instruction(0xbf, (4, 2), 0, 0),   // r4 = r2
            instruction(0x07, (4, 0), 0, end), // r4 += end
            instruction(0x2d, (4, 3), i16::try_from(body.len())?, 0), // if r4 > r3 goto last
        ];
        program.extend(body);
        program.extend([
            instruction(0xb7, (0, 0), 0, 0), // last: r0 = XDP_ABORTED
            instruction(0x95, (0, 0), 0, 0),
        ]);
        Ok(program)
    }
}

impl Front {
    /// In front of an XDP program that takes fragments.
    pub fn new(measured: BorrowedFd<'_>, pool: &Arc<SourcePool>) -> anyhow::Result<Self> {
        let position = bpf::create_map(bpf::ARRAY, 4, 8, 1)?;
        let next = bpf::create_map(bpf::PROGRAMS, 4, 4, 1)?;
        let [map, rest] = load_map(2, next.as_fd());
        let program = bpf::load(&pool.next_source(
            position.as_fd(),
            &[
                instruction(0xbf, (1, 6), 0, 0), // r1 = context
                map,
                rest,
                instruction(0xb7, (3, 0), 0, 0), // r3 = 0
                instruction(0x85, (0, 0), 0, TAIL_CALL),
            ],
        )?)?;
        bpf::lead_to(next.as_fd(), measured)?;
        Ok(Self {
            program,
            _pool: Arc::clone(pool),
            _position: position,
            _next: next,
        })
    }

    /// Runs the frame `repeat` times, each with the next source; returns nanoseconds of this
    /// thread's CPU time per run.
    pub fn run(&self, frame: &[u8], repeat: u32, verdict: u32) -> anyhow::Result<f64> {
        let before = bpf::cpu_time()?;
        bpf::run(self.program.as_fd(), frame, repeat, verdict)?;
        Ok((bpf::cpu_time()? - before) / f64::from(repeat))
    }
}

impl PoolSender {
    /// A sender of this pool's sources.
    pub fn new(pool: &Arc<SourcePool>) -> anyhow::Result<Self> {
        let position = bpf::create_map(bpf::ARRAY, 4, 8, 1)?;
        let program = bpf::load(&pool.next_source(
            position.as_fd(),
            &[
                instruction(0xb7, (0, 0), 0, XDP_TX),
                instruction(0x95, (0, 0), 0, 0),
            ],
        )?)?;
        Ok(Self {
            program,
            _pool: Arc::clone(pool),
            _position: position,
        })
    }

    /// Sends `count` frames out of an interface of this thread's namespace.
    pub fn send(&self, frame: &[u8], interface: u32, count: u32) -> anyhow::Result<()> {
        bpf::run_live(self.program.as_fd(), frame, interface, count)
    }
}

/// The checksum of the frame's IPv4 header, without options, with another source.
fn checksum(frame: &[u8], source: [u8; 4]) -> anyhow::Result<u16> {
    let header: &[u8; 20] = frame
        .get(IPV4_HEADER..)
        .and_then(|packet| packet.first_chunk())
        .context("a frame without an IPv4 header")?;
    let mut header = *header;
    if let Some(checksum_and_source) = header.get_mut(10..16) {
        let [s, t, u, v] = source;
        checksum_and_source.copy_from_slice(&[0, 0, s, t, u, v]);
    }
    let (words, _) = header.as_chunks();
    let words = words.iter().copied().map(u16::from_be_bytes);
    let sum: u32 = words.map(u32::from).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    Ok(!u16::try_from((sum & 0xffff) + (sum >> 16))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Frame, Ipv4, Payload};

    #[test]
    fn the_checksum_is_that_of_a_frame_from_the_source() {
        for (from, to) in [("192.0.2.7", "203.0.113.250"), ("10.0.0.1", "0.0.0.0")] {
            let frame = |source| Frame::carrying(&Ipv4::from(source).with(Payload::udp(5000, 53)));
            let to_bytes: std::net::Ipv4Addr = to.parse().unwrap();
            let expected = &frame(to).bytes()[24..26].to_vec();
            let actual = checksum(frame(from).bytes(), to_bytes.octets()).unwrap();
            assert_eq!(actual.to_be_bytes().to_vec(), *expected);
        }
    }
}
