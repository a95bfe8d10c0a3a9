//! The maps that belong to no generation: every program of this ABI uses the same ones.

use super::{
    alerts::{self, AlertEvents, AlertTables},
    ban_filter,
    bans::{self, BanTables},
    error::DatapathError,
    held::{self, HeldPin, PutRight},
    hits::{self, HitTable},
    maps::{Shape, ensure, pinned},
    panic_off::{self, PanicOff},
    pins::PinDirectory,
};

/// The shared maps, open.
pub struct SharedMaps {
    /// Which maps they are.
    pub ids: SharedMapIds,
    /// Their pins.
    pub pins: SharedPins,
    /// Bans.
    pub bans: BanTables,
    /// What the kernel knows of alerts.
    pub alerts: AlertTables,
    /// Packets that it announces.
    pub events: AlertEvents,
    /// Who hits.
    pub hits: HitTable,
    /// Whether all dropping was called off.
    pub panic_off: PanicOff,
}

/// The pins of the shared maps.
pub struct SharedPins(Vec<HeldPin>);

impl SharedPins {
    /// Pins again what is not pinned any more, or is another map.
    #[must_use]
    pub fn put_right(&self) -> PutRight {
        held::put_all_right(&self.0)
    }
}

/// Which maps the shared maps are, in the kernel's ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMapIds(pub(super) Vec<u32>);

impl SharedMaps {
    /// Opens the maps that are pinned, and makes those that are not. A pin that holds anything else
    /// than such a map is an error.
    pub fn open_or_create(pins: &PinDirectory) -> Result<Self, DatapathError> {
        let directory = pins.shared();
        let ids = shapes().map(|shape| ensure(&directory, shape));
        let ids = SharedMapIds(ids.collect::<Result<_, _>>()?);
        Ok(Self {
            pins: SharedPins(HeldPin::open_all(&directory, names())?),
            ids,
            bans: BanTables::open(&directory)?,
            alerts: AlertTables::open(&directory)?,
            events: AlertEvents::open(&directory)?,
            hits: HitTable::open(&directory)?,
            panic_off: PanicOff::open(&directory)?,
        })
    }
}

/// Refuses pins that hold anything else than such maps, and changes none. The id of the map with the
/// counts of alerts, where that is pinned.
pub fn examine(pins: &PinDirectory) -> Result<Option<u32>, DatapathError> {
    let directory = pins.shared();
    let mut counts = None;
    for shape in shapes() {
        let id = pinned(&directory, shape)?;
        if shape.name == ipblock_common::names::ALERT_COUNTS {
            counts = id;
        }
    }
    Ok(counts)
}

/// Their names, which are those in the BPF object and those of the pins.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    shapes().map(|shape| shape.name)
}

fn shapes() -> impl Iterator<Item = &'static Shape> {
    let alerts = &alerts::SHAPES;
    let bans = bans::SHAPES.iter().chain(&ban_filter::SHAPES);
    bans.chain(alerts)
        .chain(&hits::SHAPES)
        .chain([&panic_off::SHAPE])
}
