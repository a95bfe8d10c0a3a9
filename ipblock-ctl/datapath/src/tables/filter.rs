//! Builds the filters in front of hosts and nets.

use ipblock_common::{
    ClassId,
    lookup::{
        filter::{MOST_BITS_V4, MOST_BITS_V6, Place, shift_of},
        hosts,
        nets::{self, ROOT_BITS},
    },
};

use super::nets::held;

/// Bits per key, which sets two of them. Then one in 20 sources without an entry passes the filter
/// and costs a lookup.
const BITS_PER_KEY: usize = 8;
/// 512 bytes: a smaller one saves nothing.
const FEWEST_BITS: u32 = 12;
/// Up to this number of /24s the filter has at most 128 KiB, and is faster than the roots.
const FEW_SLASH_24S: usize = 1 << 17;
/// More /24s would fill the filter.
const MOST_SLASH_24S: usize = 1 << 20;
/// With fewer roots that lead to lines, the roots decide nearly all that /24s would.
const MANY_LINES: usize = 1 << 14;
/// Nets in more /32s would fill the filter.
const MOST_SLASH_32S: usize = 1 << 19;

/// A filter.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) words: Vec<u64>,
    /// See [`Place::of_hash`].
    pub(super) shift: u32,
}

impl Filter {
    fn for_keys(keys: usize, most_bits: u32) -> Self {
        let bits = keys.saturating_mul(BITS_PER_KEY).next_power_of_two();
        let bits = bits.trailing_zeros().clamp(FEWEST_BITS, most_bits);
        Self {
            words: vec![0; 1 << (bits - 6)],
            shift: shift_of(bits),
        }
    }

    fn add(&mut self, place: Place) {
        if let Some(word) = self.words.get_mut(place.word as usize) {
            *word |= place.bits;
        }
    }
}

/// Builds the filter from hosts and the /24s that nets touch, or their /18s if there are too many.
/// The second value is [`ipblock_common::lookup::Tables::filter_v4_drop`].
pub(super) fn build_v4(
    hosts: &[(u32, ClassId)],
    nets: &[(u64, ClassId)],
    leading_to_lines: usize,
    seed: u64,
) -> (Filter, u32) {
    if hosts.is_empty() && nets.is_empty() {
        return (Filter::default(), 0);
    }
    let touched = |bits| held(nets, bits).map(|(run, _)| run);
    let slash_24s = touched(24).map(Iterator::count).sum();
    let bits = match slash_24s {
        ..=FEW_SLASH_24S => 24,
        ..=MOST_SLASH_24S if leading_to_lines > MANY_LINES => 24,
        _ => ROOT_BITS,
    };
    let of_nets: usize = touched(bits).map(Iterator::count).sum();
    let mut filter = Filter::for_keys(hosts.len() + of_nets, MOST_BITS_V4);
    for (address, _) in hosts {
        let hash = hosts::hash_v4(*address, seed);
        filter.add(Place::of_hash(hash, filter.shift));
    }
    for key in touched(bits).flatten() {
        filter.add(Place::of_hash(nets::hash(key, seed), filter.shift));
    }
    (filter, 32 - bits)
}

/// Builds the filter from hosts, the /32s that have doors, and the /32s that nets cover completely,
/// unless these are too many. The second value is whether it contains the latter.
pub(super) fn build_v6(
    hosts: &[([u64; 2], ClassId)],
    doors: impl ExactSizeIterator<Item = u32>,
    short: &[(u64, ClassId)],
    seed: u64,
) -> (Filter, bool) {
    if hosts.is_empty() && doors.len() == 0 && short.is_empty() {
        return (Filter::default(), true);
    }
    let slash_32s = || held(short, 32).map(|(run, _)| run);
    let of_nets: usize = slash_32s().map(Iterator::count).sum();
    let knows_nets = of_nets <= MOST_SLASH_32S;
    let keys = hosts.len() + doors.len() + if knows_nets { of_nets } else { 0 };
    let mut filter = Filter::for_keys(keys, MOST_BITS_V6);
    for ([upper, lower], _) in hosts {
        let hash = hosts::hash_v6(*upper, *lower, seed);
        filter.add(Place::of_hash(hash, filter.shift));
    }
    for first in doors {
        filter.add(Place::of_hash(nets::hash(first, seed), filter.shift));
    }
    if knows_nets {
        for first in slash_32s().flatten() {
            filter.add(Place::of_other(nets::hash(first, seed), filter.shift));
        }
    }
    (filter, knows_nets)
}
