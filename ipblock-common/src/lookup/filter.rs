//! Bitmaps: a bit that is not set says that nothing holds the source; one that is says nothing.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits of one cache line.
const LINE_BITS: u32 = 512;

/// Bits of the largest IPv4 filter, as a power of two: one for each /24.
pub const MOST_BITS_V4: u32 = 24;

/// A shorter net would set more than 8,192 bits of an IPv6 filter, that of entries or that of bans: they
/// know of none that is shorter.
pub const SHORTEST_NET_V6: u8 = 19;

/// What the IPv6 filter knows of nets: the /32 that they lie in, or all those that they hold.
pub const NET_BITS_V6: u8 = 32;

/// 512 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct FilterLine {
    words: [u64; 8],
}

/// Where one bit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the [`FilterLine`].
    pub line: u32,
    /// The bit in it.
    pub bit: u32,
}

impl Place {
    /// Of the bit with this number.
    #[inline(always)]
    #[must_use]
    pub const fn new(bit: u32) -> Self {
        Self {
            line: bit / LINE_BITS,
            bit: bit % LINE_BITS,
        }
    }
}

impl FilterLine {
    /// Whether the bit is set.
    #[inline(always)]
    #[must_use]
    pub fn has(&self, place: Place) -> bool {
        let word = self.words.get(((place.bit / 64) & 7) as usize);
        word.is_some_and(|word| word >> (place.bit % 64) & 1 != 0)
    }

    /// Sets the bit.
    #[inline]
    pub fn set(&mut self, place: Place) {
        if let Some(word) = self.words.get_mut(((place.bit / 64) & 7) as usize) {
            *word |= 1 << (place.bit % 64);
        }
    }
}

/// The bit of an IPv4 address, its first octet on top, in a filter of `2^(24 - shift)` bits: that of its
/// /24, which others share unless `shift` is 0.
#[inline(always)]
#[must_use]
pub const fn place_v4(address: u32, shift: u32) -> Place {
    /// 2^24 divided by the golden ratio: odd, so that no two /24s meet before bits are cut off.
    const SPREAD: u32 = 0x9e_3779;
    let spread = (address >> 8).wrapping_mul(SPREAD) & ((1 << MOST_BITS_V4) - 1);
    Place::new(spread >> shift)
}

/// The bit that a hash stands for in an IPv6 filter of `mask + 1` bits.
#[inline(always)]
#[must_use]
pub const fn place_v6(hash: u32, mask: u32) -> Place {
    Place::new(hash & mask)
}

/// What the IPv6 filter knows of a host with this [`super::hosts::hash_v6`]: other bits of it than
/// those that choose its bucket.
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
pub const fn of_host_v6(hash: u64) -> u32 {
    hash as u32
}

/// What the IPv6 filter knows of the /32 around an address, by the address's upper half.
#[inline(always)]
#[must_use]
pub const fn of_net_v6(upper: u64, seed: u64) -> u32 {
    (((upper >> 32) | 1 << 32).wrapping_mul(seed | 1) >> 32) as u32
}
