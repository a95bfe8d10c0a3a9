//! Who has connected, without waiting for it.
//!
//! What users may is a matter of groups, and those stand in the system's user database, which may be a
//! directory on another host that does not answer. So each lookup has a thread of its own, and the loop
//! that accepts goes on meanwhile. Root needs no lookup.

use std::{io, sync::Arc, thread};

use tokio::{net::UnixStream, sync::mpsc};

use super::{Places, Rank};
use crate::{api::error::ApiError, daemon::peer::Peer};

/// How peers are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identify {
    /// Without waiting for anything; none: a lookup says it.
    pub(super) at_once: fn(&UnixStream) -> Option<Peer>,
    /// On a thread of its own.
    pub(super) looked_up: fn(&UnixStream) -> Peer,
}

impl Identify {
    pub(super) const USUAL: Self = Self {
        at_once: Peer::at_once,
        looked_up: Peer::looked_up,
    };
}

/// A connection and who has made it.
pub(super) type Known = (UnixStream, Peer);

/// What becomes of a connection that has come.
pub(super) enum Received {
    Known(Known),
    /// `Reception::known` returns it when it is known who it is.
    Asked,
    /// Too many are asked about already.
    Refused(UnixStream, ApiError),
}

pub(super) struct Reception {
    identify: Identify,
    places: Arc<Places>,
    done: mpsc::UnboundedSender<Known>,
    known: mpsc::UnboundedReceiver<Known>,
}

impl Reception {
    pub(super) fn new(identify: Identify, places: &Arc<Places>) -> Self {
        let (done, known) = mpsc::unbounded_channel();
        Self {
            identify,
            places: Arc::clone(places),
            done,
            known,
        }
    }

    /// Finds out who has connected, now or in a while.
    pub(super) fn receive(&self, stream: UnixStream) -> Received {
        if let Some(peer) = (self.identify.at_once)(&stream) {
            return Received::Known((stream, peer));
        }
        let uid = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
        let place = match self.places.take(Rank::Unknown, uid) {
            Ok(place) => place,
            Err(error) => return Received::Refused(stream, error),
        };
        let (done, looked_up) = (self.done.clone(), self.identify.looked_up);
        let lookup = move || {
            let peer = looked_up(&stream);
            drop(place);
            // The other end is gone when the daemon stops.
            drop(done.send((stream, peer)));
        };
        // None of the runtime's threads: it waits for those when it ends.
        let started: io::Result<_> = thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(lookup);
        if let Err(error) = started {
            // The stream went with the thread that there is not.
            tracing::warn!(%error, "a connection was closed: no thread to look up its user");
        }
        Received::Asked
    }

    /// The next one that was asked about.
    pub(super) async fn known(&mut self) -> Option<Known> {
        self.known.recv().await
    }
}
