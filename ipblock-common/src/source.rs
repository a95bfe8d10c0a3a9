//! Sources: an address in a class of a generation. It is the key of all data kept per source.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::ClassId;

/// A source and what it hit. Key of the maps `ALERT_WINDOWS` and `HITS`.
///
/// A class id has a meaning only within its generation, so the key includes the generation's
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SourceKey {
    /// Number of the generation that judged the packet.
    pub generation: u64,
    /// The class of the source; [`crate::class::NO_CLASS`] for a ban.
    pub class: ClassId,
    /// 4 or 6, as in the IP header.
    pub family: u32,
    /// Network byte order. An IPv4 address takes the first 4 bytes; the others are zero.
    pub address: [u8; 16],
}

/// The hits of a source. Map `HITS`.
///
/// A CPU counts the first [`crate::limits::EXACT_HITS_PER_TICK`] hits in a tick of the coarse clock
/// exactly. After these it samples one hit in [`crate::limits::HIT_SAMPLE`], which counts with that
/// factor, and only for a source that is in the map already. Then the numbers are estimates.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HitCount {
    /// Packets.
    pub packets: u64,
    /// Bytes, link-layer header included.
    pub bytes: u64,
    /// Time of the last hit, in nanoseconds of the coarse `CLOCK_MONOTONIC`.
    pub last_hit: u64,
}

/// The hits that one CPU has seen in the current tick. Map `HIT_BUDGET`, per CPU, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HitBudget {
    /// Start of the tick, in nanoseconds of the coarse `CLOCK_MONOTONIC`.
    pub tick: u64,
    /// Hits in the tick.
    pub hits: u64,
}
