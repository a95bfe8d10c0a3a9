//! The only loop that accepts connections, for any transport.

use std::{convert::Infallible, error::Error as _, future::Future, io, pin::pin, sync::Arc};

use axum::Router;
use hyper::{Request, body::Incoming, service::Service as _, service::service_fn};
use hyper_util::{rt::TokioIo, server::graceful::GracefulShutdown, service::TowerToHyperService};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_io_timeout::TimeoutStream;
use tracing::debug;

use super::{
    Bounds, Cut, Places, Rank, TICKET, Ticket,
    clock::Clock,
    http1::{after_failed_accept, http1},
    turned_away::TurnedAway,
};
use crate::{
    principal::Principal,
    transport::{Identity, Transport},
};

/// Answers until `stopped` completes, and then until the requests in progress are answered. Every
/// connection ends when this is dropped.
pub(crate) async fn serve<T: Transport>(
    transport: T,
    bounds: Bounds,
    routes: Router,
    places: Arc<Places>,
    stopped: impl Future,
) {
    let mut stopped = pin!(stopped);
    let mut server = Server {
        transport,
        bounds,
        routes: TowerToHyperService::new(routes),
        places,
        graceful: GracefulShutdown::new(),
        turned_away: TurnedAway::default(),
        asked: JoinSet::new(),
        open: JoinSet::new(),
    };
    let mut accept_from = Instant::now();
    loop {
        tokio::select! {
            // What is open is finished before more is accepted: a flood of connections would pile up
            // those that are identified, and take every file descriptor.
            biased;
            _ = &mut stopped => break,
            Some(_) = server.open.join_next() => {}
            Some(answered) = server.asked.join_next() => {
                if let Ok(Some((io, principal, place))) = answered {
                    server.admit(io, principal);
                    drop(place);
                }
            }
            accepted = accept(&server.transport, accept_from), if server.has_room() => match accepted {
                Ok(io) => server.receive(io),
                Err(error) => accept_from = Instant::now() + after_failed_accept(T::NAME, &error),
            },
        }
    }
    server.end().await;
}

/// The open connections of a listener.
struct Server<T: Transport> {
    transport: T,
    bounds: Bounds,
    routes: TowerToHyperService<Router>,
    places: Arc<Places>,
    graceful: GracefulShutdown,
    turned_away: TurnedAway,
    /// Connections whose user is being looked up, or was and which are not served yet. Each holds the
    /// place of an unknown user.
    asked: JoinSet<Option<(T::Io, Principal, Ticket)>>,
    open: JoinSet<()>,
}

impl<T: Transport> Server<T> {
    /// Whether another connection is possible.
    fn has_room(&self) -> bool {
        self.asked.len() + self.open.len() < self.bounds.at_once
    }

    /// Serves a connection, now or when its principal is known.
    fn receive(&mut self, io: T::Io) {
        let origin = match self.transport.identify(&io) {
            Identity::Known(principal) => return self.admit(io, principal),
            Identity::Asked(origin) => origin,
        };
        match self.places.take(Rank::Unknown, origin) {
            Ok(place) => {
                let look_up = self.transport.look_up(io);
                self.asked.spawn(async move {
                    let (io, principal) = look_up.await?;
                    Some((io, principal, place))
                });
            }
            Err(error) => self.turned_away.tell(io, error, &self.bounds),
        }
    }

    /// Serves a connection if there is a place for it.
    fn admit(&mut self, io: T::Io, principal: Principal) {
        let ticket = match self.places.take(principal.rank(), principal.origin) {
            Ok(ticket) => Arc::new(ticket),
            Err(error) => return self.turned_away.tell(io, error, &self.bounds),
        };
        let clock = Clock::new(self.bounds.whole);
        let service = service_fn({
            let routes = self.routes.clone();
            let ticket = Arc::clone(&ticket);
            let (clock, usual) = (clock.clone(), self.bounds.answer);
            move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(principal.clone());
                request.extensions_mut().insert(Arc::clone(&ticket));
                let answer = routes.call(request);
                let clock = clock.clone();
                async move { Ok::<_, Infallible>(clock.time(answer.await?, usual)) }
            }
        });
        // A stream that ends if its peer does not read.
        let mut io = TimeoutStream::new(io);
        io.set_write_timeout(Some(self.bounds.stall));
        let connection = http1(&self.bounds).serve_connection(TokioIo::new(Box::pin(io)), service);
        let connection = self.graceful.watch(connection);
        let scope = Arc::clone(&ticket);
        self.open.spawn(TICKET.scope(scope, async move {
            let ended = tokio::select! {
                ended = connection => ended,
                () = clock.ran_out() => {
                    ticket.places().count(Cut::TimedOut);
                    debug!("a connection to the {} ended early: it took too long", T::NAME);
                    return;
                }
            };
            if let Err(error) = ended {
                note(&error, &ticket, T::NAME);
            }
        }));
    }

    /// Accepts no more connections, and waits for the requests in progress.
    async fn end(self) {
        drop((self.transport, self.asked));
        self.graceful.shutdown().await;
    }
}

/// Accepts the next connection, not before this moment.
async fn accept<T: Transport>(transport: &T, from: Instant) -> io::Result<T::Io> {
    sleep_until(from).await;
    transport.accept().await
}

/// Counts connections that the daemon ended, without those whose peer left.
fn note(error: &hyper::Error, ticket: &Ticket, name: &str) {
    let is_stalled = || {
        let source = error.source().and_then(|source| source.downcast_ref());
        source.is_some_and(|source: &io::Error| source.kind() == io::ErrorKind::TimedOut)
    };
    if error.is_timeout() || is_stalled() {
        ticket.places().count(Cut::TimedOut);
    } else if error.is_parse() {
        ticket.places().count(Cut::Malformed);
    }
    debug!(%error, "a connection to the {name} ended early");
}
