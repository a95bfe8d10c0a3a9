//! Bans: the value of an entry in the ban tables, and what stands in front of them.
//!
//! A filter has a bit for what bans touch: each /24 in IPv4, each /32 (of nets) and each /64 (of the
//! longer ones) in IPv6. A bit that is not set says that no ban covers the source. User space sets a
//! bit after the entry is there, and takes bits away only where no entry needs them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::lookup::filter::Place;

/// Words of the filter of either family: 2^24 bits.
pub const FILTER_WORDS: u32 = 1 << 18;

/// Shortest IPv6 prefix in the filter. Shorter ones set [`BanGate::wide_v6`] instead of more than 8,192
/// bits.
pub const SHORTEST_NET_V6: u8 = 19;

/// What the IPv6 filter knows of nets: the /32 that they lie in, or all those that they hold.
pub const NET_BITS_V6: u8 = 32;

/// What has to be asked at all. Map `BAN_GATE`, one element.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct BanGate {
    /// 1 when there are IPv4 entries, else 0: nothing is asked.
    pub v4: u32,
    /// 1 when there are IPv6 entries, else 0: nothing is asked.
    pub v6: u32,
    /// 1 when an IPv6 entry is too wide for the filter, else 0: the table is always asked.
    pub wide_v6: u32,
    /// Always 0.
    pub padding: u32,
}

/// Gate and filters, wherever they are. `None` behind a map's end, which is never asked for.
pub trait BanFilters {
    /// What has to be asked at all.
    fn gate(&self) -> Option<BanGate>;
    /// A word of the IPv4 filter.
    fn filter_v4(&self, word: u32) -> Option<u64>;
    /// A word of the IPv6 filter.
    fn filter_v6(&self, word: u32) -> Option<u64>;
}

/// Whether a ban may cover an IPv4 source, its first octet on top: the table has to be asked.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each packet comes by here")]
pub fn may_cover_v4(filters: &impl BanFilters, address: u32) -> bool {
    let place = place_of_24(address);
    filters.gate().is_some_and(|gate| gate.v4 != 0)
        && place.is_set(filters.filter_v4(place.word).as_ref())
}

/// Whether a ban may cover an IPv6 source, by the upper half of its address: the table has to be asked.
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

/// The bit of a /24 that a ban touches, by an address in it, its first octet on top.
#[inline]
#[must_use]
pub const fn place_of_24(address: u32) -> Place {
    Place::of_bit(address >> 8)
}

/// The bit of a /64 that holds a ban, or of a longer one's, by the upper half of the address.
#[inline]
#[must_use]
pub const fn place_of_64(upper: u64) -> Place {
    place_of(upper ^ upper >> 32)
}

/// The bit of a /32 that a ban of a net touches, by the upper half of the address.
#[inline]
#[must_use]
pub const fn place_of_32(upper: u64) -> Place {
    place_of(!(upper >> 32))
}

/// Anybody can compute it. Who shares a bit with a ban is looked up in the table, and no more.
#[inline]
const fn place_of(number: u64) -> Place {
    /// 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    Place::of_bit((number.wrapping_mul(SPREAD) >> 40) as u32)
}

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
