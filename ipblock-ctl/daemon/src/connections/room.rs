//! Memory of answers in progress, by rank and origin.
//!
//! A slow client keeps the data of its answer in memory. So an answer reserves this memory before
//! it is computed, and releases it when it is done. Ranks share no memory: a user who may only view
//! cannot delay root.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipblock_api::error::{ApiError, ErrorKind};

use super::Rank;
use crate::{error::Refusal, principal::Origin};

/// How long an answer waits for memory that others have reserved.
const TURN: Duration = Duration::from_secs(30);

/// The reservations of all answers.
#[derive(Debug)]
pub(crate) struct Rooms {
    taken: Mutex<Taken>,
    given_back: Condvar,
    /// How long one waits.
    turn: Duration,
}

#[derive(Debug, Default)]
struct Taken {
    of_rank: HashMap<Rank, usize>,
    of_origin: HashMap<(Rank, Origin), usize>,
}

impl Default for Rooms {
    fn default() -> Self {
        Self::with_turn(TURN)
    }
}

impl Rooms {
    fn with_turn(turn: Duration) -> Self {
        Self {
            taken: Mutex::default(),
            given_back: Condvar::new(),
            turn,
        }
    }

    /// Waits for its turn; returns false if that did not come.
    fn take(&self, rank: Rank, origin: Origin, bytes: usize) -> bool {
        let (in_all, of_one) = rank.room();
        let deadline = Instant::now() + self.turn;
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let of_rank = taken.of_rank.entry(rank).or_default();
            let fits_rank = *of_rank + bytes <= in_all;
            let of_origin = taken
                .of_origin
                .get(&(rank, origin))
                .copied()
                .unwrap_or_default();
            if fits_rank && of_origin + bytes <= of_one {
                *taken.of_rank.entry(rank).or_default() += bytes;
                *taken.of_origin.entry((rank, origin)).or_default() += bytes;
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.given_back.wait_timeout(taken, left);
            taken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_back(&self, rank: Rank, origin: Origin, bytes: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_rank) = taken.of_rank.get_mut(&rank) {
            *of_rank = of_rank.saturating_sub(bytes);
        }
        if let Some(of_origin) = taken.of_origin.get_mut(&(rank, origin)) {
            *of_origin = of_origin.saturating_sub(bytes);
            if *of_origin == 0 {
                taken.of_origin.remove(&(rank, origin));
            }
        }
        drop(taken);
        self.given_back.notify_all();
    }
}

/// The reservation of one answer; released when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    /// `None` means no limit, because no client waits.
    of: Option<(Arc<Rooms>, Rank, Origin)>,
    held: usize,
}

impl Room {
    /// Returns an empty reservation for this origin.
    pub(super) fn of(rooms: &Arc<Rooms>, rank: Rank, origin: Origin) -> Self {
        Self {
            of: Some((Arc::clone(rooms), rank, origin)),
            held: 0,
        }
    }

    /// Returns a reservation without a limit.
    pub(crate) const fn unbounded() -> Self {
        Self { of: None, held: 0 }
    }

    /// Reserves about `bytes`. Blocks until that is possible, at most for half a minute.
    ///
    /// An answer calls this once, before it computes anything: two answers that have reserved some
    /// and wait for more would wait for each other. One that needs more than the maximum gets all
    /// of it, and is alone.
    pub(crate) fn need(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Some((rooms, rank, origin)) = &self.of else {
            return Ok(());
        };
        let bytes = bytes.min(rank.room().1).saturating_sub(self.held);
        if !rooms.take(*rank, *origin, bytes) {
            return Err(Refusal::Busy(busy(*origin)));
        }
        self.held += bytes;
        Ok(())
    }

    /// Releases all but `bytes`.
    pub(crate) fn keep(&mut self, bytes: usize) {
        if let Some((rooms, rank, origin)) = &self.of {
            let more = self.held.saturating_sub(bytes);
            rooms.give_back(*rank, *origin, more);
            self.held -= more;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.keep(0);
    }
}

fn busy(origin: Origin) -> ApiError {
    let message = "other large answers are under way, and there is no memory for one more";
    ApiError::new(ErrorKind::Failed, message).with_hint(format!(
        "repeat it in a minute, or close what reads slowly: `{}` shows it",
        origin.shown_by()
    ))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::documented::{limit, size};

    #[test]
    fn the_room_of_answers_is_documented() {
        let room = |rank: Rank| {
            let (in_all, of_one) = rank.room();
            (size(in_all), size(of_one))
        };
        let (of_members, of_one) = room(Rank::Member);
        assert_eq!(room(Rank::Viewer), (of_members.clone(), of_one.clone()));
        assert_eq!(
            limit("memory of answers"),
            format!(
                "root {}; members of `ipblock` {of_members}, {of_one} of one user; members of \
                 `ipblock-view` as much again. One that finds none waits for {} s, then it is refused \
                 with 503",
                room(Rank::Root).0,
                TURN.as_secs()
            )
        );
    }

    fn rooms() -> Arc<Rooms> {
        Arc::new(Rooms::with_turn(Duration::ZERO))
    }

    fn take_all(rooms: &Arc<Rooms>, rank: Rank, uid: u32, bytes: usize) -> Vec<Room> {
        let one = || {
            let mut room = Room::of(rooms, rank, Origin::Unix { uid });
            room.need(bytes).ok().map(|()| room)
        };
        std::iter::from_fn(one).collect()
    }

    #[test]
    fn one_user_leaves_room_for_others_and_viewers_leave_roots() {
        let rooms = rooms();
        let of_one = take_all(&rooms, Rank::Viewer, 1_000, 1 << 20);
        assert_eq!(of_one.len(), 32);
        let of_another = take_all(&rooms, Rank::Viewer, 1_001, 1 << 20);
        assert_eq!(of_another.len(), 32);
        assert_eq!(take_all(&rooms, Rank::Viewer, 1_002, 1 << 20).len(), 0);
        assert_eq!(take_all(&rooms, Rank::Root, 0, 1 << 20).len(), 128);
    }

    #[test]
    fn an_answer_larger_than_all_room_is_alone() {
        let rooms = rooms();
        let alone = take_all(&rooms, Rank::Member, 7, usize::MAX);
        assert_eq!(alone.len(), 1);
        drop(alone);
        assert!(rooms.taken.lock().unwrap().of_origin.is_empty());
        assert_eq!(take_all(&rooms, Rank::Member, 7, usize::MAX).len(), 1);
    }

    #[test]
    fn room_that_is_not_needed_any_more_serves_the_next() {
        let rooms = rooms();
        let mut first = Room::of(&rooms, Rank::Viewer, Origin::Unix { uid: 7 });
        first.need(32 << 20).ok().unwrap();
        assert_eq!(take_all(&rooms, Rank::Viewer, 7, 1).len(), 0);
        first.keep(31 << 20);
        assert_eq!(take_all(&rooms, Rank::Viewer, 7, 1 << 20).len(), 1);
    }

    #[test]
    fn who_finds_no_room_waits_until_some_is_given_back() {
        let rooms = Arc::new(Rooms::with_turn(Duration::from_mins(2)));
        let mut first = Room::of(&rooms, Rank::Viewer, Origin::Unix { uid: 7 });
        first.need(usize::MAX).ok().unwrap();
        let mut second = Room::of(&rooms, Rank::Viewer, Origin::Unix { uid: 7 });
        thread::scope(|scope| {
            let waits = scope.spawn(|| second.need(1).is_ok());
            drop(first);
            assert!(waits.join().unwrap());
        });
    }
}
