//! Filters. If not all bits of a key are set, no entry covers the source; else one may.
//!
//! Each key has two bits in one word, so that a query is one load. (This is a Bloom filter in
//! blocks of one word: Putze, Sanders and Singler 2007.)

/// The most bits of an IPv4 filter, as a power of two: 1 MiB.
pub const MOST_BITS_V4: u32 = 23;

/// The most bits of an IPv6 filter, as a power of two: 2 MiB.
pub const MOST_BITS_V6: u32 = 24;

/// Bits of one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the word.
    pub word: u32,
    /// The bits in it.
    pub bits: u64,
}

impl Place {
    /// The place of the bit with this number.
    #[inline(always)]
    #[must_use]
    pub const fn of_bit(number: u32) -> Self {
        Self {
            word: number / 64,
            bits: 1 << (number % 64),
        }
    }

    /// The place of the key with this hash, in a filter of `2^(64 - shift)` words.
    #[inline(always)]
    #[must_use]
    pub const fn of_hash(hash: u64, shift: u32) -> Self {
        Self::in_word_of(hash, shift, two_bits(hash >> 32))
    }

    /// As [`Self::of_hash`], in the same word, for a second key with the same hash.
    #[inline(always)]
    #[must_use]
    pub const fn of_other(hash: u64, shift: u32) -> Self {
        Self::in_word_of(hash, shift, two_bits(hash >> 20))
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "there are fewer words")]
    const fn in_word_of(hash: u64, shift: u32, bits: u64) -> Self {
        Self {
            word: (hash >> shift) as u32,
            bits,
        }
    }

    /// Whether all bits of this place are set in the word.
    #[inline(always)]
    #[must_use]
    pub fn is_set(self, word: Option<&u64>) -> bool {
        word.is_some_and(|word| word & self.bits == self.bits)
    }
}

/// The shift of [`Place::of_hash`] for a filter of `2^bits` bits.
#[inline]
#[must_use]
pub const fn shift_of(bits: u32) -> u32 {
    64 + 6 - bits
}

/// Sets two bits, chosen by the lowest 12 bits.
#[inline(always)]
const fn two_bits(chosen_by: u64) -> u64 {
    1 << (chosen_by & 63) | 1 << (chosen_by >> 6 & 63)
}
