//! Drift: where the kernel is not as it should be. Found, put right, and told.
//!
//! [`pins`] looks after what is pinned, [`look`] after what the maps say and after zones that have no
//! generation; links and the programs that they run are looked after in `attach`.

mod look;
mod pins;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use tracing::warn;

use super::state::{Service, State};
use crate::{policy::ZoneName, store::Author};

/// What was found and put right, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// Zones whose generation is missing or wrong and could not be built, with why.
    pub(super) unbuilt: BTreeMap<ZoneName, String>,
    /// Why pins could not be put right.
    pins: Option<String>,
    /// Repairs since the start.
    repaired: BTreeMap<Part, u64>,
    /// Nothing is sampled before.
    rests_until: Option<Instant>,
    /// No zone is built before.
    builds_after: Option<Instant>,
    /// How often zones were built in a row without an end to it.
    attempts: u32,
}

/// What can drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What is pinned.
    Pins,
    /// Links, and which program they run.
    Links,
    /// What a zone's maps say.
    Tables,
    /// What the ban tables say.
    Bans,
}

impl Part {
    const ALL: [Self; 4] = [Self::Pins, Self::Links, Self::Tables, Self::Bans];

    /// As a label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pins => "pins",
            Self::Links => "links",
            Self::Tables => "tables",
            Self::Bans => "bans",
        }
    }
}

impl Drift {
    /// What needs an operator's eye.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let unbuilt = self.unbuilt.iter();
        let unbuilt = unbuilt.map(|(zone, why)| format!("zone {zone} is not as deployed: {why}"));
        let pins = self.pins.iter().map(|why| {
            format!("what is pinned cannot be put right, and goes when ipblockd dies: {why}")
        });
        unbuilt.chain(pins)
    }

    /// Repairs since the start, by what drifted.
    pub(super) fn repairs(&self) -> impl Iterator<Item = (Part, u64)> {
        let count = |part| self.repaired.get(&part).copied().unwrap_or_default();
        Part::ALL.into_iter().map(move |part| (part, count(part)))
    }
}

impl State {
    /// Zones that have no generation, or one that could not be replaced.
    fn lacking(&self) -> BTreeSet<ZoneName> {
        let deployed = self.deployed.zone_names().into_iter();
        let is_lacking = |zone: &ZoneName| {
            !self.zones.contains_key(zone) || self.drift.unbuilt.contains_key(zone)
        };
        deployed.filter(is_lacking).collect()
    }
}

impl Service {
    /// Counts a repair, and tells of it.
    pub(super) fn repaired(&self, part: Part, what: &str) {
        *self.write().drift.repaired.entry(part).or_default() += 1;
        warn!(part = part.name(), what, "drift was put right");
        self.audit(&Author::daemon(), "repair", what);
    }
}
