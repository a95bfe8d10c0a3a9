//! A loaded zone: the program with its own maps, and its expected counters so far.

use aya::{
    Ebpf, TestRun as _,
    maps::{MapData, PerCpuArray, PerCpuValues},
    programs::{ProgramError, TestRunOptions, Xdp, XdpMode, xdp::XdpLinkId},
};
use ipblock_common::{
    BanHits, ClassCount, ClassId, Outcome, Totals,
    ban::{BanHit, SHARED_SLOT, SLOTS_PER_BLOCK},
    class::NO_CLASS,
    names,
};
use ipblock_tests::{DEADLINE, End, packet::Frame, wait_for};
use nix::time::{ClockId, clock_gettime};

use crate::counters::Counters;

// include/uapi/linux/bpf.h, enum xdp_action
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// The expected fate of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) drop: bool,
    pub(crate) outcome: Outcome,
    /// The class that counts it.
    pub(crate) class: Option<ClassId>,
    /// The slot that counts it, if a ban drops it.
    pub(crate) slot: u32,
}

impl Expected {
    pub(crate) const PASSED: Self = Self::pass(Outcome::Passed);
    pub(crate) const NON_IP: Self = Self::pass(Outcome::NonIp);
    pub(crate) const MALFORMED_PASSED: Self = Self::pass(Outcome::Malformed);
    pub(crate) const DROPPED: Self = Self::drop(Outcome::Dropped);
    pub(crate) const MALFORMED_DROPPED: Self = Self::drop(Outcome::Malformed);

    /// Dropped by a ban, which has its own element of the class counters.
    pub(crate) const BANNED: Self = Self::DROPPED.class(NO_CLASS);

    /// And counted in this slot, if a ban drops it.
    pub(crate) const fn slot(mut self, slot: u32) -> Self {
        self.slot = slot;
        self
    }

    /// Passes, counted under `outcome`.
    pub(crate) const fn pass(outcome: Outcome) -> Self {
        Self {
            drop: false,
            outcome,
            class: None,
            slot: SHARED_SLOT,
        }
    }

    /// Is dropped, counted under `outcome`.
    pub(crate) const fn drop(outcome: Outcome) -> Self {
        Self {
            drop: true,
            outcome,
            class: None,
            slot: SHARED_SLOT,
        }
    }

    /// And counted for this class.
    pub(crate) const fn class(mut self, id: ClassId) -> Self {
        self.class = Some(id);
        self
    }
}

/// A program that was loaded with the maps of one [`Fixture`](crate::fixture::Fixture).
pub(crate) struct Zone {
    ebpf: Ebpf,
    expected: Counters,
}

impl Zone {
    /// Takes over a loaded program; `classes` is the size of its class map.
    pub(crate) fn new(ebpf: Ebpf, classes: usize) -> Self {
        Self {
            ebpf,
            expected: Counters::zero(classes),
        }
    }

    /// The loaded object.
    pub(crate) fn ebpf(&self) -> &Ebpf {
        &self.ebpf
    }

    /// The loaded object, to change what its maps hold.
    pub(crate) fn ebpf_mut(&mut self) -> &mut Ebpf {
        &mut self.ebpf
    }

    /// Runs a frame, and asserts its verdict and every counter of the zone.
    #[track_caller]
    pub(crate) fn expect(&mut self, frame: &Frame, expected: Expected) {
        self.expect_of("", frame, expected);
    }

    /// As [`Zone::expect`], with a description of the frame.
    #[track_caller]
    pub(crate) fn expect_of(&mut self, what: &str, frame: &Frame, expected: Expected) {
        self.check(what, frame, None, expected);
    }

    /// As [`Zone::expect_of`], with only the first `linear` bytes in the first buffer.
    #[track_caller]
    pub(crate) fn expect_split(&mut self, frame: &Frame, linear: usize, expected: Expected) {
        let what = format!("with {linear} bytes in the first buffer");
        self.check(&what, frame, Some(linear), expected);
    }

    /// As [`Zone::expect_of`], with only `linear` bytes in the first buffer, if given.
    #[track_caller]
    pub(crate) fn check(
        &mut self,
        what: &str,
        frame: &Frame,
        linear: Option<usize>,
        expected: Expected,
    ) {
        let before = coarse_now();
        let verdict = self
            .run(frame, linear)
            .unwrap_or_else(|error| panic!("{what} {frame:?}\ncannot be run: {error}"));
        let after = coarse_now();
        let actual = self.counters();

        let class = expected.class.map(|id| {
            let last_hit = actual.classes[id as usize].last_hit;
            assert!(
                (before..=after).contains(&last_hit),
                "{what} {frame:?}\nclass {id} was last hit at {last_hit}, \
                 not between {before} and {after}"
            );
            (id, last_hit)
        });
        self.expected
            .add(expected.outcome, class, frame.len() as u64);
        if let Some((NO_CLASS, last_hit)) = class {
            // The same reading of the clock.
            self.expected.add_banned(expected.slot, last_hit);
        }
        let expected_verdict = if expected.drop { XDP_DROP } else { XDP_PASS };
        let difference = self.expected.difference(&actual).unwrap_or_default();
        assert!(
            verdict == expected_verdict && difference.is_empty(),
            "{what} {frame:?}\nexpected {expected:?}\n\
             verdict: expected {expected_verdict}, actual {verdict} (1 drops, 2 passes)\n{difference}"
        );
    }

    /// Runs a frame once; with `linear`, only this number of bytes is in the first buffer and the
    /// rest in fragments, as with a driver that splits headers from data.
    pub(crate) fn run(&self, frame: &Frame, linear: Option<usize>) -> Result<u32, ProgramError> {
        let context = linear.map(|end| context(u32::try_from(end).unwrap()));
        let options = TestRunOptions {
            data_in: Some(frame.bytes()),
            ctx_in: context.as_ref().map(<[u8; 24]>::as_slice),
            ..TestRunOptions::default()
        };
        Ok(self.program().test_run(options)?.return_value)
    }

    /// Attaches the program to an interface, until this zone is dropped.
    pub(crate) fn attach(&mut self, end: &End, mode: XdpMode) -> XdpLinkId {
        let program: &mut Xdp = self
            .ebpf
            .program_mut(names::PROGRAM)
            .unwrap()
            .try_into()
            .unwrap();
        end.netns
            .enter(|| program.attach(&end.interface, mode))
            .unwrap()
    }

    /// Waits until every frame is counted as expected, and asserts the rest of the counters.
    #[track_caller]
    pub(crate) fn expect_counted(&mut self, frames: &[(&Frame, Expected)]) {
        for (frame, expected) in frames {
            // The time of the hit is unknown: frames came over the wire.
            let class = expected.class.map(|id| (id, 0));
            self.expected
                .add(expected.outcome, class, frame.len() as u64);
            if let Some((NO_CLASS, last_hit)) = class {
                self.expected.add_banned(expected.slot, last_hit);
            }
        }
        let counted = |counters: &Counters| -> u64 {
            let totals = counters.totals.iter();
            totals.map(|(_, count)| count.packets).sum()
        };
        let wanted = counted(&self.expected);
        wait_for(DEADLINE, "all frames to be counted", || {
            (counted(&self.counters()) >= wanted).then_some(())
        })
        .unwrap();
        let mut actual = self.counters();
        for class in &mut actual.classes {
            class.last_hit = 0;
        }
        for hit in &mut actual.bans {
            hit.last_hit = 0;
        }
        let difference = self.expected.difference(&actual).unwrap_or_default();
        assert!(difference.is_empty(), "{difference}");
    }

    /// Every counter, summed over CPUs; the last hit is the latest.
    pub(crate) fn counters(&self) -> Counters {
        let totals: PerCpuArray<_, Totals> = self.map(names::TOTALS);
        let classes: PerCpuArray<_, ClassCount> = self.map(names::CLASS_COUNTS);
        Counters {
            totals: totals
                .get(&0, 0)
                .unwrap()
                .iter()
                .fold(Totals::default(), |mut sum, of_cpu| {
                    sum += *of_cpu;
                    sum
                }),
            classes: classes.iter().map(|values| sum(&values.unwrap())).collect(),
            bans: ban_hits(&self.map(names::BAN_HITS)),
        }
    }

    /// The program.
    pub(crate) fn program(&self) -> &Xdp {
        self.ebpf
            .program(names::PROGRAM)
            .unwrap()
            .try_into()
            .unwrap()
    }

    /// One of its maps.
    pub(crate) fn map<'a, T: TryFrom<&'a aya::maps::Map, Error = aya::maps::MapError>>(
        &'a self,
        name: &str,
    ) -> T {
        self.ebpf.map(name).unwrap().try_into().unwrap()
    }
}

/// `struct xdp_md`: data, `data_end`, `data_meta`, ingress interface, receive queue, egress interface.
fn context(data_end: u32) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[4..8].copy_from_slice(&data_end.to_ne_bytes());
    bytes
}

fn ban_hits(map: &PerCpuArray<&MapData, BanHits>) -> Vec<BanHit> {
    let mut hits = vec![BanHit::default(); SLOTS_PER_BLOCK as usize];
    for cpu in map.get(&0, 0).unwrap().iter() {
        for (slot, sum) in (0..).zip(&mut hits) {
            let hit = cpu.slot(slot);
            sum.packets += hit.packets;
            sum.last_hit = sum.last_hit.max(hit.last_hit);
        }
    }
    hits
}

fn sum(values: &PerCpuValues<ClassCount>) -> ClassCount {
    values
        .iter()
        .fold(ClassCount::default(), |mut sum, of_cpu| {
            sum.count += of_cpu.count;
            sum.last_hit = sum.last_hit.max(of_cpu.last_hit);
            sum
        })
}

/// The clock that the program stamps hits with, in nanoseconds.
pub(crate) fn coarse_now() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC_COARSE)
}

/// The time of a clock, in nanoseconds.
pub(crate) fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock).unwrap();
    u64::try_from(now.tv_sec()).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec()).unwrap()
}
