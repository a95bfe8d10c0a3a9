//! Bodies of requests: so large, so long on their way, and so many large ones at once.

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

/// Largest body of who may change something: a ruleset file of some two million entries.
const MAX_BODY: usize = 64 << 20;
/// Largest body of who may only look, which is a `check` of some 50,000 addresses. A larger one of
/// others waits for its turn.
const SMALL_BODY: usize = 1 << 20;
/// Large bodies that are held and worked on at once, of root and of others: each takes a few times its
/// size, and nobody waits for whoever may do less.
const LARGE_OF_ROOT: usize = 2;
const LARGE_OF_OTHERS: usize = 3;
/// How long a body may take to arrive: 64 MiB come in less than a second from this host.
const BODY_TIME: Duration = Duration::from_mins(1);
/// Largest backup that is taken back.
pub(super) const MAX_BACKUP: usize = 1 << 30;
/// How long a backup may take to arrive, which goes to the disk.
pub(super) const BACKUP_TIME: Duration = Duration::from_mins(10);

/// What all requests share.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    /// Leave for a large one of root.
    of_root: Arc<Semaphore>,
    /// Leave for a large one of others.
    of_others: Arc<Semaphore>,
    /// How long one may take to arrive.
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

    /// Waits for its turn, as long as a body may take to arrive.
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

/// Reads the whole body before the request goes on.
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

/// Lets a body through that is read in parts, in its turn.
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

/// Its turn did not come.
fn busy() -> ErrorAnswer {
    let message = "other large requests are under way".to_owned();
    ErrorAnswer(ApiError::new(ErrorKind::Conflict, message).with_hint("repeat it in a minute"))
}

/// The body did not come in this time.
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
