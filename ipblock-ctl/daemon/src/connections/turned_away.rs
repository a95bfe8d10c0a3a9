//! Connections without a free place.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use ipblock_api::error::ApiError;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::timeout,
};
use tracing::debug;

use super::{bounds::Bounds, http1::http1};
use crate::error::ErrorAnswer;

/// Maximum of connections that get an answer at a time; more are closed without one.
const ANSWERED: usize = 32;
/// Timeout of that answer.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The connections of one listener that get such an answer.
pub(super) struct TurnedAway(Arc<Semaphore>);

impl Default for TurnedAway {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERED)))
    }
}

impl TurnedAway {
    /// Answers why there is no place, unless many connections are getting that answer already.
    pub(super) fn tell<I>(&self, io: I, error: ApiError, bounds: &Bounds)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(leave) = Arc::clone(&self.0).try_acquire_owned() else {
            return;
        };
        let bounds = Bounds {
            keep_alive: false,
            head: LAST_WORDS,
            ..*bounds
        };
        tokio::spawn(async move {
            drop(timeout(LAST_WORDS, say_why(io, error, bounds)).await);
            drop(leave);
        });
    }
}

/// Answers any request with the error.
async fn say_why<I>(io: I, error: ApiError, bounds: Bounds)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |_request: Request<Incoming>| {
        let answer = (StatusCode::SERVICE_UNAVAILABLE, ErrorAnswer(error.clone()));
        async move { Ok::<Response, Infallible>(answer.into_response()) }
    });
    let served = http1(&bounds)
        .serve_connection(TokioIo::new(io), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection that found no place ended early");
    }
}
