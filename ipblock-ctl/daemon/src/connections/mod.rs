//! Connections to the unix socket: who finds a place, and how long one may be slow.
//!
//! Everyone may connect, so nobody is trusted to be quick, to be brief or to speak HTTP at all. Only
//! the time that the daemon itself takes has no limit: a deploy is long, and who follows alerts waits.

mod clock;
mod http1;
pub(super) mod places;
pub(super) mod rank;
mod reception;
pub(super) mod room;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, error::Error as _, io, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use hyper::{Request, body::Incoming, service::Service as _, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use ipblock_api::error::ApiError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, oneshot},
    task_local,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;
use tracing::{debug, warn};

use super::error::Failure;
pub(super) use clock::AnswerTime;
use clock::Clock;
pub(super) use http1::{after_failed_accept, http1};
#[cfg(test)]
pub(super) use places::Tally;
pub(super) use places::{Cut, Places, Ticket, Traffic};
pub(super) use rank::Rank;
use reception::{Identify, Received, Reception};
pub(super) use room::{Room, Rooms};

/// How slow a peer may be.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How long a request's head may take to arrive, and a connection without a request may stay.
    head: Duration,
    /// How long a peer may read nothing of an answer that waits for it.
    stall: Duration,
    /// How long a peer may take over an answer, also when it goes on reading.
    answer: Duration,
}

impl Pace {
    /// No client on this host needs a tenth of it.
    const USUAL: Self = Self {
        head: Duration::from_secs(10),
        stall: Duration::from_secs(30),
        answer: ANSWER_TIME,
    };
}

/// How long an answer may take from its first byte to its last. `ipblock-ctl` waits as long; the largest
/// answer takes a tenth of it.
pub(super) const ANSWER_TIME: Duration = Duration::from_mins(2);
/// Bytes of a request's head, and of a body that are read at once: a query has a few hundred.
const HEAD_BYTES: usize = 64 << 10;
/// Connections that are told why there is no place for them; more are closed without a word.
const TURNED_AWAY: usize = 32;
/// How long that may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

task_local! {
    static TICKET: Arc<Ticket>;
}

/// The place of the connection that the running task serves. Work that goes on when the connection is
/// gone has to hold it: clients that come, ask and leave would make any amount of work otherwise.
pub(super) fn ticket() -> Option<Arc<Ticket>> {
    TICKET.try_with(Arc::clone).ok()
}

/// As many descriptors as this process may have: the least that systems give is 1,024. Pins and maps of
/// generations take some dozens a zone.
pub(super) fn make_room() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        warn!(%error, "the number of open files could not be raised");
    }
}

/// Answers until `stopped` comes or is dropped, and then until requests that are under way are
/// answered.
pub(super) async fn serve(
    listener: UnixListener,
    routes: Router,
    places: Arc<Places>,
    stopped: oneshot::Receiver<()>,
) {
    let usual = (Pace::USUAL, Identify::USUAL);
    serve_at(usual, listener, routes, places, stopped).await;
}

async fn serve_at(
    (pace, identify): (Pace, Identify),
    listener: UnixListener,
    routes: Router,
    places: Arc<Places>,
    mut stopped: oneshot::Receiver<()>,
) {
    let routes = TowerToHyperService::new(routes);
    let open = GracefulShutdown::new();
    let turned_away = Arc::new(Semaphore::new(TURNED_AWAY));
    let mut reception = Reception::new(identify, &places);
    loop {
        let received = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => reception.receive(stream),
                Err(error) => {
                    after_failed_accept("socket", error).await;
                    continue;
                }
            },
            Some(known) = reception.known() => Received::Known(known),
            _ = &mut stopped => break,
        };
        let (stream, peer) = match received {
            Received::Known(known) => known,
            Received::Asked => continue,
            Received::Refused(stream, error) => {
                turn_away(stream, error, &turned_away);
                continue;
            }
        };
        let ticket = match places.take(peer.rank(), peer.uid_or_nobody()) {
            Ok(ticket) => Arc::new(ticket),
            Err(error) => {
                turn_away(stream, error, &turned_away);
                continue;
            }
        };
        let clock = Clock::new();
        let service = service_fn({
            let routes = routes.clone();
            let ticket = Arc::clone(&ticket);
            let clock = clock.clone();
            move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer.clone());
                request.extensions_mut().insert(Arc::clone(&ticket));
                let answer = routes.call(request);
                let clock = clock.clone();
                async move { Ok::<_, Infallible>(clock.time(answer.await?, pace.answer)) }
            }
        });
        let connection =
            http1(pace.head, HEAD_BYTES).serve_connection(patient(stream, pace.stall), service);
        let connection = open.watch(connection);
        tokio::spawn(TICKET.scope(Arc::clone(&ticket), async move {
            let ended = tokio::select! {
                ended = connection => ended,
                () = clock.ran_out() => {
                    ticket.places().count(Cut::TimedOut);
                    debug!("a connection ended early: its client took too long over an answer");
                    return;
                }
            };
            if let Err(error) = ended {
                if let Some(cut) = cut(&error) {
                    ticket.places().count(cut);
                }
                debug!(%error, "a connection ended early");
            }
        }));
    }
    drop(listener);
    open.shutdown().await;
}

/// A stream that ends when its peer does not read.
fn patient(stream: UnixStream, stall: Duration) -> TokioIo<Pin<Box<TimeoutStream<UnixStream>>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(stall));
    TokioIo::new(Box::pin(stream))
}

/// What the daemon has cut off; a peer that left is none of it.
fn cut(error: &hyper::Error) -> Option<Cut> {
    let stalled = || {
        let source = error.source()?.downcast_ref::<io::Error>()?;
        (source.kind() == io::ErrorKind::TimedOut).then_some(())
    };
    if error.is_timeout() || stalled().is_some() {
        Some(Cut::TimedOut)
    } else if error.is_parse() {
        Some(Cut::Malformed)
    } else {
        None
    }
}

/// Says why there is no place, unless many are being told so already.
fn turn_away(stream: UnixStream, error: ApiError, turned_away: &Arc<Semaphore>) {
    if let Ok(leave) = Arc::clone(turned_away).try_acquire_owned() {
        tokio::spawn(async move {
            drop(timeout(LAST_WORDS, say_why(stream, error)).await);
            drop(leave);
        });
    }
}

/// Answers whatever is asked with the error.
async fn say_why(stream: UnixStream, error: ApiError) {
    let service = service_fn(move |_request: Request<Incoming>| {
        let answer = (StatusCode::SERVICE_UNAVAILABLE, Failure(error.clone()));
        async move { Ok::<Response, Infallible>(answer.into_response()) }
    });
    let served = http1(LAST_WORDS, HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection that found no place ended early");
    }
}
