//! Limits on request bodies: size, arrival time, number of large ones at a time.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, HttpBody as _},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use ipblock_api::error::{ApiError, ErrorKind};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    connections::{Cut, Ticket},
    error::ErrorAnswer,
};

/// Maximum body of a principal that may change something: a ruleset file of about two million
/// entries.
const MAX_BODY: usize = 64 << 20;
/// Maximum body of a principal that may only view: a `check` of about 50,000 addresses. A larger
/// one of other principals waits for its turn.
const SMALL_BODY: usize = 1 << 20;
/// Maximum of large bodies that are processed at a time, for root and for others: each takes a few
/// times its size. No principal waits for one with fewer rights.
const LARGE_OF_ROOT: usize = 2;
const LARGE_OF_OTHERS: usize = 3;
/// Timeout for the arrival of a body: 64 MiB take less than a second from this host.
const BODY_TIME: Duration = Duration::from_mins(1);
/// Maximum size of a backup to restore.
pub(super) const MAX_BACKUP: usize = 1 << 30;
/// Timeout for the arrival of a backup, which goes to the disk.
pub(super) const BACKUP_TIME: Duration = Duration::from_mins(10);

/// The state that all requests share.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    /// Permits for large bodies of root.
    of_root: Arc<Semaphore>,
    /// Permits for large bodies of others.
    of_others: Arc<Semaphore>,
    /// Timeout for the arrival of a body.
    time: Duration,
}

impl Bodies {
    pub(super) fn new() -> Self {
        Self::with_time(BODY_TIME)
    }

    pub(super) fn with_time(time: Duration) -> Self {
        Self {
            of_root: Arc::new(Semaphore::new(LARGE_OF_ROOT)),
            of_others: Arc::new(Semaphore::new(LARGE_OF_OTHERS)),
            time,
        }
    }

    /// Waits for its turn, at most as long as a body may take to arrive.
    async fn take_large(self, ticket: &Ticket) -> Result<(), ErrorAnswer> {
        let leave = if ticket.is_roots() {
            self.of_root
        } else {
            self.of_others
        };
        let Ok(leave) = timeout(self.time, leave.acquire_owned()).await else {
            return Err(busy());
        };
        ticket.hold(leave.ok());
        Ok(())
    }
}

/// Reads the whole body before the request is handled.
pub(super) async fn whole(
    State(bodies): State<Bodies>,
    Extension(ticket): Extension<Arc<Ticket>>,
    request: Request,
    next: Next,
) -> Response {
    let (head, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(head, Body::empty())).await;
    }
    let most = if ticket.may_change() {
        MAX_BODY
    } else {
        SMALL_BODY
    };
    let (size, time) = (body.size_hint(), bodies.time);
    if size.lower() > most as u64 {
        return too_large(most).into_response();
    }
    let is_small = |size| size <= SMALL_BODY as u64;
    if ticket.may_change()
        && !size.upper().is_some_and(is_small)
        && let Err(failure) = bodies.take_large(&ticket).await
    {
        return failure.into_response();
    }
    let response = match timeout(time, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => {
            let body = Body::new(Full::new(body.to_bytes()));
            next.run(Request::from_parts(head, body)).await
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_large(most).into_response(),
        Ok(Err(error)) => {
            refused(format!("the request could not be received: {error}")).into_response()
        }
        Err(_) => {
            ticket.places().count(Cut::TimedOut);
            too_slow(time).into_response()
        }
    };
    ticket.hold(None);
    response
}

/// Passes on a body that is read in parts, in its turn.
pub(super) async fn in_parts(
    State(bodies): State<Bodies>,
    Extension(ticket): Extension<Arc<Ticket>>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(failure) = bodies.take_large(&ticket).await {
        return failure.into_response();
    }
    let response = next.run(request).await;
    ticket.hold(None);
    response
}

fn too_large(most: usize) -> ErrorAnswer {
    refused(format!("the request is larger than {most} bytes"))
}

/// The error if its turn did not come.
fn busy() -> ErrorAnswer {
    let message = "other large requests are under way".to_owned();
    ErrorAnswer(ApiError::new(ErrorKind::Conflict, message).with_hint("repeat it in a minute"))
}

/// The error if the body did not arrive in time.
pub(super) fn too_slow(time: Duration) -> ErrorAnswer {
    let seconds = time.as_secs();
    refused(format!("the request did not arrive within {seconds} s"))
}

fn refused(message: String) -> ErrorAnswer {
    ErrorAnswer(ApiError::new(ErrorKind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documented::{limit, size};

    #[test]
    fn the_limits_of_bodies_are_documented() {
        assert_eq!(
            limit("a body"),
            format!(
                "{} ({} of who may only look), and {} s to arrive; a backup {} and {} minutes",
                size(MAX_BODY),
                size(SMALL_BODY),
                BODY_TIME.as_secs(),
                size(MAX_BACKUP),
                BACKUP_TIME.as_secs() / 60
            )
        );
        assert_eq!(
            limit(&format!("bodies over {}", size(SMALL_BODY))),
            format!(
                "{LARGE_OF_ROOT} of root and {LARGE_OF_OTHERS} of all others at a time; one more waits \
                 for {} s",
                BODY_TIME.as_secs()
            )
        );
    }
}
