//! Bans: the value of an entry in the ban tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// When the bans on a prefix have all ended.
///
/// Maps `BANS_IPV4` and `BANS_IPV6`, keyed by prefix. Two halves, because the kernel aligns a trie's
/// value behind a 4-byte address to 4 bytes. An update replaces the whole entry, so no packet sees
/// halves of two deadlines.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BanDeadline {
    low: u32,
    high: u32,
}

/// The deadline of a ban that never ends.
pub const NEVER: u64 = u64::MAX;

impl BanDeadline {
    /// From nanoseconds of `CLOCK_BOOTTIME`; [`NEVER`] for no end.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub const fn new(deadline_ns: u64) -> Self {
        Self {
            low: deadline_ns as u32,
            high: (deadline_ns >> 32) as u32,
        }
    }

    /// In nanoseconds of `CLOCK_BOOTTIME`: from that instant on nothing is banned. [`NEVER`] for no
    /// end.
    #[inline]
    #[must_use]
    pub const fn ns(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }
}
