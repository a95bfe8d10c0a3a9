//! Sources: one address in one class of one generation, the key of everything kept per source.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ClassId;

/// Who hit what. Key of the maps `ALERT_WINDOWS` and `HITS`.
///
/// Class ids mean something within their generation alone, so its number is part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SourceKey {
    /// Number of the generation that judged.
    pub generation: u64,
    /// The class that the source fell into; [`crate::class::NO_CLASS`] for a ban.
    pub class: ClassId,
    /// 4 or 6, as in the IP header.
    pub family: u32,
    /// Network byte order; an IPv4 address takes the first 4 bytes, the others are zero.
    pub address: [u8; 16],
}

/// What a source did. Map `HITS`.
///
/// Beyond [`crate::limits::EXACT_HITS_PER_TICK`] hits in one tick of the coarse clock, a CPU counts
/// one hit in [`crate::limits::HIT_SAMPLE`], as so many, and only for a source that is in the map:
/// then these are estimates.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HitCount {
    /// Packets.
    pub packets: u64,
    /// Bytes, link-layer header included.
    pub bytes: u64,
    /// When the last of them came, in nanoseconds of the coarse `CLOCK_MONOTONIC`.
    pub last_hit: u64,
}

/// How many hits one CPU has seen in the current tick. Map `HIT_BUDGET`, per CPU, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HitBudget {
    /// The tick, as nanoseconds of the coarse `CLOCK_MONOTONIC`.
    pub tick: u64,
    /// Hits in it.
    pub hits: u64,
}
