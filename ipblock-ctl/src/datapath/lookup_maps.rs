//! The maps of a generation that a lookup goes through: filled once, then only read.

use std::{net::IpAddr, os::fd::AsFd as _, path::Path};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, LpmTrie, Map, MapData, MapError, lpm_trie::Key},
};
use ipblock_common::{
    Class, ClassId,
    class::NO_CLASS,
    lookup::{
        hosts::{HostsV4, HostsV6},
        nets::{ASK_TRIE, NetLine},
    },
    names,
};
use ipnet::{Ipv4Net, Ipv6Net};
use zerocopy::{Immutable, IntoBytes};

use super::{
    error::DatapathError,
    generation::{Lookup, no_such_map},
    mapped::{self, Mapped},
    maps::{insert_patiently, map_error, open_finished, open_map},
    tables::{Layout, TableImage, TableView},
};
use crate::policy::compile::CompiledZone;

/// Maps that are pinned under their own names.
pub(super) const NAMES: [&str; 10] = [
    names::IPV4,
    names::IPV6,
    names::FILTER_V4,
    names::FILTER_V6,
    names::HOSTS_V4,
    names::HOSTS_V6,
    names::NET_ROOTS,
    names::NET_LINES,
    names::NET_DOORS,
    names::CLASSES,
];

/// Pin of the map that holds the [`Layout`]. The program has it as constants.
pub(super) const LAYOUT: &str = "layout";

/// What is written into the maps.
pub struct Content<'a> {
    image: TableImage,
    trie_v4: &'a [(Ipv4Net, ClassId)],
    /// All entries, and else what the image leaves to the trie.
    all_v6: Option<&'a [(Ipv6Net, ClassId)]>,
}

impl<'a> Content<'a> {
    /// What a zone's maps hold.
    #[must_use]
    pub fn of(zone: &'a CompiledZone, lookup: Lookup, seed: u64) -> Self {
        match lookup {
            Lookup::Tables => Self {
                image: TableImage::build(zone, seed),
                trie_v4: &[],
                all_v6: None,
            },
            Lookup::Tries => Self {
                image: TableImage::default(),
                trie_v4: &zone.ipv4,
                all_v6: Some(&zone.ipv6),
            },
        }
    }

    fn trie_v6(&self) -> &[(Ipv6Net, ClassId)] {
        self.all_v6.unwrap_or(&self.image.trie_v6)
    }

    /// Gives the maps their sizes and the program its constants.
    pub fn lay_out<'b>(&'b self, loader: &mut EbpfLoader<'b>) {
        let image = &self.image;
        for (name, len) in [
            (names::IPV4, self.trie_v4.len()),
            (names::IPV6, self.trie_v6().len()),
            (names::FILTER_V4, image.filter_v4.len()),
            (names::FILTER_V6, image.filter_v6.len()),
            (names::HOSTS_V4, image.hosts_v4.len()),
            (names::HOSTS_V6, image.hosts_v6.len()),
            (names::NET_ROOTS, image.net_roots.len()),
            (names::NET_LINES, image.net_lines.len()),
            (names::NET_DOORS, image.net_doors.len()),
        ] {
            let entries = u32::try_from(len.max(1)).unwrap_or(u32::MAX);
            loader.map_max_entries(name, entries);
        }
        let layout = &image.layout;
        loader
            .override_global(names::SEED, &layout.seed, true)
            .override_global(names::BUCKETS_V4, &layout.buckets_v4, true)
            .override_global(names::BUCKETS_V6, &layout.buckets_v6, true)
            .override_global(names::FILTER_V4_SHIFT, &layout.filter_v4_shift, true)
            .override_global(names::FILTER_V6_SHIFT, &layout.filter_v6_shift, true)
            .override_global(names::HAS_TABLES, &layout.has_tables, true)
            .override_global(names::HAS_NETS_V4, &layout.has_nets_v4, true)
            .override_global(names::DOORS, &layout.doors, true)
            .override_global(names::HAS_SHORT_V6, &layout.has_short_v6, true)
            .override_global(names::FILTER_V4_DROP, &layout.filter_v4_drop, true)
            .override_global(names::FILTERS_SHORT_V6, &layout.filters_short_v6, true);
    }

    /// Writes all entries; the program is on no link yet.
    pub fn fill(&self, object: &mut Ebpf) -> Result<(), DatapathError> {
        fill_trie(object, names::IPV4, self.trie_v4, |prefix| {
            Key::new(prefix.prefix_len().into(), prefix.network().octets())
        })?;
        fill_trie(object, names::IPV6, self.trie_v6(), |prefix| {
            Key::new(prefix.prefix_len().into(), prefix.network().octets())
        })?;
        let image = &self.image;
        fill_array(object, names::FILTER_V4, &image.filter_v4)?;
        fill_array(object, names::FILTER_V6, &image.filter_v6)?;
        fill_array(object, names::HOSTS_V4, &image.hosts_v4)?;
        fill_array(object, names::HOSTS_V6, &image.hosts_v6)?;
        fill_array(object, names::NET_ROOTS, &image.net_roots)?;
        fill_array(object, names::NET_LINES, &image.net_lines)?;
        fill_array(object, names::NET_DOORS, &image.net_doors)
    }

    /// Pins the layout, for who opens the generation later.
    pub(super) fn pin_layout(&self, directory: &Path) -> Result<(), DatapathError> {
        let failed = |error| map_error(LAYOUT, error);
        let mut map = Array::<_, Layout>::create(1, 0).map_err(failed)?;
        map.set(0, self.image.layout, 0).map_err(failed)?;
        let path = directory.join(LAYOUT);
        map.pin(&path)
            .map_err(|error| DatapathError::pin(path, std::io::Error::other(error)))
    }
}

fn fill_trie<P: Copy, K: Pod>(
    object: &mut Ebpf,
    name: &'static str,
    entries: &[(P, ClassId)],
    key: impl Fn(P) -> Key<K>,
) -> Result<(), DatapathError> {
    let map = object.map_mut(name).ok_or_else(|| no_such_map(name))?;
    let mut trie = LpmTrie::<_, K, ClassId>::try_from(map).map_err(|e| map_error(name, e))?;
    for (prefix, class) in entries {
        let key = key(*prefix);
        insert_patiently(|| trie.insert(&key, class, 0)).map_err(|e| map_error(name, e))?;
    }
    Ok(())
}

fn fill_array<T: IntoBytes + Immutable>(
    object: &Ebpf,
    name: &'static str,
    elements: &[T],
) -> Result<(), DatapathError> {
    let Some(Map::Array(map)) = object.map(name) else {
        return Err(no_such_map(name));
    };
    mapped::fill(map.fd().as_fd(), elements)
        .map_err(|source| DatapathError::Fill { map: name, source })
}

/// The maps of a pinned generation, open.
pub(super) struct LookupMaps {
    layout: Layout,
    ipv4: LpmTrie<MapData, [u8; 4], ClassId>,
    ipv6: LpmTrie<MapData, [u8; 16], ClassId>,
    filter_v4: Mapped<u64>,
    filter_v6: Mapped<u64>,
    hosts_v4: Mapped<HostsV4>,
    hosts_v6: Mapped<HostsV6>,
    net_roots: Mapped<u64>,
    net_lines: Mapped<NetLine>,
    net_doors: Mapped<NetLine>,
    classes: Array<MapData, Class>,
}

impl LookupMaps {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        let layout: Array<_, Layout> = open_map(directory, LAYOUT)?;
        Ok(Self {
            layout: layout
                .get(&0, 0)
                .map_err(|error| map_error(LAYOUT, error))?,
            ipv4: open_map(directory, names::IPV4)?,
            ipv6: open_map(directory, names::IPV6)?,
            filter_v4: open_finished(directory, names::FILTER_V4)?,
            filter_v6: open_finished(directory, names::FILTER_V6)?,
            hosts_v4: open_finished(directory, names::HOSTS_V4)?,
            hosts_v6: open_finished(directory, names::HOSTS_V6)?,
            net_roots: open_finished(directory, names::NET_ROOTS)?,
            net_lines: open_finished(directory, names::NET_LINES)?,
            net_doors: open_finished(directory, names::NET_DOORS)?,
            classes: open_map(directory, names::CLASSES)?,
        })
    }

    /// The class that the program finds for an address, expiry not looked at; [`NO_CLASS`] for none.
    pub(super) fn find(&self, address: IpAddr) -> Result<ClassId, DatapathError> {
        if self.layout.has_tables != 0 {
            let found = self.tables().find(address);
            if found != ASK_TRIE {
                return Ok(found);
            }
        }
        let (map, found) = match address {
            IpAddr::V4(address) => {
                let key = Key::new(32, address.octets());
                (names::IPV4, self.ipv4.get(&key, 0))
            }
            IpAddr::V6(address) => {
                let key = Key::new(128, address.octets());
                (names::IPV6, self.ipv6.get(&key, 0))
            }
        };
        match found {
            Ok(id) => Ok(id),
            Err(MapError::KeyNotFound) => Ok(NO_CLASS),
            Err(error) => Err(map_error(map, error)),
        }
    }

    fn tables(&self) -> TableView<'_> {
        TableView {
            layout: self.layout,
            filter_v4: self.filter_v4.elements(),
            filter_v6: self.filter_v6.elements(),
            hosts_v4: self.hosts_v4.elements(),
            hosts_v6: self.hosts_v6.elements(),
            net_roots: self.net_roots.elements(),
            net_lines: self.net_lines.elements(),
            net_doors: self.net_doors.elements(),
        }
    }

    /// A class by its id.
    pub(super) fn class(&self, id: ClassId) -> Result<Class, DatapathError> {
        let class = self.classes.get(&id, 0);
        class.map_err(|error| map_error(names::CLASSES, error))
    }
}
