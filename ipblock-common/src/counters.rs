//! Counters: one set per class, one set of totals per generation, both per CPU.
//!
//! These layouts are frozen over all values of [`crate::ABI_VERSION`]: a daemon that takes over
//! another version's pins still reads their counts.

use core::ops::{AddAssign, Index, IndexMut};

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

    /// The word for it in JSON, in metrics and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Warned => "warned",
            Self::Allowed => "allowed",
            Self::NonIp => "non_ip",
            Self::Malformed => "malformed",
        }
    }
}

/// What one CPU counted per [`Outcome`]. Map `TOTALS`, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Totals([Count; Outcome::ALL.len()]);

impl Totals {
    /// Every outcome with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, Count)> {
        Outcome::ALL.into_iter().zip(self.0)
    }
}

#[expect(clippy::indexing_slicing, reason = "as many counts as outcomes")]
impl Index<Outcome> for Totals {
    type Output = Count;

    #[inline]
    fn index(&self, outcome: Outcome) -> &Count {
        &self.0[outcome as usize]
    }
}

#[expect(clippy::indexing_slicing, reason = "as many counts as outcomes")]
impl IndexMut<Outcome> for Totals {
    #[inline]
    fn index_mut(&mut self, outcome: Outcome) -> &mut Count {
        // By its number: every packet comes by here, and a match is a chain of branches.
        &mut self.0[outcome as usize]
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }
}
