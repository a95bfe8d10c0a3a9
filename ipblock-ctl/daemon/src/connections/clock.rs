//! Timeouts of answers: how long a client may take, however steadily it reads.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::{
    Response,
    body::{Body as HttpBody, Frame, SizeHint},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// An extension of a response: the timeout of this answer, if it is not the usual one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerTime(pub(crate) Duration);

/// The timers of one connection.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// The deadline of the present answer.
    answer: watch::Sender<Option<Instant>>,
    /// The deadline of the connection.
    whole: Option<Instant>,
}

impl Clock {
    /// Returns the timers of a connection that begins now and has this maximum duration.
    pub(super) fn new(whole: Option<Duration>) -> Self {
        Self {
            answer: watch::Sender::new(None),
            whole: whole.map(|whole| Instant::now() + whole),
        }
    }

    /// Runs until the body is sent or dropped.
    pub(super) fn time(&self, response: Response<Body>, usual: Duration) -> Response<Timed> {
        let asked = response.extensions().get::<AnswerTime>();
        let time = asked.map_or(usual, |time| time.0);
        self.answer.send_replace(Some(Instant::now() + time));
        let running = Running(self.clone());
        response.map(|body| Timed {
            body,
            _running: running,
        })
    }

    /// Returns when an answer or the connection has taken too long.
    pub(super) async fn ran_out(&self) {
        let mut until = self.answer.subscribe();
        loop {
            let answer = *until.borrow_and_update();
            let deadline = [answer, self.whole].into_iter().flatten().min();
            // The sender is in `self`.
            let changed = until.changed();
            match deadline {
                None => drop(changed.await),
                Some(deadline) => tokio::select! {
                    () = sleep_until(deadline) => return,
                    _ = changed => {}
                },
            }
        }
    }
}

/// Stops the timer when dropped.
#[derive(Debug)]
struct Running(Clock);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.answer.send_replace(None);
    }
}

/// A body that is timed until it is finished.
#[derive(Debug)]
pub(super) struct Timed {
    body: Body,
    _running: Running,
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
