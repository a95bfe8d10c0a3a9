//! The queue of one sink, and the counts of its alerts.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ipblock_api::types::{AlertInfo, SinkState};

/// Alerts that were offered together, or the rest of them. Never empty.
#[derive(Debug)]
struct OfferRest {
    alerts: Arc<[AlertInfo]>,
    rest: Range<usize>,
}

/// Alerts in progress, oldest first. Never empty.
#[derive(Debug)]
pub(super) struct Batch(Vec<OfferRest>);

impl Batch {
    /// Returns their number.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|part| part.rest.len()).sum()
    }

    /// Returns all of them, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &AlertInfo> {
        let slices = self.0.iter().map(|part| part.alerts.get(part.rest.clone()));
        slices.flat_map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
impl From<Vec<AlertInfo>> for Batch {
    fn from(alerts: Vec<AlertInfo>) -> Self {
        let rest = 0..alerts.len();
        let alerts = alerts.into();
        Self(vec![OfferRest { alerts, rest }])
    }
}

/// The operations that are still possible.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All.
    Open,
    /// Waiting alerts are delivered; no new ones are accepted.
    Closing,
    /// None.
    Closed,
}

struct QueueState {
    waiting: VecDeque<OfferRest>,
    /// Alerts in `waiting`.
    waits: usize,
    /// Alerts in the batch in progress.
    under_way: usize,
    delivered: u64,
    lost: u64,
    detail: Option<String>,
    phase: Phase,
}

/// The result of [`Queue::progress`].
pub(super) struct Progress {
    /// Why the last attempt failed; `None` if it did not.
    pub(super) detail: Option<String>,
    /// Alerts delivered.
    pub(super) delivered: u64,
    /// Alerts lost.
    pub(super) lost: u64,
    /// Alerts that wait or are in progress.
    pub(super) queued: u64,
}

impl Progress {
    /// Returns the detail as a word.
    pub(super) fn state(&self) -> SinkState {
        match self.detail {
            None => SinkState::Ok,
            Some(_) => SinkState::Failing,
        }
    }
}

/// The result of [`Queue::put_back`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PutBack {
    /// Whether this is the first failure in a row.
    pub(super) is_first: bool,
    /// Whether more may be offered.
    pub(super) is_open: bool,
}

/// A bounded queue that keeps the newest: they show the present situation, and the store has all of
/// them.
pub(super) struct Queue {
    /// Maximum of alerts that wait.
    room: usize,
    state: Mutex<QueueState>,
    changed: Condvar,
}

impl Queue {
    /// Returns an empty queue.
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            state: Mutex::new(QueueState {
                waiting: VecDeque::new(),
                waits: 0,
                under_way: 0,
                delivered: 0,
                lost: 0,
                detail: None,
                phase: Phase::Open,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds alerts; without room, the oldest are lost. The lock is never held during a delivery.
    pub(super) fn offer(&self, alerts: &Arc<[AlertInfo]>) {
        if alerts.is_empty() {
            return;
        }
        let mut state = self.lock();
        if state.phase != Phase::Open {
            state.lost += alerts.len() as u64;
            return;
        }
        state.waits += alerts.len();
        state.waiting.push_back(OfferRest {
            alerts: Arc::clone(alerts),
            rest: 0..alerts.len(),
        });
        state.shrink_to(self.room);
        self.changed.notify_all();
    }

    /// Waits for alerts and takes the oldest, at most `at_most`; `None` if there will be no more.
    pub(super) fn take(&self, at_most: usize) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.waits > 0 {
                let parts = state.pop(at_most.max(1));
                let batch = Batch(parts);
                state.under_way = batch.len();
                return Some(batch);
            }
            if state.phase != Phase::Open {
                return None;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records that the batch in progress was delivered. Returns whether the sink had failed
    /// before.
    pub(super) fn delivered(&self) -> bool {
        let mut state = self.lock();
        state.delivered += std::mem::take(&mut state.under_way) as u64;
        self.changed.notify_all();
        state.detail.take().is_some()
    }

    /// Records that the batch in progress is lost. Returns whether this is the first failure in a
    /// row.
    pub(super) fn refused(&self, detail: String) -> bool {
        let mut state = self.lock();
        state.lost += std::mem::take(&mut state.under_way) as u64;
        self.changed.notify_all();
        state.detail.replace(detail).is_none()
    }

    /// Puts the batch in progress back; without room, the oldest are lost.
    pub(super) fn put_back(&self, batch: Batch, detail: String) -> PutBack {
        let mut state = self.lock();
        // What was discarded meanwhile is counted already.
        if std::mem::take(&mut state.under_way) > 0 {
            state.waits += batch.len();
            for part in batch.0.into_iter().rev() {
                state.waiting.push_front(part);
            }
            state.shrink_to(self.room);
        }
        PutBack {
            is_first: state.detail.replace(detail).is_none(),
            is_open: state.phase == Phase::Open,
        }
    }

    /// Records the reason of a failure.
    pub(super) fn fail(&self, detail: String) {
        self.lock().detail = Some(detail);
    }

    /// Waits for `duration`, or until the queue closes.
    pub(super) fn pause(&self, duration: Duration) {
        let is_open = |state: &mut QueueState| state.phase == Phase::Open;
        let paused = self
            .changed
            .wait_timeout_while(self.lock(), duration, is_open);
        drop(paused.unwrap_or_else(PoisonError::into_inner));
    }

    /// Closes the queue for new alerts.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        self.changed.notify_all();
    }

    /// Waits until no alert waits or is in progress, at most for `at_most`.
    pub(super) fn wait_until_done(&self, at_most: Duration) {
        let is_busy = |state: &mut QueueState| state.waits + state.under_way > 0;
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), at_most, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends the queue: alerts that wait or are in progress are lost. Returns their number.
    pub(super) fn give_up(&self) -> u64 {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        let left = (state.waits + state.under_way) as u64;
        state.waiting.clear();
        (state.waits, state.under_way) = (0, 0);
        state.lost += left;
        self.changed.notify_all();
        left
    }

    /// Returns the counts.
    pub(super) fn progress(&self) -> Progress {
        let state = self.lock();
        Progress {
            detail: state.detail.clone(),
            delivered: state.delivered,
            lost: state.lost,
            queued: (state.waits + state.under_way) as u64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// Takes the oldest that wait.
    fn pop(&mut self, at_most: usize) -> Vec<OfferRest> {
        let mut parts = Vec::new();
        let mut wanted = at_most.min(self.waits);
        self.waits -= wanted;
        while wanted > 0 {
            let Some(mut part) = self.waiting.pop_front() else {
                break;
            };
            let end = part.rest.end.min(part.rest.start + wanted);
            let taken = part.rest.start..end;
            wanted -= taken.len();
            parts.push(OfferRest {
                alerts: Arc::clone(&part.alerts),
                rest: taken,
            });
            part.rest.start = end;
            if !part.rest.is_empty() {
                self.waiting.push_front(part);
            }
        }
        parts
    }

    /// Loses the oldest that wait until at most `room` are left.
    fn shrink_to(&mut self, room: usize) {
        let lost = self.waits.saturating_sub(room);
        if lost > 0 {
            drop(self.pop(lost));
            self.lost += lost as u64;
        }
    }
}
