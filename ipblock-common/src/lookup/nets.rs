//! Nets: maps 32 bits of an address to a class, constant from one boundary to the next.
//!
//! The first 18 of the 32 bits choose a root. A root with boundaries inside leads to a line, which
//! is one cache line with up to seven boundaries. Each interval between them has a class or, if it
//! has more boundaries, another line. So nearly every source reads a root and at most one line;
//! each factor of eight in the boundaries of a root adds a level.
//!
//! IPv6 uses this twice. Roots contain the nets up to /32, by the first 32 bits of the address.
//! (Bits 4 to 21 choose the root, since nearly all nets are in `2000::/3`; one root serves the
//! rest.) A /32 with longer nets has a *door*: a line for the next 32 bits, found by a hash of the
//! first 32. The trie contains nets longer than /64.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Tables;
use crate::{ClassId, class::NO_CLASS};

/// Bits that choose a root.
pub const ROOT_BITS: u32 = 18;

/// Number of IPv4 roots. The same number of IPv6 roots follows.
pub const ROOTS: u32 = 1 << ROOT_BITS;

/// The root of all IPv6 addresses outside `2000::/3`, which contains nearly all nets.
pub const OUTER_ROOT_V6: u32 = 2 * ROOTS;

/// Lines between a root or door and a class, at most. With eight ways each, they could distinguish
/// more than all 2^32 values.
pub const LEVELS: u32 = 11;

/// Doors that a lookup reads at most.
pub const MAX_DOOR_PROBES: u32 = 64;

/// The longest IPv6 net in these tables.
pub const LONGEST_V6: u8 = 64;

/// With this bit the value is the number of a line; without it, a class.
pub const IS_LINE: u32 = 1 << 31;

/// In place of a class: there are longer nets inside, and the IPv6 trie decides.
pub const ASK_TRIE: ClassId = IS_LINE - 1;

/// Boundaries in a line.
pub const BOUNDARIES: usize = 7;

/// Maps 32 bits of an address to values, with few boundaries.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NetLine {
    /// In a door: the first 32 bits of its addresses. Else 0.
    pub tag: u32,
    /// The starts of the second and later values, ascending. Unused ones are the largest number.
    pub starts: [u32; BOUNDARIES],
    /// The value before the first start, then the value from each start on. Unused ones repeat the
    /// last.
    pub values: [u32; BOUNDARIES + 1],
}

impl NetLine {
    /// Returns a class or, with [`IS_LINE`], the next line.
    #[inline(always)]
    #[must_use]
    pub fn value_at(&self, number: u32) -> u32 {
        let mut behind = 0;
        for start in &self.starts {
            // Adds 1 if the boundary is at or before the number, without a branch to predict.
            behind += u64::from(*start).wrapping_sub(u64::from(number) + 1) >> 63;
        }
        let value = self.values.get((behind & 7) as usize);
        value.copied().unwrap_or_default()
    }

    /// Whether this is an empty place for a door. A real door has a first boundary above 0.
    #[inline(always)]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        let [first, ..] = self.starts;
        first == 0
    }
}

/// Index of the pair that contains a root.
#[inline(always)]
#[must_use]
pub const fn pair_of(root: u32) -> u32 {
    root / 2
}

/// Returns a root of its pair: the lower half is the first.
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

/// The root of the first 32 bits of an IPv6 address, chosen by the bits after `2000::/3`.
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
    // Differs from the hash of hosts, because one filter contains both.
    (first as u64 ^ 1 << 32).wrapping_mul(seed.rotate_left(32) | 1)
}

/// The class of these 32 bits under a root.
#[inline(always)]
pub fn walk(tables: &impl Tables, root: u32, number: u32) -> ClassId {
    let value = tables.net_roots(pair_of(root));
    let value = value.map_or(NO_CLASS, |pair| of_pair(*pair, root));
    if value & IS_LINE == 0 {
        return value;
    }
    tables.descend(value, number)
}

/// The class of these 32 bits under a value.
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
    // A class on the last level, or a depth that is never built.
    if value & IS_LINE == 0 {
        value
    } else {
        NO_CLASS
    }
}
