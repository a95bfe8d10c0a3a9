//! Finds prefixes that were added already.

use std::{collections::hash_map, hash::Hash};

use ipnet::IpNet;
use rustc_hash::FxHashMap;

/// The index of each prefix in a list of elements. IPv4 has its own table of numbers: nearly all
/// prefixes are IPv4, so the table is small and fast to fill.
#[derive(Default)]
pub(super) struct Positions {
    ipv4: FxHashMap<u64, u32>,
    ipv6: FxHashMap<(u128, u8), u32>,
}

impl Positions {
    /// Returns the index of the prefix if it exists; else records it with `place`.
    pub(super) fn find_or_put(&mut self, prefix: IpNet, place: usize) -> Option<usize> {
        // `MAX_PREFIXES` is far below.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let before = match prefix {
            IpNet::V4(net) => {
                let key = u64::from(net.addr().to_bits()) << 8 | u64::from(net.prefix_len());
                found_or_put(&mut self.ipv4, key, place)
            }
            IpNet::V6(net) => {
                let key = (net.addr().to_bits(), net.prefix_len());
                found_or_put(&mut self.ipv6, key, place)
            }
        };
        before.map(|place| place as usize)
    }
}

fn found_or_put<K: Eq + Hash>(
    positions: &mut FxHashMap<K, u32>,
    key: K,
    place: u32,
) -> Option<u32> {
    match positions.entry(key) {
        hash_map::Entry::Occupied(held) => Some(*held.get()),
        hash_map::Entry::Vacant(free) => {
            free.insert(place);
            None
        }
    }
}
