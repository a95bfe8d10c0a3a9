//! The number of connections, in total and per origin, and the number of rejected ones.
//!
//! Each rank has its own places: a lower rank cannot take those of a higher one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ipblock_api::error::{ApiError, ErrorKind};
use tokio::sync::OwnedSemaphorePermit;

use super::{Rank, Room, Rooms};
use crate::principal::Origin;

/// Interval of log messages about rejected connections.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// The places of one listener.
#[derive(Debug, Default)]
pub(crate) struct Places {
    occupancy: Mutex<Occupancy>,
    rooms: Arc<Rooms>,
}

#[derive(Debug, Default)]
struct Occupancy {
    tally: HashMap<Rank, Tally>,
    of_one: HashMap<(Rank, Origin), usize>,
    timed_out: u64,
    malformed: u64,
    turned_away: Occasions,
}

/// Connections of one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Open connections.
    pub(crate) open: usize,
    /// Rejected connections.
    pub(crate) refused: u64,
}

/// The metrics of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    /// By rank, for the ranks of the API.
    pub(crate) ranks: Vec<(&'static str, Tally)>,
    /// Closed because the peer did not send or read in time.
    pub(crate) timed_out: u64,
    /// Closed because the input was not HTTP.
    pub(crate) malformed: u64,
}

/// Why the daemon ends a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The peer did not send or read in time.
    TimedOut,
    /// The input was not HTTP.
    Malformed,
}

/// A connection's place, and what its request reserves; both are released when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    places: Arc<Places>,
    rank: Rank,
    origin: Origin,
    large_body: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Places {
    /// Returns a place for one more connection of this origin, unless there are too many.
    pub(super) fn take(self: &Arc<Self>, rank: Rank, origin: Origin) -> Result<Ticket, ApiError> {
        let mut occupancy = self.occupancy();
        let (in_all, of_one) = rank.bounds();
        let taken = occupancy
            .of_one
            .get(&(rank, origin))
            .copied()
            .unwrap_or_default();
        let tally = occupancy.tally_of(rank);
        let full = match tally.open {
            _ if taken >= of_one => Some(format!("{taken} connections of {origin}")),
            open if open >= in_all => Some(format!("{open} connections of such users")),
            _ => None,
        };
        if let Some(full) = full {
            tally.refused += 1;
            occupancy.turned_away.one_more(&full, Instant::now());
            let message = format!("ipblockd has {full} already, which is as many as may be");
            return Err(ApiError::new(ErrorKind::Failed, message).with_hint(format!(
                "try again when others are done, or close what hangs: `{}` shows it",
                origin.shown_by()
            )));
        }
        tally.open += 1;
        *occupancy.of_one.entry((rank, origin)).or_default() += 1;
        Ok(Ticket {
            places: Arc::clone(self),
            rank,
            origin,
            large_body: Mutex::default(),
        })
    }

    /// Counts a connection that the daemon ended.
    pub(crate) fn count(&self, cut: Cut) {
        let mut occupancy = self.occupancy();
        match cut {
            Cut::TimedOut => occupancy.timed_out += 1,
            Cut::Malformed => occupancy.malformed += 1,
        }
    }

    /// Returns the present metrics.
    pub(crate) fn traffic(&self) -> Traffic {
        let mut occupancy = self.occupancy();
        Traffic {
            ranks: Rank::API
                .into_iter()
                .map(|rank| (rank.name(), *occupancy.tally_of(rank)))
                .collect(),
            timed_out: occupancy.timed_out,
            malformed: occupancy.malformed,
        }
    }

    fn occupancy(&self) -> MutexGuard<'_, Occupancy> {
        self.occupancy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Occupancy {
    fn tally_of(&mut self, rank: Rank) -> &mut Tally {
        self.tally.entry(rank).or_default()
    }
}

impl Ticket {
    /// Returns where the connection is counted.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// Returns an empty reservation of memory for an answer.
    pub(crate) fn room(&self) -> Room {
        Room::of(&self.places.rooms, self.rank, self.origin)
    }

    /// Whether the peer is root.
    pub(crate) fn is_roots(&self) -> bool {
        self.rank == Rank::Root
    }

    /// Whether its peer may change anything.
    pub(crate) const fn may_change(&self) -> bool {
        matches!(self.rank, Rank::Root | Rank::Member)
    }

    /// Keeps the permit for a large body until it is replaced, or the work of the request is done.
    pub(crate) fn hold(&self, large_body: Option<OwnedSemaphorePermit>) {
        let mut held = self.large_body.lock();
        **held.as_mut().unwrap_or_else(|poisoned| poisoned.get_mut()) = large_body;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut occupancy = self.places.occupancy();
        let tally = occupancy.tally_of(self.rank);
        tally.open = tally.open.saturating_sub(1);
        let holder = (self.rank, self.origin);
        if let Some(taken) = occupancy.of_one.get_mut(&holder) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                occupancy.of_one.remove(&holder);
            }
        }
    }
}

/// Reports the first of many events, and then periodically.
#[derive(Debug, Default)]
struct Occasions {
    told: Option<Instant>,
    since: u64,
}

impl Occasions {
    fn one_more(&mut self, full: &str, now: Instant) {
        self.since += 1;
        if self
            .told
            .is_none_or(|told| now.duration_since(told) >= TELL_EVERY)
        {
            let connections = self.since;
            tracing::warn!(connections, "turned away: there are {full}");
            *self = Self {
                told: Some(now),
                since: 0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(places: &Arc<Places>, rank: Rank, uid: u32) -> Vec<Ticket> {
        let origin = Origin::Unix { uid };
        std::iter::from_fn(|| places.take(rank, origin).ok()).collect()
    }

    #[test]
    fn one_user_takes_no_more_than_its_share() {
        let places = Arc::default();
        let many = take_all(&places, Rank::Stranger, 1_000);
        assert_eq!(many.len(), 8);
        assert!(
            places
                .take(Rank::Stranger, Origin::Unix { uid: 1_001 })
                .is_ok()
        );
        let error = places
            .take(Rank::Stranger, Origin::Unix { uid: 1_000 })
            .unwrap_err();
        assert_eq!(
            error.message,
            "ipblockd has 8 connections of uid 1000 already, which is as many as may be"
        );
    }

    #[test]
    fn many_users_take_no_more_than_their_rank_has_and_the_others_find_room() {
        let places = Arc::default();
        let mut held = Vec::new();
        for uid in 1_000..1_100 {
            held.extend(take_all(&places, Rank::Stranger, uid));
        }
        assert_eq!(held.len(), 32);
        for uid in 1_000..1_100 {
            held.extend(take_all(&places, Rank::Viewer, uid));
            held.extend(take_all(&places, Rank::Member, uid));
        }
        assert_eq!(held.len(), 32 + 64 + 128);
        assert_eq!(take_all(&places, Rank::Root, 0).len(), 256);
    }

    #[test]
    fn a_place_that_is_left_can_be_taken_again_and_nothing_is_remembered_of_it() {
        let places: Arc<Places> = Arc::default();
        drop(take_all(&places, Rank::Viewer, 7));
        assert!(places.occupancy().of_one.is_empty());
        assert_eq!(take_all(&places, Rank::Viewer, 7).len(), 32);
        let (name, tally) = places.traffic().ranks[2];
        assert_eq!((name, tally.open, tally.refused), ("ipblock-view", 0, 2));
    }

    #[test]
    fn all_together_are_fewer_than_the_threads_that_requests_may_take() {
        let ask = Rank::API.iter().filter(|rank| **rank != Rank::Unknown);
        let all: usize = ask.map(|rank| rank.bounds().0).sum();
        assert!(all < 512 - 16, "{all}");
    }

    #[test]
    fn a_flood_is_told_of_once_in_a_while() {
        let mut occasions = Occasions::default();
        let start = Instant::now();
        for second in 0..59 {
            occasions.one_more("many", start + Duration::from_secs(second));
        }
        assert_eq!(occasions.since, 58);
        occasions.one_more("many", start + TELL_EVERY);
        assert_eq!(occasions.since, 0);
    }
}
