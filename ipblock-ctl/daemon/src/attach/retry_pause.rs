//! Interfaces whose attachment is not retried yet.

use std::time::{Duration, Instant};

use ipblock_datapath::Interface;

/// How long the daemon waits before it detaches other devices again for a failed attachment: each
/// attempt costs packets of the devices above.
const RETRY_PAUSE: Duration = Duration::from_mins(5);

/// A failed attachment for which the devices above were detached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPause {
    index: u32,
    until: Instant,
}

impl RetryPause {
    /// Returns a pause that starts at `started`.
    pub(super) fn of(interface: &Interface, started: Instant) -> Self {
        Self {
            index: interface.index,
            until: started + RETRY_PAUSE,
        }
    }

    /// Whether it applies to the device that has the interface's name now.
    pub(super) fn holds_for(self, interface: &Interface) -> bool {
        self.index == interface.index && Instant::now() < self.until
    }
}
