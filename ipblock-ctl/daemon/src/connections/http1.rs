//! What every connection has to keep to, whatever it asks for.

use std::{io, time::Duration};

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::time::sleep;
use tracing::warn;

use super::bounds::Bounds;

/// How long to wait when no connection can be accepted, as when file descriptors have run out.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_secs(1);

/// Serves connections within these bounds.
pub(super) fn http1(bounds: &Bounds) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_buf_size(bounds.head_bytes)
        .keep_alive(bounds.keep_alive);
    builder
}

/// Lets some time go by when no connection to `what` could be accepted.
pub(super) async fn after_failed_accept(what: &str, error: io::Error) {
    // That is about this one connection, which has gone already.
    if error.kind() != io::ErrorKind::ConnectionAborted {
        warn!(%error, "no connection to the {what} can be accepted");
        sleep(AFTER_FAILED_ACCEPT).await;
    }
}
