//! Interfaces that are not tried again yet.

use std::time::{Duration, Instant};

use ipblock_datapath::Interface;

/// How long the daemon does not take others off again for an interface that could not be attached:
/// each time costs packets of the devices above.
const RETRY_PAUSE: Duration = Duration::from_mins(5);

/// An interface that could not be attached although what was above it was taken off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPause {
    index: u32,
    until: Instant,
}

impl RetryPause {
    /// From `started` on.
    pub(super) fn of(interface: &Interface, started: Instant) -> Self {
        Self {
            index: interface.index,
            until: started + RETRY_PAUSE,
        }
    }

    /// Whether it holds for what has the interface's name now.
    pub(super) fn holds_for(self, interface: &Interface) -> bool {
        self.index == interface.index && Instant::now() < self.until
    }
}
