//! Calling off all dropping: one number that every program looks at before it drops, whoever writes
//! it. No daemon is needed for it, nor for its end.

use std::path::Path;

use aya::maps::{Array, MapData, MapType};
use ipblock_common::names;

use super::{
    error::DatapathError,
    maps::{Shape, map_error, one_element, open_map},
    pins::PinDirectory,
};

/// What the map has to be.
pub(super) const SHAPE: Shape = one_element(names::PANIC_OFF, MapType::Array, size_of::<u64>());

/// The map, open.
pub struct PanicOff(Array<MapData, u64>);

impl PanicOff {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        open_map(directory, names::PANIC_OFF).map(Self)
    }

    /// Those that are pinned: one, and while versions change one for each ABI.
    pub fn all(pins: &PinDirectory) -> Result<Vec<Self>, DatapathError> {
        let directories = pins.all_shared()?.into_iter();
        directories
            .filter(|directory| directory.join(names::PANIC_OFF).exists())
            .map(|directory| Self::open(&directory))
            .collect()
    }

    /// Until when nothing is dropped, in nanoseconds of `CLOCK_BOOTTIME`; 0 when it was not called off.
    pub fn until_ns(&self) -> Result<u64, DatapathError> {
        let until = self.0.get(&0, 0);
        until.map_err(|error| map_error(names::PANIC_OFF, error))
    }

    /// Drops nothing until then, from the next packet on; 0 drops again.
    pub fn set(&mut self, until_ns: u64) -> Result<(), DatapathError> {
        let set = self.0.set(0, until_ns, 0);
        set.map_err(|error| map_error(names::PANIC_OFF, error))
    }
}
