//! Bans: the value of an entry in the ban tables, their counters, and the filter in front of these
//! tables.
//!
//! The IPv4 filter has a bit for each /24 that a ban touches. The IPv6 filter has a bit for each
//! /32 that a ban of /19 to /63 touches, and for each /64 with a ban of /64 or longer. If the bits
//! of a source are clear, no ban covers it. User space sets a bit after it adds the entry, and
//! clears a bit only if no entry needs it.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::lookup::filter::Place;

/// Words in the filter of each family: 2^24 bits.
pub const FILTER_WORDS: u32 = 1 << 18;

/// Shortest IPv6 prefix in the filter. Shorter ones set [`BanGate::wide_v6`] instead of more than 8,192
/// bits.
pub const SHORTEST_NET_V6: u8 = 19;

/// The IPv6 filter has a bit for each prefix of this length that a banned net touches.
pub const NET_BITS_V6: u8 = 32;

/// Which tables and filters have to be read at all. Map `BAN_GATE`, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BanGate {
    /// 1 if there are IPv4 entries. If 0, filter and table are not read.
    pub v4: u32,
    /// 1 if there are IPv6 entries. If 0, filter and table are not read.
    pub v6: u32,
    /// 1 if an IPv6 entry is too wide for the filter. Then the table is always read.
    pub wide_v6: u32,
    /// Always 0.
    pub padding: u32,
}

/// Gate and filters, in the kernel or in user space. A read behind the end of a map returns `None`,
/// but no caller does that.
pub trait BanFilters {
    /// Which tables and filters have to be read at all.
    fn gate(&self) -> Option<BanGate>;
    /// A word of the IPv4 filter.
    fn filter_v4(&self, word: u32) -> Option<u64>;
    /// A word of the IPv6 filter.
    fn filter_v6(&self, word: u32) -> Option<u64>;
}

/// Whether a ban may cover an IPv4 source (first octet most significant). If so, the table has to
/// be read.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each packet comes by here")]
pub fn may_cover_v4(filters: &impl BanFilters, address: u32) -> bool {
    let place = place_of_24(address);
    filters.gate().is_some_and(|gate| gate.v4 != 0)
        && place.is_set(filters.filter_v4(place.word).as_ref())
}

/// Whether a ban may cover an IPv6 source, given the upper half of its address. If so, the table
/// has to be read.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each packet comes by here")]
pub fn may_cover_v6(filters: &impl BanFilters, upper: u64) -> bool {
    let Some(gate) = filters.gate() else {
        return false;
    };
    let (net, long) = (place_of_32(upper), place_of_64(upper));
    gate.v6 != 0
        && (gate.wide_v6 != 0
            || net.is_set(filters.filter_v6(net.word).as_ref())
            || long.is_set(filters.filter_v6(long.word).as_ref()))
}

/// The bit of the /24 with this address (first octet most significant).
#[inline]
#[must_use]
pub const fn place_of_24(address: u32) -> Place {
    Place::of_bit(address >> 8)
}

/// The bit of the /64 with this upper half of an address, for bans of /64 or longer.
#[inline]
#[must_use]
pub const fn place_of_64(upper: u64) -> Place {
    place_of(upper ^ upper >> 32)
}

/// The bit of the /32 with this upper half of an address, for bans of nets up to /63.
#[inline]
#[must_use]
pub const fn place_of_32(upper: u64) -> Place {
    place_of(!(upper >> 32))
}

/// The hash has no secret. A source that shares a bit with a ban costs one lookup in the table, no
/// more.
#[inline]
const fn place_of(number: u64) -> Place {
    /// 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    Place::of_bit((number.wrapping_mul(SPREAD) >> 40) as u32)
}

/// The value of an entry: when the last ban on the prefix ends, and where its packets are counted.
///
/// Maps `BANS_IPV4` and `BANS_IPV6`, keyed by prefix. The deadline has two halves because the kernel
/// aligns the value of a trie to 4 bytes after a 4-byte address. An update replaces the whole entry,
/// so no packet sees parts of two entries.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BanEntry {
    low: u32,
    high: u32,
    slot: u32,
}

/// The deadline of a ban that never ends.
pub const NEVER: u64 = u64::MAX;

/// The slot of all bans without a counter of their own.
pub const SHARED_SLOT: u32 = 0;

impl BanEntry {
    /// Converts from nanoseconds of `CLOCK_BOOTTIME` ([`NEVER`] if there is no end) and the number of
    /// a counter.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    pub const fn new(deadline_ns: u64, slot: u32) -> Self {
        Self {
            low: deadline_ns as u32,
            high: (deadline_ns >> 32) as u32,
            slot,
        }
    }

    /// The end in nanoseconds of `CLOCK_BOOTTIME`; [`NEVER`] if there is none. From that time on
    /// the prefix is not banned.
    #[inline]
    #[must_use]
    pub const fn deadline_ns(self) -> u64 {
        (self.high as u64) << 32 | self.low as u64
    }

    /// The number of the counter; [`SHARED_SLOT`] if the prefix has none of its own.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.slot
    }
}

/// What one CPU counted in one slot since the map was created.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BanHit {
    /// Packets that the bans of the slot dropped.
    pub packets: u64,
    /// Time of the last hit, in nanoseconds of the coarse `CLOCK_MONOTONIC`; 0 if there was none.
    pub last_hit: u64,
}

/// Where the count of a slot's present ban begins. Map `BAN_HIT_BASES`, indexed by slot.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BanBase {
    /// What the slot had counted for earlier bans.
    pub before: u64,
    /// What the ban had dropped before it got the slot: before a reboot, for example.
    pub carried: u64,
}

/// Slots in an element of the map. The kernel allocates each element by itself, and larger ones
/// are created much faster.
pub const SLOTS_PER_BLOCK: u32 = 16;

/// The slots `SLOTS_PER_BLOCK * n` to `SLOTS_PER_BLOCK * n + 15`. Map `BAN_HITS`, indexed by `n`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct BanHits([BanHit; SLOTS_PER_BLOCK as usize]);

impl BanHits {
    /// The element of the map that contains a slot.
    #[inline]
    #[must_use]
    pub const fn block_of(slot: u32) -> u32 {
        slot / SLOTS_PER_BLOCK
    }

    /// A slot of this element.
    #[inline]
    #[must_use]
    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    pub const fn slot(&self, slot: u32) -> &BanHit {
        &self.0[(slot % SLOTS_PER_BLOCK) as usize]
    }

    /// A slot of this element.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the index is below the length")]
    pub const fn slot_mut(&mut self, slot: u32) -> &mut BanHit {
        &mut self.0[(slot % SLOTS_PER_BLOCK) as usize]
    }
}
