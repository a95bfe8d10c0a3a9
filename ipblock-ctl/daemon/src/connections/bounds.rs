//! What a listener's connections may take, whoever makes them.

use std::time::Duration;

/// Bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections at a time; more wait in the kernel's queue.
    pub(crate) at_once: usize,
    /// Whether a connection may have one request after the other.
    pub(crate) keep_alive: bool,
    /// Bytes of a request's head, and of a body that are read at once.
    pub(crate) head_bytes: usize,
    /// How long a request's head may take to arrive, and a connection without a request may stay.
    pub(crate) head: Duration,
    /// How long a peer may read nothing of an answer that waits for it.
    pub(crate) stall: Duration,
    /// How long a peer may take over an answer, also when it goes on reading.
    pub(crate) answer: Duration,
    /// How long a connection may last in all; none: as long as its peer keeps to the other bounds.
    pub(crate) whole: Option<Duration>,
}

impl Bounds {
    /// Of a listener that answers the API. The ranks of its principals bound the number of connections. No
    /// client on this host needs a tenth of the times.
    pub(crate) const API: Self = Self {
        at_once: usize::MAX,
        keep_alive: true,
        // A query has a few hundred.
        head_bytes: 64 << 10,
        head: Duration::from_secs(10),
        stall: Duration::from_secs(30),
        // `ipblock-ctl` waits as long; the largest answer takes a tenth of it.
        answer: Duration::from_mins(2),
        whole: None,
    };
}
