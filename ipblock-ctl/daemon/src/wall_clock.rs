//! When the wall clock is set: rules that end at a time end at that time.

use std::{collections::BTreeMap, sync::Arc};

use ipblock_api::error::ApiError;
use ipblock_datapath::clock::Now;
use jiff::SignedDuration;
use tracing::{info, warn};

use super::{changing::Changing, durations::Durations, ends, state::Service};

impl Service {
    /// Reckons the kernel's deadlines of rules anew when the wall clock was set: a rule that ends at
    /// a time ends at that time. Called every second.
    pub(super) fn follow_wall_clock(&self) -> Result<(), ApiError> {
        let offset = ends::wall_offset(&Now::read());
        if ends::is_a_step(self.read().wall_offset, offset) {
            let changing = &self.begin_change();
            let by = offset - self.read().wall_offset;
            let by = SignedDuration::from_nanos_i128(by);
            info!(by = %by, "the clock was set: rules that end at a time move with it");
            self.rebuild_ending_zones(changing)?;
            self.write().wall_offset = offset;
        }
        Ok(())
    }

    /// Takes up which ends the store still keeps, where rules may have gone that were never deployed.
    pub(super) fn reload_durations(&self) {
        if self.read().durations.0.is_empty() {
            return;
        }
        match self.store.rule_durations() {
            Ok(kept) => self.write().durations = Durations(kept),
            // More than there are: they are of rules that are nowhere.
            Err(error) => warn!(%error, "ends of rules that are gone stay in memory"),
        }
    }

    /// Replaces the generation of every zone in which a rule ends.
    fn rebuild_ending_zones(&self, changing: &Changing<'_>) -> Result<(), ApiError> {
        let (deployed, revision) = {
            let state = self.read();
            (Arc::clone(&state.deployed), state.revision)
        };
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
