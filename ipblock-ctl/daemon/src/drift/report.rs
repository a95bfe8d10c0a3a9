//! What has drifted since the start.

use std::{collections::BTreeMap, time::Instant};

use ipblock_policy::ZoneName;

/// What was repaired, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// Zones whose generation is missing or wrong and could not be built, with the reason.
    pub(crate) unbuilt: BTreeMap<ZoneName, String>,
    /// Why pins could not be restored.
    pub(super) pins: Option<String>,
    /// Repairs since the start.
    pub(super) repaired: BTreeMap<Drifted, u64>,
    /// The time of the next sample.
    pub(super) rests_until: Option<Instant>,
    /// The earliest time to build a zone again.
    pub(super) builds_after: Option<Instant>,
    /// Number of consecutive builds without success.
    pub(super) attempts: u32,
}

/// A kind of drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Drifted {
    /// What is pinned.
    Pins,
    /// Links, and which program they run.
    Links,
    /// Links, and their programs.
    Tables,
    /// What the ban tables say.
    Bans,
}

impl Drifted {
    const ALL: [Self; 4] = [Self::Pins, Self::Links, Self::Tables, Self::Bans];

    /// Returns its label.
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
    /// Returns problems for the operator.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        let unbuilt = self.unbuilt.iter();
        let unbuilt = unbuilt.map(|(zone, why)| format!("zone {zone} is not as deployed: {why}"));
        let pins = self.pins.iter().map(|why| {
            format!("what is pinned cannot be put right, and goes when ipblockd dies: {why}")
        });
        unbuilt.chain(pins)
    }

    /// Returns the repairs since the start, by kind.
    pub(crate) fn repairs(&self) -> impl Iterator<Item = (Drifted, u64)> {
        let count = |part| self.repaired.get(&part).copied().unwrap_or_default();
        Drifted::ALL
            .into_iter()
            .map(move |part| (part, count(part)))
    }
}
