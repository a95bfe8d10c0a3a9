//! The maps of a generation that a lookup reads: filled once, then read-only.

use std::{cell::Cell, net::IpAddr, os::fd::AsFd as _, path::Path};

use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, LpmTrie, Map, MapData, MapError, lpm_trie::Key},
};
use ipblock_common::{
    Class, ClassId,
    class::{self, NO_CLASS},
    for_each_table,
    lookup::{layout::Layout, nets::ASK_TRIE},
    names,
};
use ipblock_policy::compile::CompiledZone;
use ipnet::{Ipv4Net, Ipv6Net};
use zerocopy::{Immutable, IntoBytes};

use super::{
    error::DatapathError,
    mapped_array::{self, MappedArray},
    maps::{insert_patiently, map_error, no_such_map, open_finished, open_map},
    tables::{TableImage, TableView},
};

/// Maps that a lookup reads, without the tables.
const OTHERS: [&str; 3] = [names::IPV4, names::IPV6, names::CLASSES];

/// Names of the maps, which are also the names of their pins.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter().chain(names::TABLES.iter().copied())
}

/// Where the program looks up entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// In the tables, and in a trie for the entries that tables cannot contain.
    #[default]
    Tables,
    /// In the tries alone: the reference for the tables, in tests and in benchmarks.
    Tries,
}

/// Pin of the map with the [`Layout`], which the program has as a constant.
pub(super) const LAYOUT: &str = "layout";

/// The content to write into the maps.
pub struct Content<'a> {
    image: TableImage,
    trie_v4: &'a [(Ipv4Net, ClassId)],
    /// All entries, if the tries are used; else those that the image leaves to the trie.
    all_v6: Option<&'a [(Ipv6Net, ClassId)]>,
}

impl<'a> Content<'a> {
    /// Returns the content for a zone.
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

    /// Sets the sizes of the maps and the constants of the program.
    pub fn lay_out<'b>(&'b self, loader: &mut EbpfLoader<'b>) {
        let tries = [
            (names::IPV4, self.trie_v4.len()),
            (names::IPV6, self.trie_v6().len()),
        ];
        for (name, len) in tries.into_iter().chain(self.table_sizes()) {
            let entries = u32::try_from(len.max(1)).unwrap_or(u32::MAX);
            loader.map_max_entries(name, entries);
        }
        loader.override_global(names::LAYOUT, &self.image.layout, true);
    }

    /// Writes all entries. The program is not attached yet.
    pub fn fill(&self, object: &mut Ebpf) -> Result<(), DatapathError> {
        fill_trie(object, names::IPV4, self.trie_v4, |prefix| {
            Key::new(prefix.prefix_len().into(), prefix.network().octets())
        })?;
        fill_trie(object, names::IPV6, self.trie_v6(), |prefix| {
            Key::new(prefix.prefix_len().into(), prefix.network().octets())
        })?;
        self.fill_tables(object)
    }

    /// Pins the layout, for a daemon that opens the generation later.
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
    mapped_array::fill(map.fd().as_fd(), elements)
        .map_err(|source| DatapathError::Fill { map: name, source })
}

macro_rules! table_maps {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        impl Content<'_> {
            /// Number of elements in each table.
            fn table_sizes(&self) -> impl Iterator<Item = (&'static str, usize)> {
                [$((names::$map, self.image.$field.len())),*].into_iter()
            }

            fn fill_tables(&self, object: &Ebpf) -> Result<(), DatapathError> {
                $(fill_array(object, names::$map, &self.image.$field)?;)*
                Ok(())
            }
        }

        /// The tables of a pinned generation, mapped into memory.
        struct TableMaps {
            layout: Layout,
            $($field: MappedArray<$element>,)*
        }

        impl TableMaps {
            fn open(directory: &Path) -> Result<Self, DatapathError> {
                let layout: Array<_, Layout> = open_map(directory, LAYOUT)?;
                let layout = layout.get(&0, 0);
                Ok(Self {
                    layout: layout.map_err(|error| map_error(LAYOUT, error))?,
                    $($field: open_finished(directory, names::$map)?,)*
                })
            }

            fn view(&self) -> TableView<'_> {
                TableView {
                    layout: &self.layout,
                    $($field: self.$field.elements(),)*
                }
            }
        }
    };
}
for_each_table!(table_maps);

/// The maps of a pinned generation, opened.
pub(super) struct LookupMaps {
    ipv4: LpmTrie<MapData, [u8; 4], ClassId>,
    ipv6: LpmTrie<MapData, [u8; 16], ClassId>,
    tables: TableMaps,
    classes: Array<MapData, Class>,
}

impl LookupMaps {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        Ok(Self {
            ipv4: open_map(directory, names::IPV4)?,
            ipv6: open_map(directory, names::IPV6)?,
            tables: TableMaps::open(directory)?,
            classes: open_map(directory, names::CLASSES)?,
        })
    }

    /// Returns the class that the program finds for an address, before any expiry; [`NO_CLASS`] if
    /// there is none.
    fn find(&self, address: IpAddr) -> Result<ClassId, DatapathError> {
        if self.tables.layout.has_tables != 0 {
            let found = self.tables.view().find(address);
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

    /// Returns the class in force for an address at the boot clock `now`, as the program finds it.
    pub(super) fn class_in_force(
        &self,
        address: IpAddr,
        now: u64,
    ) -> Result<Option<(ClassId, Class)>, DatapathError> {
        let failed = Cell::new(None);
        let read = |id: ClassId| match self.classes.get(&id, 0) {
            Ok(class) => Some(class),
            Err(error) => {
                failed.set(Some(map_error(names::CLASSES, error)));
                None
            }
        };
        let found = class::in_force(self.find(address)?, read, || now);
        match failed.take() {
            Some(error) => Err(error),
            None => Ok(found),
        }
    }
}
