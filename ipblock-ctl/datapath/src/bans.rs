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
use ipblock_common::{BanDeadline, limits::BAN_TABLE_ENTRIES, names};
use ipblock_fault::{Step, reach};
use ipblock_policy::bans::Write;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    ban_filter::BanFilter,
    error::DatapathError,
    maps::{Shape, insert_patiently, map_error, open_map},
};

/// `BPF_F_NO_PREALLOC` of include/uapi/linux/bpf.h: tries have no other form.
const NO_PREALLOC: u32 = 1;

/// The pinned ban tables, opened.
///
/// The caller knows the entries: before Linux 6.13 a read of the trie's keys can miss some.
pub struct BanTables {
    ipv4: LpmTrie<MapData, [u8; 4], BanDeadline>,
    ipv6: LpmTrie<MapData, [u8; 16], BanDeadline>,
    filter: BanFilter,
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
        value: size_of::<BanDeadline>(),
        entries: BAN_TABLE_ENTRIES,
        flags: NO_PREALLOC,
    }
}

impl BanTables {
    /// Opens the pinned tables.
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        Ok(Self {
            ipv4: open_map(directory, names::BANS_IPV4)?,
            ipv6: open_map(directory, names::BANS_IPV6)?,
            filter: BanFilter::open(directory)?,
        })
    }

    /// Executes writes in their order. On an error the writes before it are done.
    pub fn write(&mut self, writes: &[Write]) -> Result<(), DatapathError> {
        for write in writes {
            let (Write::Set(prefix, _) | Write::Remove(prefix)) = write;
            match prefix {
                IpNet::V4(net) => {
                    let key = Key::new(net.prefix_len().into(), net.network().octets());
                    apply(&mut self.ipv4, &key, *write)
                        .map_err(|error| map_error(names::BANS_IPV4, error))?;
                }
                IpNet::V6(net) => {
                    let key = Key::new(net.prefix_len().into(), net.network().octets());
                    apply(&mut self.ipv6, &key, *write)
                        .map_err(|error| map_error(names::BANS_IPV6, error))?;
                }
            }
            reach(Step::BanEntryWritten);
            match write {
                Write::Set(..) => self.filter.added(*prefix)?,
                Write::Remove(_) => self.filter.removed(),
            }
            reach(Step::BanWritten);
        }
        Ok(())
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

    /// Returns the deadline that the kernel finds for an address, or `None` if there is no entry.
    pub fn deadline(&self, address: IpAddr) -> Result<Option<u64>, DatapathError> {
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
            Ok(deadline) => Ok(Some(deadline.ns())),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(map_error(map, error)),
        }
    }

    /// Makes the tables contain exactly `entries`. Returns the number of writes.
    ///
    /// Reads all keys before the first write: the walk over a trie loses its position if entries
    /// are removed.
    pub fn make_hold(
        &mut self,
        entries: impl IntoIterator<Item = (IpNet, u64)>,
    ) -> Result<usize, DatapathError> {
        let mut found = BTreeMap::new();
        for entry in &self.ipv4 {
            let (key, deadline) = entry.map_err(|error| map_error(names::BANS_IPV4, error))?;
            let address = Ipv4Addr::from(key.data());
            // The kernel does not mask host bits and refuses longer prefixes.
            if let Ok(net) = Ipv4Net::new(address, length(key.prefix_len())) {
                found.insert(IpNet::V4(net), deadline.ns());
            }
        }
        for entry in &self.ipv6 {
            let (key, deadline) = entry.map_err(|error| map_error(names::BANS_IPV6, error))?;
            let address = Ipv6Addr::from(key.data());
            if let Ok(net) = Ipv6Net::new(address, length(key.prefix_len())) {
                found.insert(IpNet::V6(net), deadline.ns());
            }
        }
        let mut writes = Vec::new();
        let mut prefixes = Vec::new();
        for (prefix, deadline) in entries {
            prefixes.push(prefix);
            if found.remove(&prefix) != Some(deadline) {
                writes.push(Write::Set(prefix, deadline));
            }
        }
        // Longest first: as in `policy::bans`.
        writes.sort_by_key(|write| match write {
            Write::Set(prefix, _) | Write::Remove(prefix) => {
                prefix.max_prefix_len() - prefix.prefix_len()
            }
        });
        let mut strange: Vec<IpNet> = found.into_keys().collect();
        strange.sort_by_key(IpNet::prefix_len);
        writes.extend(strange.into_iter().map(Write::Remove));
        self.write(&writes)?;
        self.filter.put_right(prefixes)?;
        Ok(writes.len())
    }
}

fn length(bits: u32) -> u8 {
    u8::try_from(bits).unwrap_or(u8::MAX)
}

fn apply<K: Pod>(
    table: &mut LpmTrie<MapData, K, BanDeadline>,
    key: &Key<K>,
    write: Write,
) -> Result<(), MapError> {
    match write {
        Write::Set(_, deadline) => {
            insert_patiently(|| table.insert(key, BanDeadline::new(deadline), 0))
        }
        Write::Remove(_) => match table.remove(key) {
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
