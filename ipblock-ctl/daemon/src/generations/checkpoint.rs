//! Saves the counts of live generations and of bans.

use ipblock_api::error::ApiError;

use crate::state::Service;

impl Service {
    /// Saves the counts of live generations and of bans, in case of a power loss.
    pub fn checkpoint(&self) -> Result<(), ApiError> {
        // The lock prevents a switch in between, after which counts that are folded already would
        // be saved again.
        let state = self.read();
        for zone in state.generations.zones().values() {
            let counts = zone.counts()?;
            self.store.checkpoint(zone.generation.number(), &counts)?;
        }
        drop(state);
        self.checkpoint_bans()
    }
}
