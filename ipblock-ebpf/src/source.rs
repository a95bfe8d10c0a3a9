//! The source address of a packet, of either family.
//!
//! Each family has its own type instead of one enum: each packet takes one path through the
//! program, which never branches on the family again. The traits of a source are defined where they
//! are implemented: `tables::Classified`, `bans::Bannable`, `essential::Spared`.

use ipblock_common::{ClassId, SourceKey};

use crate::maps;

/// A source address.
pub(crate) trait Source: Copy {
    /// The key of the data kept per source.
    fn key(self, class: ClassId) -> SourceKey;
}

/// As a number, first octet most significant.
#[derive(Clone, Copy)]
pub(crate) struct SourceV4(pub(crate) u32);

/// The two halves as numbers, first octet most significant.
#[derive(Clone, Copy)]
pub(crate) struct SourceV6 {
    pub(crate) upper: u64,
    pub(crate) lower: u64,
}

impl Source for SourceV4 {
    #[inline(always)]
    fn key(self, class: ClassId) -> SourceKey {
        SourceKey {
            generation: maps::generation(),
            class,
            family: 4,
            address: (u128::from(self.0) << 96).to_be_bytes(),
        }
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
    fn key(self, class: ClassId) -> SourceKey {
        SourceKey {
            generation: maps::generation(),
            class,
            family: 6,
            address: self.octets(),
        }
    }
}
