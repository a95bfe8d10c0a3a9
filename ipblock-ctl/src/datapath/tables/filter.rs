//! The filters in front of hosts and nets.

use ipblock_common::{
    ClassId,
    lookup::{
        filter::{MOST_BITS_V4, MOST_BITS_V6, Place, shift_of},
        hosts,
        nets::hash_v6 as hash_of_32,
    },
};

use super::nets::held;

/// With so many bits for each key, of which it has two, one in 20 sources that nothing holds is looked
/// up in vain.
const BITS_PER_KEY: usize = 8;
/// 512 bytes: less saves nothing.
const FEWEST_BITS: u32 = 12;
/// So many keys make a filter of 128 KiB, which is quicker than the roots.
const FEW_KEYS: usize = 1 << 17;
/// More would fill it.
const MOST_SLASH_24S: usize = 1 << 20;
/// Where fewer roots lead to lines, the roots alone settle nearly everything.
const MANY_LINES: usize = 1 << 14;
/// Nets of more /32s would fill it.
const MOST_SLASH_32S: usize = 1 << 19;

/// A filter.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) words: Vec<u64>,
    /// See [`Place::of_hash`].
    pub(super) shift: u32,
    /// Whether it knows the nets: of IPv6, those of whole /32s.
    pub(super) knows_nets: bool,
}

impl Filter {
    fn for_keys(keys: usize, most_bits: u32, knows_nets: bool) -> Self {
        let bits = keys.saturating_mul(BITS_PER_KEY).next_power_of_two();
        let bits = bits.trailing_zeros().clamp(FEWEST_BITS, most_bits);
        Self {
            words: vec![0; 1 << (bits - 6)],
            shift: shift_of(bits),
            knows_nets,
        }
    }

    fn add(&mut self, place: Place) {
        if let Some(word) = self.words.get_mut(place.word as usize) {
            *word |= place.bits;
        }
    }
}

/// Its keys are the /24s that entries touch, or the hosts alone: when there are no nets, and when the
/// roots do better.
pub(super) fn build_v4(
    hosts: &[(u32, ClassId)],
    nets: &[(u64, ClassId)],
    leading_to_lines: usize,
    seed: u64,
) -> Filter {
    if hosts.is_empty() && nets.is_empty() {
        return Filter::default();
    }
    let slash_24s = || held(nets, 24).map(|(run, _)| run);
    let of_nets: usize = slash_24s().map(Iterator::count).sum();
    let knows_nets =
        of_nets <= FEW_KEYS || (of_nets <= MOST_SLASH_24S && leading_to_lines > MANY_LINES);
    let by_slash_24 = knows_nets && !nets.is_empty();
    let keys = if by_slash_24 { of_nets } else { 0 } + hosts.len();
    let mut filter = Filter::for_keys(keys, MOST_BITS_V4, knows_nets);
    let mut add = |key| filter.add(Place::of_hash(hosts::hash_v4(key, seed), filter.shift));
    for (address, _) in hosts {
        add(if by_slash_24 { address >> 8 } else { *address });
    }
    if by_slash_24 {
        slash_24s().flatten().for_each(add);
    }
    filter
}

/// Its keys are hosts, the /32s that have doors, and those that nets hold as a whole.
pub(super) fn build_v6(
    hosts: &[([u64; 2], ClassId)],
    doors: impl ExactSizeIterator<Item = u32>,
    short: &[(u64, ClassId)],
    seed: u64,
) -> Filter {
    if hosts.is_empty() && doors.len() == 0 && short.is_empty() {
        return Filter::default();
    }
    let slash_32s = || held(short, 32).map(|(run, _)| run);
    let of_nets: usize = slash_32s().map(Iterator::count).sum();
    let knows_nets = of_nets <= MOST_SLASH_32S;
    let keys = hosts.len() + doors.len() + if knows_nets { of_nets } else { 0 };
    let mut filter = Filter::for_keys(keys, MOST_BITS_V6, knows_nets);
    for ([upper, lower], _) in hosts {
        let hash = hosts::hash_v6(*upper, *lower, seed);
        filter.add(Place::of_hash(hash, filter.shift));
    }
    for first in doors {
        filter.add(Place::of_hash(hash_of_32(first, seed), filter.shift));
    }
    if knows_nets {
        for number in slash_32s().flatten() {
            let hash = hash_of_32(number, seed);
            filter.add(Place::of_other(hash, filter.shift));
        }
    }
    filter
}
