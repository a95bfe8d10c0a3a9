//! Drift: where the kernel is not as it should be. Found, put right, and told.
//!
//! [`pins`] looks after what is pinned, [`samples`] after what the maps say and after zones that have no
//! generation; links and the programs that they run are looked after in `attach`.

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
