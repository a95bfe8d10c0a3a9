//! Nets: a multibit trie in arrays, after *Poptrie* (Asai and Ohara, SIGCOMM 2015).
//!
//! The first 18 bits of the key choose a root, each further 6 bits one of 64 slots of a node. A slot
//! leads to another node or to a class. A node keeps one bit a slot for the one and one bit for each
//! slot at which the class changes; what they lead to lies side by side, so counting bits finds it.
//! Keys are 64 bits, the address on top: an IPv6 net that is longer is the trie's business.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Tables;
use crate::{ClassId, class::NO_CLASS};

/// Bits of the key that choose a root.
pub const ROOT_BITS: u32 = 18;

/// Bits of the key that choose a slot of a node.
pub const STRIDE_BITS: u32 = 6;

/// Roots of one family: those of IPv4 come first, those of IPv6 follow.
pub const ROOTS: u32 = 1 << ROOT_BITS;

/// Nodes from root to class at most: 18 bits and 8 times 6 are more than a key has.
pub const LEVELS: u32 = 8;

/// The longest IPv6 net that is known here.
pub const LONGEST_V6: u8 = 64;

/// Of a root: it leads to the node with the number that is left, and else to a class.
pub const IS_NODE: u32 = 1 << 31;

/// In place of a class: longer nets lie within, and the IPv6 trie decides.
pub const ASK_TRIE: ClassId = IS_NODE - 1;

/// Numbers of one [`NumberLine`].
pub const NUMBERS: u32 = 16;

/// Roots or classes, a cache line of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NumberLine {
    numbers: [u32; NUMBERS as usize],
}

impl NumberLine {
    /// The line of the number with this index.
    #[inline(always)]
    #[must_use]
    pub const fn of(index: u32) -> u32 {
        index / NUMBERS
    }

    /// The number with this index, in its line.
    #[inline(always)]
    #[must_use]
    pub fn get(&self, index: u32) -> u32 {
        let number = self.numbers.get((index % NUMBERS) as usize);
        number.copied().unwrap_or_default()
    }

    /// Puts a number in its place in its line.
    #[inline]
    pub fn set(&mut self, index: u32, number: u32) {
        if let Some(place) = self.numbers.get_mut((index % NUMBERS) as usize) {
            *place = number;
        }
    }
}

/// 64 slots.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct NetNode {
    /// A bit for each slot that leads to a node; the lowest is slot 0.
    pub nodes: u64,
    /// A bit for each slot with another class than the last slot with a class.
    pub leaves: u64,
    /// Number of the first node.
    pub first_node: u32,
    /// Index of the first class.
    pub first_leaf: u32,
}

/// The key of an IPv4 address, its first octet on top.
#[inline(always)]
#[must_use]
pub const fn key_v4(address: u32) -> u64 {
    (address as u64) << 32
}

/// Where an IPv4 key starts.
#[inline(always)]
#[must_use]
pub const fn root_v4(key: u64) -> u32 {
    (key >> (64 - ROOT_BITS)) as u32
}

/// Where an IPv6 key starts.
#[inline(always)]
#[must_use]
pub const fn root_v6(key: u64) -> u32 {
    ROOTS + root_v4(key)
}

/// The class of the longest net that holds the key: [`NO_CLASS`] for none, or [`ASK_TRIE`].
#[inline(always)]
pub fn walk(tables: &impl Tables, root: u32, key: u64) -> ClassId {
    let Some(roots) = tables.net_roots(NumberLine::of(root)) else {
        return NO_CLASS;
    };
    let found = roots.get(root);
    if found & IS_NODE == 0 {
        return found;
    }
    let mut number = found & !IS_NODE;
    let mut rest = key << ROOT_BITS;
    for _ in 0..LEVELS {
        let Some(node) = tables.net_node(number) else {
            return NO_CLASS;
        };
        let slot = rest >> (64 - STRIDE_BITS);
        rest <<= STRIDE_BITS;
        // The slot's bit and all below.
        let up_to_slot = u64::MAX >> (63 - slot);
        if node.nodes >> slot & 1 == 0 {
            let leaf = node.first_leaf + (node.leaves & up_to_slot).count_ones() - 1;
            let Some(classes) = tables.net_leaves(NumberLine::of(leaf)) else {
                return NO_CLASS;
            };
            return classes.get(leaf);
        }
        number = node.first_node + (node.nodes & up_to_slot).count_ones() - 1;
    }
    NO_CLASS
}
