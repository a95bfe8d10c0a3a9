//! Drift: differences between the kernel and the intended state. They are found, repaired and
//! reported.
//!
//! [`pins`] checks the pins; [`samples`] checks the maps and zones without a generation. `attach`
//! checks the links and their programs.

mod pins;
pub(super) mod report;
mod samples;

use std::collections::BTreeSet;

use ipblock_policy::ZoneName;
use ipblock_store::Author;
use tracing::warn;

use report::Drifted;

use super::state::{Service, State};

impl State {
    /// Returns zones without a generation, or with one that could not be replaced.
    fn lacking(&self) -> BTreeSet<ZoneName> {
        let deployed = self.rulesets.deployed().zone_names().into_iter();
        let is_lacking = |zone: &ZoneName| {
            self.generations.of_zone(zone).is_none() || self.drift.unbuilt.contains_key(zone)
        };
        deployed.filter(is_lacking).collect()
    }
}

impl Service {
    /// Counts a repair, and reports it.
    pub(super) fn repaired(&self, part: Drifted, what: &str) {
        *self.write().drift.repaired.entry(part).or_default() += 1;
        warn!(part = part.name(), what, "drift was put right");
        self.audit(&Author::daemon(), "repair", what);
    }
}
