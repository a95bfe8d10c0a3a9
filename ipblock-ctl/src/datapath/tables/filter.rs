//! The filters in front of hosts and nets.

use ipblock_common::{
    ClassId,
    lookup::filter::{
        FilterLine, MOST_BITS_V4, NET_BITS_V6, Place, SHORTEST_NET_V6, of_host_v6, of_net_v6,
        place_v4, place_v6,
    },
    lookup::hosts::hash_v6,
};
use ipnet::{Ipv4Net, Ipv6Net};

use super::halves;

/// With so many bits for each that is set, one in 16 sources that nothing holds is looked up in vain.
const BITS_PER_KEY: usize = 16;
/// 512 bytes: less saves nothing.
const FEWEST_BITS: usize = 1 << 12;
/// 4 MiB: more is not in any cache.
const MOST_BITS_V6: usize = 1 << 25;

/// The IPv6 filter.
#[derive(Debug, Default)]
pub(super) struct FilterV6 {
    pub(super) lines: Vec<FilterLine>,
    pub(super) mask: u32,
    pub(super) knows_nets: bool,
}

/// Sets the bit of every /24 that an entry touches; the shift that goes with it.
pub(super) fn build_v4(entries: &[(Ipv4Net, ClassId)]) -> (Vec<FilterLine>, u32) {
    if entries.is_empty() {
        return (Vec::new(), 0);
    }
    let slash_24s = || {
        entries.iter().map(|(net, _)| {
            let (first, last) = (net.network().to_bits(), net.broadcast().to_bits());
            first >> 8..=last >> 8
        })
    };
    let keys: usize = slash_24s().map(Iterator::count).sum();
    let bits = (keys.saturating_mul(BITS_PER_KEY))
        .clamp(FEWEST_BITS, 1 << MOST_BITS_V4)
        .next_power_of_two();
    let shift = MOST_BITS_V4 - bits.trailing_zeros();
    let mut lines = vec![FilterLine::default(); bits / 512];
    for number in slash_24s().flatten() {
        set(&mut lines, place_v4(number << 8, shift));
    }
    (lines, shift)
}

/// Sets the bit of every host, and of every /32 that a net touches.
pub(super) fn build_v6(
    hosts: &[([u64; 2], ClassId)],
    entries: &[(Ipv6Net, ClassId)],
    seed: u64,
) -> FilterV6 {
    if entries.is_empty() {
        return FilterV6::default();
    }
    let nets = || {
        entries
            .iter()
            .map(|(net, _)| net)
            .filter(|net| net.prefix_len() < 128)
    };
    let knows_nets = nets().all(|net| net.prefix_len() >= SHORTEST_NET_V6);
    let of_nets: usize = nets().filter(|_| knows_nets).map(touched).sum();
    let bits = ((hosts.len() + of_nets) * BITS_PER_KEY)
        .clamp(FEWEST_BITS, MOST_BITS_V6)
        .next_power_of_two();
    let mask = u32::try_from(bits - 1).unwrap_or(u32::MAX);
    let mut lines = vec![FilterLine::default(); bits.div_ceil(512)];
    for ([upper, lower], _) in hosts {
        let hash = hash_v6(*upper, *lower, seed);
        set(&mut lines, place_v6(of_host_v6(hash), mask));
    }
    for net in nets().filter(|_| knows_nets) {
        let [first, _] = halves(net);
        for number in 0..touched(net) as u64 {
            let upper = first + (number << 32);
            set(&mut lines, place_v6(of_net_v6(upper, seed), mask));
        }
    }
    FilterV6 {
        lines,
        mask,
        knows_nets,
    }
}

/// How many /32 a net touches.
fn touched(net: &Ipv6Net) -> usize {
    1 << NET_BITS_V6.saturating_sub(net.prefix_len())
}

fn set(lines: &mut [FilterLine], place: Place) {
    if let Some(line) = lines.get_mut(usize::try_from(place.line).unwrap_or(usize::MAX)) {
        line.set(place);
    }
}
