//! The destination of an answer's bytes: a short answer is one part. A longer one is sent in parts,
//! each before the next is computed.

use std::{io, mem};

use axum::body::{Body, Bytes};
use http_body_util::channel::{Channel, Sender};
use ipblock_api::error::{ApiError, ErrorKind};
use tokio::{runtime::Handle, sync::oneshot};
use tracing::{debug, warn};

use super::Refusal;

/// Size of a part in bytes. A connection keeps three or four of them: here, in the channel, and in
/// hyper.
const PART: usize = 32 << 10;
/// Parts that wait for hyper.
const WAITING: usize = 1;

/// Writes from a blocking thread of the runtime, as fast as the client reads.
pub(super) struct Parts {
    part: Vec<u8>,
    to: To,
    /// Whether the client has left early.
    is_left: bool,
}

enum To {
    /// Nothing was sent yet.
    Head(oneshot::Sender<Result<Body, Refusal>>),
    /// The head was sent, and a part of the body.
    Body(Sender<Bytes, io::Error>),
    /// Finished.
    Over,
}

impl Parts {
    pub(super) fn new(head: oneshot::Sender<Result<Body, Refusal>>) -> Self {
        Self {
            part: Vec::new(),
            to: To::Head(head),
            is_left: false,
        }
    }

    /// Sends the rest, or ends the body because of an error.
    pub(super) fn end(mut self, written: io::Result<()>) {
        match written {
            Ok(()) => self.finish(),
            Err(error) if self.is_left => debug!(%error, "an answer was not read to its end"),
            Err(error) => {
                warn!(%error, "an answer could not be made to its end");
                self.abort(&error);
            }
        }
    }

    fn finish(&mut self) {
        let rest = Bytes::from(mem::take(&mut self.part));
        match mem::replace(&mut self.to, To::Over) {
            // The client may have left.
            To::Head(head) => drop(head.send(Ok(Body::from(rest)))),
            To::Body(mut body) => drop(Handle::current().block_on(body.send_data(rest))),
            To::Over => {}
        }
    }

    /// Answers with the error. After the start of the body, ends it so that the client detects that
    /// it is incomplete.
    fn abort(&mut self, error: &io::Error) {
        match mem::replace(&mut self.to, To::Over) {
            To::Head(head) => {
                let error = ApiError::new(ErrorKind::Failed, error.to_string());
                drop(head.send(Err(Refusal::Api(error))));
            }
            To::Body(body) => body.abort(io::Error::other(error.to_string())),
            To::Over => {}
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let part = mem::replace(&mut self.part, Vec::with_capacity(PART));
        let sent = match mem::replace(&mut self.to, To::Over) {
            To::Body(body) => Some(body),
            To::Head(head) => {
                let (sender, body) = Channel::new(WAITING);
                head.send(Ok(Body::new(body))).is_ok().then_some(sender)
            }
            To::Over => None,
        };
        let sent = sent.and_then(|mut body| {
            let sent = Handle::current().block_on(body.send_data(part.into()));
            sent.is_ok().then_some(body)
        });
        self.is_left = sent.is_none();
        self.to = To::Body(sent.ok_or(io::ErrorKind::BrokenPipe)?);
        Ok(())
    }
}

impl io::Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.part.is_empty() && self.part.len() + bytes.len() > PART {
            self.send()?;
        }
        let taken = bytes.get(..PART).unwrap_or(bytes);
        self.part.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        // The code that computes it has panicked.
        if let To::Body(body) = mem::replace(&mut self.to, To::Over) {
            body.abort(io::Error::other("the answer was not made to its end"));
        }
    }
}
