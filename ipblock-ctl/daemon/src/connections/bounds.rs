//! Limits on a listener's connections.

use std::time::Duration;

/// Limits of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Maximum of simultaneous connections; more wait in the kernel's queue.
    pub(crate) at_once: usize,
    /// Whether a connection may have several requests.
    pub(crate) keep_alive: bool,
    /// Maximum size of a request's head, and of a part of a body, in bytes.
    pub(crate) head_bytes: usize,
    /// Timeout for the arrival of a request's head, and for a connection without a request.
    pub(crate) head: Duration,
    /// Timeout for a peer that reads nothing of a pending answer.
    pub(crate) stall: Duration,
    /// Timeout for an answer as a whole, even if the peer continues to read.
    pub(crate) answer: Duration,
    /// Maximum duration of a connection; `None` means no limit as long as the others are met.
    pub(crate) whole: Option<Duration>,
}

impl Bounds {
    /// Limits of a listener for the API. The ranks of its principals limit the number of
    /// connections. No client on this host needs a tenth of the times.
    pub(crate) const API: Self = Self {
        at_once: usize::MAX,
        keep_alive: true,
        // A query has a few hundred bytes.
        head_bytes: 64 << 10,
        head: Duration::from_secs(10),
        stall: Duration::from_secs(30),
        // `ipblock-ctl` waits for the same time; the largest answer takes a tenth of it.
        answer: Duration::from_mins(2),
        whole: None,
    };
}
