//! The common limits of every connection.

use std::{io, time::Duration};

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tracing::warn;

use super::bounds::Bounds;

/// Delay if no connection can be accepted, for example without free file descriptors.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_secs(1);

/// Returns a builder for connections with these limits.
pub(super) fn http1(bounds: &Bounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .keep_alive(bounds.keep_alive);
    builder
}

/// Returns the delay after a failed accept on `what`.
pub(super) fn after_failed_accept(what: &str, error: &io::Error) -> Duration {
    // This concerns only one connection, which is already closed.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return Duration::ZERO;
    }
    warn!(%error, "no connection to the {what} can be accepted");
    AFTER_FAILED_ACCEPT
}
