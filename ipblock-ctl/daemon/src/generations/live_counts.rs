//! What live generations have counted, with the base of those that are gone.

use ipblock_api::error::ApiError;

use crate::state::Service;

impl Service {
    /// Saves what live generations have counted, for the case that the machine loses power.
    pub fn checkpoint(&self) -> Result<(), ApiError> {
        // No switch in between, or counts that are folded already would be saved once more.
        let state = self.read();
        for zone in state.generations.zones().values() {
            let counts = zone.counts()?;
            self.store.checkpoint(zone.generation.number(), &counts)?;
        }
        Ok(())
    }
}
