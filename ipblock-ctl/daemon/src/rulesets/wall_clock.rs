//! Steps of the wall clock: a rule with an end as a time ends at that time.

use std::collections::BTreeMap;

use ipblock_api::error::ApiError;
use ipblock_datapath::clock::Now;
use jiff::SignedDuration;
use tracing::{info, warn};

use crate::{
    changing::Changing,
    end_times,
    rulesets::{Snapshot, rule_durations::Durations},
    state::Service,
};

impl Service {
    /// Recomputes the kernel's deadlines of rules after a step of the wall clock, so that a rule
    /// with an end as a time ends at that time. Called every second.
    pub(crate) fn follow_wall_clock(&self) -> Result<(), ApiError> {
        let offset = end_times::wall_offset(&Now::read());
        if end_times::is_a_step(self.read().rulesets.wall_offset(), offset) {
            let changing = &self.begin_change();
            let by = offset - self.read().rulesets.wall_offset();
            let by = SignedDuration::from_nanos_i128(by);
            info!(by = %by, "the clock was set: rules that end at a time move with it");
            self.rebuild_ending_zones(changing)?;
            self.write().rulesets.set_wall_offset(changing, offset);
        }
        Ok(())
    }

    /// Reads again which ends the store still has, after rules were removed that were never
    /// deployed.
    pub(crate) fn reload_durations(&self, changing: &Changing<'_>) {
        if !self.read().rulesets.has_durations() {
            return;
        }
        match self.store.rule_durations() {
            Ok(kept) => {
                let mut state = self.write();
                state.rulesets.set_durations(changing, Durations(kept));
            }
            // There are more than necessary: they belong to rules that do not exist.
            Err(error) => warn!(%error, "ends of rules that are gone stay in memory"),
        }
    }

    /// Replaces the generation of every zone in which a rule ends.
    fn rebuild_ending_zones(&self, changing: &Changing<'_>) -> Result<(), ApiError> {
        let Snapshot {
            revision, deployed, ..
        } = self.rulesets();
        let mut fresh = BTreeMap::new();
        for name in deployed.zone_names() {
            let mut rules = deployed.rules.iter();
            if !rules.any(|rule| rule.expires.is_some() && rule.holds_in(&name)) {
                continue;
            }
            let built = self.build_for(changing, &deployed, &name, revision)?;
            fresh.insert(name, built);
        }
        self.replace_generations(changing, fresh)
    }
}
