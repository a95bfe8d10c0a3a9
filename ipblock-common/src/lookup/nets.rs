//! Nets: for 32 bits of an address, the class that holds from one boundary to the next.
//!
//! The first 18 of the 32 bits choose a root. Where a root has boundaries inside, it leads to a line: one
//! cache line with up to seven boundaries and what holds between them, which is a class or, where there
//! are more, another line. So a root and a line are read for nearly every source, and a root of so many
//! boundaries takes a level more for each factor of eight.
//!
//! The same serves twice in IPv6: roots know nets up to /32 by the first 32 bits of the address (by
//! bits 4 to 21, since all but a few nets are in `2000::/3`; one root serves the rest). A /32
//! with longer nets has a *door*: a line by the next 32 bits, found by a hash of the first. Nets longer
//! than /64 are the trie's business.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Tables;
use crate::{ClassId, class::NO_CLASS};

/// Bits that choose a root.
pub const ROOT_BITS: u32 = 18;

/// Roots of IPv4; as many of IPv6 follow.
pub const ROOTS: u32 = 1 << ROOT_BITS;

/// The root of all IPv6 addresses outside `2000::/3`, in which nearly all nets are.
pub const OUTER_ROOT_V6: u32 = 2 * ROOTS;

/// Lines from a root or door to a class at most: of eight ways each, more than there are addresses.
pub const LEVELS: u32 = 11;

/// Doors that a lookup reads at most.
pub const MAX_DOOR_PROBES: u32 = 64;

/// The longest IPv6 net that is known here.
pub const LONGEST_V6: u8 = 64;

/// The value leads to the line with the number that is left, and is else a class.
pub const IS_LINE: u32 = 1 << 31;

/// In place of a class: longer nets lie within, and the IPv6 trie decides.
pub const ASK_TRIE: ClassId = IS_LINE - 1;

/// Boundaries of a line.
pub const BOUNDARIES: usize = 7;

/// What 32 bits of an address lead to, where it changes in few places.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NetLine {
    /// Of a door: the first 32 bits of its addresses. Else 0.
    pub tag: u32,
    /// Where the next value begins, ascending. Those that are not needed are the largest number.
    pub starts: [u32; BOUNDARIES],
    /// Before the first start, from each start on; the last one that is needed is repeated.
    pub values: [u32; BOUNDARIES + 1],
}

impl NetLine {
    /// A class, or with [`IS_LINE`] where to look next.
    #[inline(always)]
    #[must_use]
    pub fn value_at(&self, number: u32) -> u32 {
        let mut behind = 0;
        for start in &self.starts {
            // 1 when the boundary is not behind the number, and no branch to guess.
            behind += u64::from(*start).wrapping_sub(u64::from(number) + 1) >> 63;
        }
        let value = self.values.get((behind & 7) as usize);
        value.copied().unwrap_or_default()
    }

    /// Of a door: whether there is none. In a real one something changes inside.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [first, ..] = self.starts;
        first == 0
    }
}

/// Index of the pair of roots for a number.
#[inline(always)]
#[must_use]
pub const fn pair_of(root: u32) -> u32 {
    root / 2
}

/// A root of its pair: the lower half is the first.
#[inline(always)]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the half")]
pub const fn of_pair(pair: u64, root: u32) -> u32 {
    (pair >> (32 * (root & 1))) as u32
}

/// The root of an IPv4 address.
#[inline(always)]
#[must_use]
pub const fn root_v4(address: u32) -> u32 {
    address >> (32 - ROOT_BITS)
}

/// The root of the first 32 bits of an IPv6 address: chosen by those behind `2000::/3`.
#[inline(always)]
#[must_use]
pub const fn root_v6(first: u32) -> u32 {
    if first >> 29 == 1 {
        ROOTS + root_v4(first << 3)
    } else {
        OUTER_ROOT_V6
    }
}

/// The hash of the first bits of an address, 32 at most.
#[inline(always)]
#[must_use]
pub const fn hash(first: u32, seed: u64) -> u64 {
    // Not what hosts are hashed with: both are in one filter.
    (first as u64 ^ 1 << 32).wrapping_mul(seed.rotate_left(32) | 1)
}

/// The class that a root leads to for these 32 bits.
#[inline(always)]
pub fn walk(tables: &impl Tables, root: u32, number: u32) -> ClassId {
    let value = tables.net_roots(pair_of(root));
    let value = value.map_or(NO_CLASS, |pair| of_pair(*pair, root));
    if value & IS_LINE == 0 {
        return value;
    }
    tables.descend(value, number)
}

/// The class that a value leads to.
#[inline(always)]
pub fn descend(tables: &impl Tables, mut value: u32, number: u32) -> ClassId {
    for _ in 0..LEVELS {
        if value & IS_LINE == 0 {
            return value;
        }
        let Some(line) = tables.net_lines(value & !IS_LINE) else {
            break;
        };
        value = line.value_at(number);
    }
    // Deeper than any that is built.
    if value & IS_LINE == 0 {
        value
    } else {
        NO_CLASS
    }
}
