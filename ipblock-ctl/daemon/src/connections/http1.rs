//! What every connection has to keep to, whatever it asks for.

use std::{io, time::Duration};

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::time::sleep;
use tracing::warn;

/// How long to wait when no connection can be accepted, as when file descriptors have run out.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_secs(1);

/// Serves connections whose heads come within this time and have at most so many bytes. The same time
/// goes for the pause between two requests.
pub(crate) fn http1(head_time: Duration, head_bytes: usize) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(head_time)
        .max_buf_size(head_bytes);
    builder
}

/// Lets some time go by when no connection to `what` could be accepted.
pub(crate) async fn after_failed_accept(what: &str, error: io::Error) {
    // That is about this one connection, which has gone already.
    if error.kind() != io::ErrorKind::ConnectionAborted {
        warn!(%error, "no connection to the {what} can be accepted");
        sleep(AFTER_FAILED_ACCEPT).await;
    }
}
