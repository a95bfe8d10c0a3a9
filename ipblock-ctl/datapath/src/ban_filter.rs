//! The filter in front of the ban tables: it decides which sources have to be looked up in them.
//!
//! A bit is set after its entry was added. The removal of a ban leaves its bit set, which only
//! costs lookups that find no entry. From time to time the whole filter is rebuilt.

use std::{
    net::IpAddr,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::{Array, MapData, MapType};
use ipblock_common::{
    BanGate,
    ban::{self, BanFilters, FILTER_WORDS, NET_BITS_V6, SHORTEST_NET_V6, place_of_32, place_of_64},
    lookup::filter::Place,
    names,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    error::DatapathError,
    mapped_array::MappedArray,
    maps::{MMAPABLE, Shape, map_error, one_element, open_map, open_words},
};

/// The required shapes of the maps.
pub(super) const SHAPES: [Shape; 3] = [
    one_element(names::BAN_GATE, MapType::Array, size_of::<BanGate>()),
    filter(names::BAN_FILTER_V4),
    filter(names::BAN_FILTER_V6),
];

const fn filter(name: &'static str) -> Shape {
    Shape {
        name,
        kind: MapType::Array,
        key: size_of::<u32>(),
        value: size_of::<u64>(),
        entries: FILTER_WORDS,
        flags: MMAPABLE,
    }
}

/// Words in the filter of each family.
const WORDS: usize = FILTER_WORDS as usize;

/// The maps, opened.
pub(super) struct BanFilter {
    gate: Array<MapData, BanGate>,
    ipv4: MappedArray<AtomicU64>,
    ipv6: MappedArray<AtomicU64>,
    /// The current value of the gate.
    open: BanGate,
    /// Entries removed since the last rebuild.
    gone: usize,
}

impl BanFilter {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        let gate: Array<_, BanGate> = open_map(directory, names::BAN_GATE)?;
        let open = gate.get(&0, 0);
        Ok(Self {
            open: open.map_err(|error| map_error(names::BAN_GATE, error))?,
            gate,
            ipv4: open_words(directory, names::BAN_FILTER_V4, WORDS)?,
            ipv6: open_words(directory, names::BAN_FILTER_V6, WORDS)?,
            gone: 0,
        })
    }

    /// Sets the bits of an entry that is already in the table.
    pub(super) fn added(&mut self, prefix: IpNet) -> Result<(), DatapathError> {
        for_each_word(prefix, |word, bits| {
            let words = match prefix {
                IpNet::V4(_) => self.ipv4.words(),
                IpNet::V6(_) => self.ipv6.words(),
            };
            if let Some(word) = words.get(word) {
                word.fetch_or(bits, Ordering::Release);
            }
        });
        self.put(opened_by(self.open, prefix))
    }

    /// Counts a removed entry.
    pub(super) fn removed(&mut self) {
        self.gone += 1;
    }

    /// Whether enough stale bits have collected, relative to `entries`, to rebuild the filter.
    pub(super) fn is_worn(&self, entries: usize) -> bool {
        self.gone > 1000 + entries / 8
    }

    /// Rebuilds the filter from the entries, which are all in the tables. A bit that is needed
    /// before and after stays set all the time.
    pub(super) fn put_right(
        &mut self,
        entries: impl IntoIterator<Item = IpNet>,
    ) -> Result<(), DatapathError> {
        let bits = Bits::of(entries);
        for (words, new) in [(&self.ipv4, &bits.ipv4), (&self.ipv6, &bits.ipv6)] {
            for (word, new) in words.words().iter().zip(new) {
                word.store(*new, Ordering::Release);
            }
        }
        self.gone = 0;
        self.put(bits.gate)
    }

    fn put(&mut self, gate: BanGate) -> Result<(), DatapathError> {
        if gate != self.open {
            let put = self.gate.set(0, gate, 0);
            put.map_err(|error| map_error(names::BAN_GATE, error))?;
            self.open = gate;
        }
        Ok(())
    }

    /// Whether a source has to be looked up in the tables.
    pub(super) fn asks_for(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => ban::may_cover_v4(self, address.to_bits()),
            IpAddr::V6(address) => ban::may_cover_v6(self, upper(address.to_bits())),
        }
    }
}

impl BanFilters for BanFilter {
    fn gate(&self) -> Option<BanGate> {
        Some(self.open)
    }

    fn filter_v4(&self, word: u32) -> Option<u64> {
        read(&self.ipv4, word)
    }

    fn filter_v6(&self, word: u32) -> Option<u64> {
        read(&self.ipv6, word)
    }
}

fn read(words: &MappedArray<AtomicU64>, word: u32) -> Option<u64> {
    let word = words.words().get(usize::try_from(word).ok()?)?;
    Some(word.load(Ordering::Acquire))
}

/// A whole filter, in the memory of this process.
struct Bits {
    gate: BanGate,
    ipv4: Vec<u64>,
    ipv6: Vec<u64>,
}

impl Bits {
    fn of(entries: impl IntoIterator<Item = IpNet>) -> Self {
        let mut bits = Self {
            gate: BanGate::default(),
            ipv4: vec![0; WORDS],
            ipv6: vec![0; WORDS],
        };
        for prefix in entries {
            bits.gate = opened_by(bits.gate, prefix);
            for_each_word(prefix, |word, set| {
                let words = match prefix {
                    IpNet::V4(_) => &mut bits.ipv4,
                    IpNet::V6(_) => &mut bits.ipv6,
                };
                if let Some(word) = words.get_mut(word) {
                    *word |= set;
                }
            });
        }
        bits
    }
}

/// Returns the gate after another entry is added.
fn opened_by(gate: BanGate, prefix: IpNet) -> BanGate {
    match prefix {
        IpNet::V4(_) => BanGate { v4: 1, ..gate },
        IpNet::V6(net) if net.prefix_len() < SHORTEST_NET_V6 => BanGate {
            v6: 1,
            wide_v6: 1,
            ..gate
        },
        IpNet::V6(_) => BanGate { v6: 1, ..gate },
    }
}

/// Calls `set` with each word and its bits for an entry.
fn for_each_word(prefix: IpNet, mut set: impl FnMut(usize, u64)) {
    match prefix {
        IpNet::V4(net) => words_v4(net, set),
        IpNet::V6(net) => {
            places_v6(net).for_each(|place| set(place.word as usize, place.bits));
        }
    }
}

/// A /8 has 65,536 bits in 1,024 words.
fn words_v4(net: Ipv4Net, mut set: impl FnMut(usize, u64)) {
    let (first, last) = (net.network().to_bits() >> 8, net.broadcast().to_bits() >> 8);
    for word in first / 64..=last / 64 {
        let from = first.max(word * 64) % 64;
        let to = last.min(word * 64 + 63) % 64;
        let bits = u64::MAX >> (63 - (to - from)) << from;
        set(word as usize, bits);
    }
}

fn places_v6(net: Ipv6Net) -> impl Iterator<Item = Place> {
    let len = net.prefix_len();
    let upper = upper(net.network().to_bits());
    let whole = (len >= 64).then(|| place_of_64(upper));
    let touched = match len {
        SHORTEST_NET_V6..64 => 1_u64 << NET_BITS_V6.saturating_sub(len),
        _ => 0,
    };
    let nets = (0..touched).map(move |number| place_of_32(upper + (number << 32)));
    whole.into_iter().chain(nets)
}

/// The upper half of an address.
const fn upper(address: u128) -> u64 {
    (address >> 64) as u64
}
