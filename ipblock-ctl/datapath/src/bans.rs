//! The ban tables: two tries that the programs of all generations and zones use.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use aya::{
    Pod,
    maps::{LpmTrie, MapData, MapError, MapType, lpm_trie::Key},
};
use ipblock_common::{BanEntry, ban::SHARED_SLOT, limits::BAN_TABLE_ENTRIES, names};
use ipblock_fault::{Step, reach};
use ipblock_policy::bans::Write;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    ban_filter::BanFilter,
    ban_hits::{BanCount, Counters, RestingSlots},
    error::DatapathError,
    maps::{Shape, insert_patiently, map_error, open_map},
};

/// `BPF_F_NO_PREALLOC` of include/uapi/linux/bpf.h: tries have no other form.
const NO_PREALLOC: u32 = 1;

/// The pinned ban tables, opened.
///
/// The caller knows the entries: before Linux 6.13 a read of the trie's keys can miss some.
pub struct BanTables {
    ipv4: LpmTrie<MapData, [u8; 4], BanEntry>,
    ipv6: LpmTrie<MapData, [u8; 16], BanEntry>,
    filter: BanFilter,
    counters: Counters,
}

/// The required shapes of the tables.
pub(super) const SHAPES: [Shape; 2] = [
    shape::<[u8; 4]>(names::BANS_IPV4),
    shape::<[u8; 16]>(names::BANS_IPV6),
];

const fn shape<K>(name: &'static str) -> Shape {
    Shape {
        name,
        kind: MapType::LpmTrie,
        key: size_of::<Key<K>>(),
        value: size_of::<BanEntry>(),
        entries: BAN_TABLE_ENTRIES,
        flags: NO_PREALLOC,
    }
}

impl BanTables {
    /// Opens the pinned tables. `are_counters_new`: the counters were created with this call's maps.
    pub(super) fn open(directory: &Path, are_counters_new: bool) -> Result<Self, DatapathError> {
        Ok(Self {
            ipv4: open_map(directory, names::BANS_IPV4)?,
            ipv6: open_map(directory, names::BANS_IPV6)?,
            filter: BanFilter::open(directory)?,
            counters: Counters::open(directory, are_counters_new)?,
        })
    }

    /// Executes writes in their order. On an error the writes before it are done.
    ///
    /// A prefix without a counter gets one, if one is free, and keeps it until
    /// [`BanTables::release`].
    pub fn write(&mut self, writes: &[Write]) -> Result<(), DatapathError> {
        for write in writes {
            let entry = match *write {
                Write::Set(prefix, deadline) => {
                    let slot = match self.counters.slot_of(prefix) {
                        SHARED_SLOT => self.counters.take(prefix, 0),
                        slot => slot,
                    };
                    Some(BanEntry::new(deadline, slot))
                }
                Write::Remove(_) => None,
            };
            let (Write::Set(prefix, _) | Write::Remove(prefix)) = *write;
            self.put(prefix, entry)?;
        }
        Ok(())
    }

    /// Adds, replaces or removes an entry.
    fn put(&mut self, prefix: IpNet, entry: Option<BanEntry>) -> Result<(), DatapathError> {
        match prefix {
            IpNet::V4(net) => {
                let key = Key::new(net.prefix_len().into(), net.network().octets());
                apply(&mut self.ipv4, &key, entry)
                    .map_err(|error| map_error(names::BANS_IPV4, error))?;
            }
            IpNet::V6(net) => {
                let key = Key::new(net.prefix_len().into(), net.network().octets());
                apply(&mut self.ipv6, &key, entry)
                    .map_err(|error| map_error(names::BANS_IPV6, error))?;
            }
        }
        reach(Step::BanEntryWritten);
        match entry {
            Some(_) => self.filter.added(prefix)?,
            None => self.filter.removed(),
        }
        reach(Step::BanWritten);
        Ok(())
    }

    /// Returns what a ban has dropped, or `None` if it has no counter of its own.
    pub fn count(&self, prefix: IpNet) -> Result<Option<BanCount>, DatapathError> {
        self.counters.count(prefix)
    }

    /// Returns some counts, of the bans with number `block` of some: from 0 until `None`.
    pub fn counts_of_block(
        &self,
        block: u32,
    ) -> Result<Option<Vec<(IpNet, BanCount)>>, DatapathError> {
        self.counters.counts_of_block(block)
    }

    /// Ends the count of a ban that is gone. The tables must have no entry of it.
    pub fn release(&mut self, prefix: IpNet) {
        self.counters.release(prefix);
    }

    /// Ends the counts of bans that are gone; `exists` says which are not. The tables must have no
    /// entries of them.
    pub fn release_gone(&mut self, exists: impl Fn(IpNet) -> bool) {
        let gone: Vec<IpNet> = self
            .counters
            .owners()
            .filter(|&owner| !exists(owner))
            .collect();
        for prefix in gone {
            self.counters.release(prefix);
        }
    }

    /// Takes out released counters. After [`settle`](super::settle) they can be given back by
    /// [`BanTables::rested`].
    pub fn resting(&mut self) -> Option<RestingSlots> {
        self.counters.resting()
    }

    /// Makes released counters usable again.
    pub fn rested(&mut self, rested: RestingSlots) {
        self.counters.rested(rested);
    }

    /// Makes every ban begin another count at the next [`BanTables::make_hold`].
    pub fn forget_counts(&mut self) {
        self.counters.forget_all();
    }

    /// Rebuilds the filter if many entries were removed. The tables have `count` entries, which are
    /// `entries`.
    pub fn tidy<I: IntoIterator<Item = IpNet>>(
        &mut self,
        count: usize,
        entries: impl FnOnce() -> I,
    ) -> Result<(), DatapathError> {
        if !self.filter.is_worn(count) {
            return Ok(());
        }
        self.filter.put_right(entries())
    }

    /// Whether the kernel finds this deadline for an address, or no entry for `None`, and the
    /// counter of a ban that covers the address.
    pub fn agree(&self, address: IpAddr, deadline: Option<u64>) -> Result<bool, DatapathError> {
        let found = self.entry(address)?;
        let is_counted_right = found.is_none_or(|entry| {
            let owner = self.counters.owner_of(entry.slot());
            entry.slot() == SHARED_SLOT || owner.is_some_and(|owner| owner.contains(&address))
        });
        Ok(is_counted_right && found.map(BanEntry::deadline_ns) == deadline)
    }

    /// Returns the entry that the kernel finds for an address.
    fn entry(&self, address: IpAddr) -> Result<Option<BanEntry>, DatapathError> {
        if !self.filter.asks_for(address) {
            return Ok(None);
        }
        let (map, found) = match address {
            IpAddr::V4(address) => {
                let key = Key::new(32, address.octets());
                (names::BANS_IPV4, self.ipv4.get(&key, 0))
            }
            IpAddr::V6(address) => {
                let key = Key::new(128, address.octets());
                (names::BANS_IPV6, self.ipv6.get(&key, 0))
            }
        };
        match found {
            Ok(entry) => Ok(Some(entry)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(map_error(map, error)),
        }
    }

    /// Makes the tables contain exactly `entries`. Returns the number of writes. `dropped` is what
    /// the ban of a prefix has dropped so far, for one that gets another counter.
    ///
    /// Reads all keys before the first write: the walk over a trie loses its position if entries
    /// are removed.
    pub fn make_hold(
        &mut self,
        entries: impl IntoIterator<Item = (IpNet, u64)>,
        dropped: impl Fn(IpNet) -> u64,
    ) -> Result<usize, DatapathError> {
        let mut found = self.found()?;
        let mut wanted: Vec<(IpNet, u64)> = entries.into_iter().collect();
        // Longest first: as in `policy::bans`.
        wanted.sort_by_key(|(prefix, _)| prefix.max_prefix_len() - prefix.prefix_len());
        let slots = wanted.iter();
        self.counters.adopt(slots.filter_map(|(prefix, _)| {
            let entry = found.get(prefix)?;
            Some((*prefix, entry.slot()))
        }));
        let mut writes = 0;
        if !self.counters.is_known() {
            // First no entry may refer to a slot of another one.
            writes += self.count_in_own_slots(&mut found)?;
            super::settle();
            self.counters.know();
        }
        // Bans that have been counted before have the first claim to a counter.
        let (first, others): (Vec<_>, Vec<_>) = {
            let without = wanted.iter().map(|(prefix, _)| *prefix);
            without
                .filter(|prefix| self.counters.slot_of(*prefix) == SHARED_SLOT)
                .partition(|prefix| dropped(*prefix) > 0)
        };
        for prefix in first.into_iter().chain(others) {
            self.counters.take(prefix, dropped(prefix));
        }
        for (prefix, deadline) in &wanted {
            let entry = BanEntry::new(*deadline, self.counters.slot_of(*prefix));
            if found.remove(prefix) != Some(entry) {
                self.put(*prefix, Some(entry))?;
                writes += 1;
            }
        }
        writes += self.remove_all(found)?;
        self.filter
            .put_right(wanted.into_iter().map(|(prefix, _)| prefix))?;
        Ok(writes)
    }

    /// Replaces entries that refer to another slot than their own.
    fn count_in_own_slots(
        &mut self,
        found: &mut BTreeMap<IpNet, BanEntry>,
    ) -> Result<usize, DatapathError> {
        let mut writes = 0;
        for (prefix, entry) in found {
            let slot = self.counters.slot_of(*prefix);
            if entry.slot() != slot {
                *entry = BanEntry::new(entry.deadline_ns(), slot);
                self.put(*prefix, Some(*entry))?;
                writes += 1;
            }
        }
        Ok(writes)
    }

    /// Removes entries, the widest first: as in `policy::bans`.
    fn remove_all(&mut self, entries: BTreeMap<IpNet, BanEntry>) -> Result<usize, DatapathError> {
        let mut strange: Vec<IpNet> = entries.into_keys().collect();
        strange.sort_by_key(IpNet::prefix_len);
        for prefix in &strange {
            self.put(*prefix, None)?;
        }
        Ok(strange.len())
    }

    /// Returns all entries.
    fn found(&self) -> Result<BTreeMap<IpNet, BanEntry>, DatapathError> {
        let mut found = BTreeMap::new();
        for entry in &self.ipv4 {
            let (key, entry) = entry.map_err(|error| map_error(names::BANS_IPV4, error))?;
            let address = Ipv4Addr::from(key.data());
            // The kernel does not mask host bits and refuses longer prefixes.
            if let Ok(net) = Ipv4Net::new(address, length(key.prefix_len())) {
                found.insert(IpNet::V4(net), entry);
            }
        }
        for entry in &self.ipv6 {
            let (key, entry) = entry.map_err(|error| map_error(names::BANS_IPV6, error))?;
            let address = Ipv6Addr::from(key.data());
            if let Ok(net) = Ipv6Net::new(address, length(key.prefix_len())) {
                found.insert(IpNet::V6(net), entry);
            }
        }
        Ok(found)
    }
}

fn length(bits: u32) -> u8 {
    u8::try_from(bits).unwrap_or(u8::MAX)
}

fn apply<K: Pod>(
    table: &mut LpmTrie<MapData, K, BanEntry>,
    key: &Key<K>,
    entry: Option<BanEntry>,
) -> Result<(), MapError> {
    match entry {
        Some(entry) => insert_patiently(|| table.insert(key, entry, 0)),
        None => match table.remove(key) {
            // Already removed.
            Err(error) if is_not_found(&error) => Ok(()),
            result => result,
        },
    }
}

fn is_not_found(error: &MapError) -> bool {
    match error {
        MapError::KeyNotFound | MapError::ElementNotFound => true,
        MapError::SyscallError(error) => error.io_error.raw_os_error() == Some(libc::ENOENT),
        _ => false,
    }
}
