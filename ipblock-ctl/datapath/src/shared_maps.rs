//! The shared maps: the programs of all generations of this ABI use the same ones.

use std::{fs, io, path::Path};

use ipblock_common::names;

use super::{
    alerts::{self, AlertEvents, AlertTables},
    ban_filter, ban_hits,
    bans::{self, BanTables},
    error::DatapathError,
    held_pin::{self, HeldPin, PutRight},
    hits::{self, HitTable},
    maps::{Shape, ensure, pinned},
    panic_off::{self, PanicOff},
    pins::PinDirectory,
};

/// The shared maps, opened.
pub struct SharedMaps {
    /// The ids of the maps.
    pub ids: SharedMapIds,
    /// Their pins.
    pub pins: SharedPins,
    /// Bans.
    pub bans: BanTables,
    /// The kernel's part of alerts.
    pub alerts: AlertTables,
    /// Announced packets.
    pub events: AlertEvents,
    /// Hits per source.
    pub hits: HitTable,
    /// Whether all dropping is disabled.
    pub panic_off: PanicOff,
}

/// The pins of the shared maps.
pub struct SharedPins(Vec<HeldPin>);

impl SharedPins {
    /// Restores pins that were removed or replaced.
    #[must_use]
    pub fn put_right(&self) -> PutRight {
        held_pin::put_all_right(&self.0)
    }
}

/// The kernel's ids of the shared maps that programs use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMapIds(pub(super) Vec<u32>);

impl SharedMaps {
    /// Opens the pinned maps, and creates the missing ones. A pin with any other object is an
    /// error.
    pub fn open_or_create(pins: &PinDirectory) -> Result<Self, DatapathError> {
        let directory = pins.shared();
        let are_counters_new = renew_ban_counters(&directory)?;
        let mut ids = Vec::new();
        for shape in shapes() {
            let id = ensure(&directory, &shape)?;
            // No program reads the bases.
            if shape.name != names::BAN_HIT_BASES {
                ids.push(id);
            }
        }
        Ok(Self {
            pins: SharedPins(HeldPin::open_all(&directory, names())?),
            ids: SharedMapIds(ids),
            bans: BanTables::open(&directory, are_counters_new)?,
            alerts: AlertTables::open(&directory)?,
            events: AlertEvents::open(&directory)?,
            hits: HitTable::open(&directory)?,
            panic_off: PanicOff::open(&directory)?,
        })
    }
}

/// Unpins the counters of bans unless all maps that belong together are pinned: programs that still
/// use lost tables count in slots that other bans get. Returns whether the counters are new.
fn renew_ban_counters(directory: &Path) -> Result<bool, DatapathError> {
    let mut names = [names::BANS_IPV4, names::BANS_IPV6]
        .into_iter()
        .chain(ban_hits::shapes().map(|shape| shape.name));
    if names.all(|name| directory.join(name).exists()) {
        return Ok(false);
    }
    for shape in ban_hits::shapes() {
        let path = directory.join(shape.name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DatapathError::pin(path, error));
            }
            _ => {}
        }
    }
    Ok(true)
}

/// Rejects pins with any other object, and changes nothing. Returns the id of the map with the
/// counts of alerts if that is pinned.
pub fn examine(pins: &PinDirectory) -> Result<Option<u32>, DatapathError> {
    let directory = pins.shared();
    let mut counts = None;
    for shape in shapes() {
        let id = pinned(&directory, &shape)?;
        if shape.name == names::ALERT_COUNTS {
            counts = id;
        }
    }
    Ok(counts)
}

/// Their names, in the BPF object and as pins.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    shapes().map(|shape| shape.name)
}

fn shapes() -> impl Iterator<Item = Shape> {
    let alerts = alerts::SHAPES.into_iter();
    let bans = bans::SHAPES.into_iter().chain(ban_filter::SHAPES);
    bans.chain(ban_hits::shapes())
        .chain(alerts)
        .chain(hits::SHAPES)
        .chain([panic_off::SHAPE])
}
