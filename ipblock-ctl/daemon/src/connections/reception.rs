//! Who has connected, without waiting for it.
//!
//! What users may is a matter of groups, and those stand in the system's user database, which may be a
//! directory on another host that does not answer. So each lookup has a thread of its own, and the loop
//! that accepts goes on meanwhile. A user is looked up once at a time, for all of their connections:
//! many of them keep one processor busy at most. Root needs no lookup.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
    thread,
};

use ipblock_api::error::ApiError;
use tokio::{net::UnixStream, sync::mpsc};
use tracing::warn;

use super::{Places, Rank, Ticket};
use crate::peer::{Listed, Peer};

/// How peers are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identify {
    /// Without waiting for anything; none: a lookup says it.
    pub(super) at_once: fn(&UnixStream) -> Option<Peer>,
    /// On a thread of its own.
    pub(super) look_up: fn(u32) -> Listed,
}

impl Identify {
    pub(super) const USUAL: Self = Self {
        at_once: Peer::at_once,
        look_up: Listed::look_up,
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
    /// Connections of each user who is being looked up.
    waiting: HashMap<u32, Vec<(UnixStream, Ticket)>>,
    known: VecDeque<Known>,
    say: mpsc::UnboundedSender<(u32, Listed)>,
    said: mpsc::UnboundedReceiver<(u32, Listed)>,
}

impl Reception {
    pub(super) fn new(identify: Identify, places: &Arc<Places>) -> Self {
        let (say, said) = mpsc::unbounded_channel();
        Self {
            identify,
            places: Arc::clone(places),
            waiting: HashMap::new(),
            known: VecDeque::new(),
            say,
            said,
        }
    }

    /// Finds out who has connected, now or in a while.
    pub(super) fn receive(&mut self, stream: UnixStream) -> Received {
        if let Some(peer) = (self.identify.at_once)(&stream) {
            return Received::Known((stream, peer));
        }
        let uid = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
        let place = match self.places.take(Rank::Unknown, uid) {
            Ok(place) => place,
            Err(error) => return Received::Refused(stream, error),
        };
        match self.waiting.entry(uid) {
            Entry::Occupied(mut others) => others.get_mut().push((stream, place)),
            Entry::Vacant(first) => {
                first.insert(vec![(stream, place)]);
                self.look_up(uid);
            }
        }
        Received::Asked
    }

    fn look_up(&mut self, uid: u32) {
        let (say, look_up) = (self.say.clone(), self.identify.look_up);
        // None of the runtime's threads: it waits for those when it ends.
        let started = thread::Builder::new()
            .name("lookup".to_owned())
            // The other end is gone when the daemon stops.
            .spawn(move || drop(say.send((uid, look_up(uid)))));
        if let Err(error) = started {
            self.waiting.remove(&uid);
            warn!(%error, uid, "a connection was closed: no thread to look up its user");
        }
    }

    /// The next one that was asked about.
    pub(super) async fn known(&mut self) -> Option<Known> {
        loop {
            if let Some(known) = self.known.pop_front() {
                return Some(known);
            }
            let (uid, listed) = self.said.recv().await?;
            let waiting = self.waiting.remove(&uid).unwrap_or_default();
            let known = waiting.into_iter().map(|(stream, _place)| {
                let peer = Peer::of(&stream, &listed);
                (stream, peer)
            });
            self.known.extend(known);
        }
    }
}
