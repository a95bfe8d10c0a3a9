//! Pins: without them, the filter ends with the daemon.

use ipblock_datapath::{PinDirectory, PinnedLink, PutRight};
use ipblock_policy::{Hinted, text::counted};
use tracing::error;

use super::{Drifted, Service, State};

impl Service {
    /// Restores pins that were removed or replaced. Called every second, when there is no change.
    pub(crate) fn put_pins_right(&self) {
        let PutRight { count, failed } = self.pins_put_right(&self.read());
        if count > 0 {
            let pins = counted(count, "pin was", "pins were");
            self.repaired(Drifted::Pins, &format!("{pins} gone or replaced"));
        }
        let problem = failed.map(|error| error.in_one_line());
        let known = std::mem::replace(&mut self.write().drift.pins, problem.clone());
        // Tried every second, but reported once.
        if let Some(problem) = problem.filter(|problem| known.as_ref() != Some(problem)) {
            error!(%problem, "pins cannot be put right");
        }
    }

    fn pins_put_right(&self, state: &State) -> PutRight {
        // Without a bpffs nothing can be pinned, and directories would be left behind. A new mount
        // has none yet.
        if let Err(error) = PinDirectory::create(&self.settings.bpffs) {
            return PutRight {
                count: 0,
                failed: Some(error),
            };
        }
        // Links first: without them, filtering ends with this process.
        let links = state.interfaces.links();
        let links = links.map(|(_, link)| PinnedLink::put_pin_right(link));
        let generations = state
            .generations
            .judging()
            .map(|(_, live)| live.generation.put_pins_right());
        links
            .chain(generations)
            .fold(self.shared_pins.put_right(), PutRight::and)
    }
}
