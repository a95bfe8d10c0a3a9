//! Counters: one set per class, one set of totals per generation, both per CPU.
//!
//! These layouts are frozen over all values of [`crate::ABI_VERSION`]: a daemon that takes over
//! another version's pins still reads their counts.

use core::ops::AddAssign;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Packets and bytes. Bytes are those of the whole buffer as the XDP hook saw it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, link-layer header included.
    pub bytes: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// What one CPU counted for one class. Map `CLASS_COUNTS`, indexed by class id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ClassCount {
    /// Packets and bytes whose source fell into the class.
    pub count: Count,
    /// When the last of them came, in nanoseconds of the coarse `CLOCK_MONOTONIC` (one tick of
    /// resolution); 0 when none did.
    pub last_hit: u64,
}

/// What became of a packet. Every packet has exactly one outcome, so totals are disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// Passed, and neither warned about nor on an allow list.
    Passed = 0,
    /// Dropped by a block rule, a ban or the zone's default.
    Dropped = 1,
    /// Passed with a warn.
    Warned = 2,
    /// Passed because an allow list holds the source.
    Allowed = 3,
    /// Not IP: passed.
    NonIp = 4,
    /// Not parseable up to the source address: the zone's `malformed` policy decided.
    Malformed = 5,
}

impl Outcome {
    /// Every outcome, in the order of [`Totals`].
    pub const ALL: [Self; 6] = [
        Self::Passed,
        Self::Dropped,
        Self::Warned,
        Self::Allowed,
        Self::NonIp,
        Self::Malformed,
    ];
}

/// What one CPU counted per [`Outcome`]. Map `TOTALS`, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Totals {
    /// Passed, and neither warned about nor on an allow list.
    pub passed: Count,
    /// Dropped by a block rule, a ban or the zone's default.
    pub dropped: Count,
    /// Passed with a warn.
    pub warned: Count,
    /// Passed because an allow list holds the source.
    pub allowed: Count,
    /// Not IP: passed.
    pub non_ip: Count,
    /// Not parseable up to the source address, whatever the policy did with it.
    pub malformed: Count,
}

impl Totals {
    /// The count that a packet with this outcome belongs to.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "as many counts as outcomes")]
    pub fn of_mut(&mut self, outcome: Outcome) -> &mut Count {
        // By its number: every packet comes by here, and a match is a chain of branches.
        let counts: &mut [Count; Outcome::ALL.len()] = zerocopy::transmute_mut!(self);
        &mut counts[outcome as usize]
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.dropped += other.dropped;
        self.warned += other.warned;
        self.allowed += other.allowed;
        self.non_ip += other.non_ip;
        self.malformed += other.malformed;
    }
}
