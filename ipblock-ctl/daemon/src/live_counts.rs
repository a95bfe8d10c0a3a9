//! What live generations have counted, with the base of those that are gone.

use ipblock_api::error::ApiError;
use ipblock_datapath::clock::Now;
use ipblock_store::GenerationCounts;

use super::{
    counts::{Counts, per_rule},
    state::{LiveZone, Service, State},
};

impl LiveZone {
    /// What this generation has counted, per rule.
    pub(super) fn counts(&self) -> Result<GenerationCounts, ApiError> {
        let kernel = self.generation.counts()?;
        Ok(per_rule(&self.classes, &kernel, &Now::read()))
    }
}

impl State {
    /// Base and live generations together.
    pub(super) fn counts(&self) -> Result<Counts, ApiError> {
        let mut all = self.base.clone();
        for (name, zone) in self.judging() {
            all.add(name, &zone.counts()?);
        }
        Ok(all)
    }
}

impl Service {
    /// Saves what live generations have counted, for the case that the machine loses power.
    pub fn checkpoint(&self) -> Result<(), ApiError> {
        // No switch in between, or counts that are folded already would be saved once more.
        let state = self.read();
        for zone in state.zones.values() {
            let counts = zone.counts()?;
            self.store.checkpoint(zone.generation.number(), &counts)?;
        }
        Ok(())
    }
}
