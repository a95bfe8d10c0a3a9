//! Counters: one set per class, one set of totals per generation, both per CPU.
//!
//! These layouts are frozen over all values of [`crate::ABI_VERSION`]: a daemon that takes over
//! pins of another version still reads their counts.

use core::ops::{AddAssign, Index, IndexMut};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Packets and bytes. The bytes are those of the whole buffer at the XDP hook.
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
    /// Packets and bytes of the sources in the class.
    pub count: Count,
    /// Time of the last hit, in nanoseconds of the coarse `CLOCK_MONOTONIC` (resolution: one tick);
    /// 0 if there was none.
    pub last_hit: u64,
}

/// The outcome of a packet. Every packet has exactly one, so totals are disjoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Outcome {
    /// Passed without a warning, and not on an allow list.
    Passed = 0,
    /// Dropped by a block rule, a ban or the zone's default.
    Dropped = 1,
    /// Passed with a warning.
    Warned = 2,
    /// Passed because the source is on an allow list.
    Allowed = 3,
    /// Not IP: passed.
    NonIp = 4,
    /// The source address could not be read: the zone's `malformed` policy decided.
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

    /// The outcome's name in JSON, in metrics and in the store.
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
        // Indexed by number: every packet runs this, and a match would be a chain of branches.
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
