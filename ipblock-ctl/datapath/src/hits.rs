//! Hits per source: one entry per source, limited by the kernel.

use std::{os::fd::OwnedFd, path::Path};

use aya::maps::MapType;
use ipblock_common::{HitBudget, HitCount, SourceKey, limits, names};

use super::{
    error::DatapathError,
    maps::{Shape, one_element},
    sys::{self, Batches},
};

/// The required shapes of the maps.
pub(super) const SHAPES: [Shape; 2] = [
    Shape {
        name: names::HITS,
        kind: MapType::LruHash,
        key: size_of::<SourceKey>(),
        value: size_of::<HitCount>(),
        entries: limits::HIT_SOURCES,
        flags: 0,
    },
    one_element(
        names::HIT_BUDGET,
        MapType::PerCpuArray,
        size_of::<HitBudget>(),
    ),
];

/// The hits per source, opened.
pub struct HitTable(OwnedFd);

impl HitTable {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        let path = directory.join(names::HITS);
        let opened = sys::open_pin(&path);
        opened
            .map(Self)
            .map_err(|source| DatapathError::pin(path, source))
    }

    /// Returns all sources with their hits, unordered. It may miss one that is added or evicted
    /// meanwhile.
    pub fn all(&self) -> Result<Vec<(SourceKey, HitCount)>, DatapathError> {
        let mut all = Vec::new();
        for batch in Batches::new(&self.0) {
            all.extend(batch.map_err(|source| DatapathError::Read {
                map: names::HITS,
                source,
            })?);
        }
        Ok(all)
    }
}
