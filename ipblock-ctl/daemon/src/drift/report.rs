//! What has drifted since the start.

use std::{collections::BTreeMap, time::Instant};

use ipblock_policy::ZoneName;

/// What was found and put right, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// Zones whose generation is missing or wrong and could not be built, with why.
    pub(crate) unbuilt: BTreeMap<ZoneName, String>,
    /// Why pins could not be put right.
    pub(super) pins: Option<String>,
    /// Repairs since the start.
    pub(super) repaired: BTreeMap<Drifted, u64>,
    /// Nothing is sampled before.
    pub(super) rests_until: Option<Instant>,
    /// No zone is built before.
    pub(super) builds_after: Option<Instant>,
    /// How often zones were built in a row without an end to it.
    pub(super) attempts: u32,
}

/// What can drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Drifted {
    /// What is pinned.
    Pins,
    /// Links, and which program they run.
    Links,
    /// What a zone's maps say.
    Tables,
    /// What the ban tables say.
    Bans,
}

impl Drifted {
    const ALL: [Self; 4] = [Self::Pins, Self::Links, Self::Tables, Self::Bans];

    /// As a label.
    pub(crate) fn name(self) -> &'static str {
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
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        let unbuilt = self.unbuilt.iter();
        let unbuilt = unbuilt.map(|(zone, why)| format!("zone {zone} is not as deployed: {why}"));
        let pins = self.pins.iter().map(|why| {
            format!("what is pinned cannot be put right, and goes when ipblockd dies: {why}")
        });
        unbuilt.chain(pins)
    }

    /// Repairs since the start, by what drifted.
    pub(crate) fn repairs(&self) -> impl Iterator<Item = (Drifted, u64)> {
        let count = |part| self.repaired.get(&part).copied().unwrap_or_default();
        Drifted::ALL
            .into_iter()
            .map(move |part| (part, count(part)))
    }
}
