//! Answers are computed and written on a blocking thread, in parts, as fast as the client reads.
//!
//! No answer is completely in memory. A list is computed element by element while it is written.
//! Its input is shared with the daemon's state or read page by page, so a slow client blocks no
//! lock. An answer reserves any other memory from its [`Room`].

mod parts;
mod ruleset_texts;

use std::{
    fmt,
    io::{self, Write as _},
    marker::PhantomData,
    ops::ControlFlow,
};

use axum::{
    body::Bytes,
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
};
use ipblock_api::error::{ApiError, ErrorKind};
use serde::{
    Serialize, Serializer,
    de::DeserializeOwned,
    ser::{Error as _, SerializeSeq as _},
};
use tokio::sync::oneshot;

use self::parts::Parts;
pub(super) use self::ruleset_texts::{ElementTexts, RuleToml, RulesetToml};
pub(super) use super::error::Refusal;

use super::{
    connections::{self, Room},
    error::ErrorAnswer,
};

/// Answers with the result of `make`, as JSON.
///
/// An error after the first part ends the body early, which the client can detect.
pub(super) async fn answer<S: Send + 'static, T: Serialize>(
    service: S,
    make: impl FnOnce(&S, &mut Room) -> Result<T, Refusal> + Send + 'static,
) -> Response {
    let write =
        |value: &T, parts: &mut Parts| serde_json::to_writer(parts, value).map_err(io::Error::from);
    respond("application/json", service, make, write).await
}

/// Answers with a text of this type.
pub(super) async fn answer_text<S: Send + 'static>(
    kind: &'static str,
    service: S,
    make: impl FnOnce(&S, &mut Room) -> Result<String, Refusal> + Send + 'static,
) -> Response {
    let write = |text: &String, parts: &mut Parts| parts.write_all(text.as_bytes());
    respond(kind, service, make, write).await
}

async fn respond<S: Send + 'static, T>(
    kind: &'static str,
    service: S,
    make: impl FnOnce(&S, &mut Room) -> Result<T, Refusal> + Send + 'static,
    write: impl FnOnce(&T, &mut Parts) -> io::Result<()> + Send + 'static,
) -> Response {
    let ticket = connections::ticket();
    let (head, begun) = oneshot::channel();
    let work = tokio::task::spawn_blocking(move || {
        let mut room = ticket
            .as_ref()
            .map_or(Room::unbounded(), |ticket| ticket.room());
        match make(&service, &mut room) {
            Ok(value) => {
                let mut parts = Parts::new(head);
                let written = write(&value, &mut parts);
                parts.end(written);
            }
            // The client may have left.
            Err(refusal) => drop(head.send(Err(refusal))),
        }
        drop(room);
        // Not earlier: the work continues even if the client does not wait for it.
        drop(ticket);
    });
    match begun.await {
        Ok(Ok(body)) => ([(CONTENT_TYPE, kind)], body).into_response(),
        Ok(Err(refusal)) => refusal.into_response(),
        Err(_) => match work.await {
            Ok(()) => failed(&"it ended").into_response(),
            Err(panic) => failed(&panic).into_response(),
        },
    }
}

/// Runs a method of the service on a blocking thread and returns its result, which is not
/// serialised yet.
pub(super) async fn run_blocking<T: Send + 'static>(
    method: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ErrorAnswer> {
    let ticket = connections::ticket();
    let work = tokio::task::spawn_blocking(move || {
        let result = method();
        // Not earlier: the work continues even if the client does not wait for it.
        drop(ticket);
        result
    });
    match work.await {
        Ok(result) => result.map_err(ErrorAnswer),
        Err(panic) => Err(failed(&panic)),
    }
}

/// The error if the work for an answer has panicked.
fn failed(panic: &dyn fmt::Display) -> ErrorAnswer {
    let error = ApiError::new(ErrorKind::Failed, format!("the request failed: {panic}"));
    ErrorAnswer(error.with_hint("this is a bug in ipblockd; its log tells more"))
}

/// Deserialises a body and drops it: a large request is in memory only once.
#[expect(
    clippy::needless_pass_by_value,
    reason = "nothing needs the body after this"
)]
pub(super) fn parse<T: DeserializeOwned>(body: Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::new(ErrorKind::Invalid, format!("request body: {error}")))
}

/// Receives the elements of an [`Array`]; breaks if no more are wanted.
pub(super) type Sink<'a, T> = &'a mut dyn FnMut(T) -> ControlFlow<()>;

/// An array whose elements are computed one by one while it is written.
pub(super) struct Array<F, T> {
    make: F,
    elements: PhantomData<fn(T)>,
}

impl<F, T> Array<F, T>
where
    F: Fn(Sink<'_, T>) -> Result<(), ApiError>,
{
    /// Returns an array of the elements that `make` passes to its sink.
    pub(super) const fn new(make: F) -> Self {
        Self {
            make,
            elements: PhantomData,
        }
    }
}

impl<F, T> Serialize for Array<F, T>
where
    F: Fn(Sink<'_, T>) -> Result<(), ApiError>,
    T: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(None)?;
        let mut failed = None;
        let made = (self.make)(&mut |element| match array.serialize_element(&element) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        made.map_err(S::Error::custom)?;
        array.end()
    }
}
