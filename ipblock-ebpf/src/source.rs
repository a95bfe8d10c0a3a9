//! The source address of a packet, of either family: what is asked of it.
//!
//! A type for each family, and not one value that may be either: each packet takes one way through
//! the program, on which nothing is looked at twice.

use ipblock_common::{ClassId, SourceKey};

use crate::{bans, essential, frame::Frame, maps, tables};

/// A source address.
pub(crate) trait Source: Copy {
    /// The class of the longest entry that holds it, expiry not looked at.
    fn find_class(self) -> ClassId;

    /// Whether a ban covers it that has not ended.
    fn is_banned(self) -> bool;

    /// The key of what is kept for it.
    fn key(self, class: ClassId) -> SourceKey;

    /// Whether the zone's default spares its packet, whose IP header starts at `ip`.
    fn is_essential(frame: &Frame<'_>, ip: usize) -> bool;
}

/// As a number, the first octet on top.
#[derive(Clone, Copy)]
pub(crate) struct SourceV4(pub(crate) u32);

/// As the numbers of its halves, the first octet on top.
#[derive(Clone, Copy)]
pub(crate) struct SourceV6 {
    pub(crate) upper: u64,
    pub(crate) lower: u64,
}

impl Source for SourceV4 {
    #[inline(always)]
    fn find_class(self) -> ClassId {
        tables::find_v4(self)
    }

    #[inline(always)]
    fn is_banned(self) -> bool {
        bans::cover_v4(self)
    }

    #[inline(always)]
    fn key(self, class: ClassId) -> SourceKey {
        SourceKey {
            generation: maps::generation(),
            class,
            family: 4,
            address: (u128::from(self.0) << 96).to_be_bytes(),
        }
    }

    #[inline(always)]
    fn is_essential(frame: &Frame<'_>, ip: usize) -> bool {
        essential::is_essential_v4(frame, ip)
    }
}

impl SourceV6 {
    /// In network byte order.
    #[inline(always)]
    pub(crate) fn octets(self) -> [u8; 16] {
        (u128::from(self.upper) << 64 | u128::from(self.lower)).to_be_bytes()
    }
}

impl Source for SourceV6 {
    #[inline(always)]
    fn find_class(self) -> ClassId {
        tables::find_v6(self)
    }

    #[inline(always)]
    fn is_banned(self) -> bool {
        bans::cover_v6(self)
    }

    #[inline(always)]
    fn key(self, class: ClassId) -> SourceKey {
        SourceKey {
            generation: maps::generation(),
            class,
            family: 6,
            address: self.octets(),
        }
    }

    #[inline(always)]
    fn is_essential(frame: &Frame<'_>, ip: usize) -> bool {
        essential::is_essential_v6(frame, ip)
    }
}
