//! Disables all dropping: every program reads one number before it drops. Any process with access
//! to the map may write it. Neither its start nor its end needs a daemon.

use std::path::Path;

use aya::maps::{Array, MapData, MapType};
use ipblock_common::names;

use super::{
    error::DatapathError,
    maps::{Shape, map_error, one_element, open_map},
    pins::PinDirectory,
};

/// The required shape of the map.
pub(super) const SHAPE: Shape = one_element(names::PANIC_OFF, MapType::Array, size_of::<u64>());

/// The map, opened.
pub struct PanicOff(Array<MapData, u64>);

impl PanicOff {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        open_map(directory, names::PANIC_OFF).map(Self)
    }

    /// Returns the pinned ones: one or, during a change of version, one per ABI.
    pub fn all(pins: &PinDirectory) -> Result<Vec<Self>, DatapathError> {
        let directories = pins.all_shared()?.into_iter();
        directories
            .filter(|directory| directory.join(names::PANIC_OFF).exists())
            .map(|directory| Self::open(&directory))
            .collect()
    }

    /// Returns the time until which no packet is dropped, in nanoseconds of `CLOCK_BOOTTIME`; 0 if
    /// dropping is not disabled.
    pub fn until_ns(&self) -> Result<u64, DatapathError> {
        let until = self.0.get(&0, 0);
        until.map_err(|error| map_error(names::PANIC_OFF, error))
    }

    /// Disables dropping until `until_ns`, from the next packet on; 0 enables it again.
    pub fn set(&mut self, until_ns: u64) -> Result<(), DatapathError> {
        let set = self.0.set(0, until_ns, 0);
        set.map_err(|error| map_error(names::PANIC_OFF, error))
    }
}
