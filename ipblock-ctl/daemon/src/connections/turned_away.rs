//! Connections for which there is no place.

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

/// Connections that are answered at a time; more are closed without a word.
const ANSWERED: usize = 32;
/// How long that may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Those of one listener that are being answered.
pub(super) struct TurnedAway(Arc<Semaphore>);

impl Default for TurnedAway {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ANSWERED)))
    }
}

impl TurnedAway {
    /// Says why there is no place, unless many connections are being answered already.
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
