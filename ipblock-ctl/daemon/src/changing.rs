//! One change at a time.

use std::sync::{MutexGuard, PoisonError};

use tracing::error;

use super::{invariants, state::Service};

/// That this is the one change under way. Whatever changes something takes it, so that the compiler
/// knows what may only be called by a change.
///
/// It is taken before `state`, and that before `bans` and `alerts`.
pub(super) struct Changing<'a> {
    _lock: MutexGuard<'a, ()>,
    /// Whose state is looked at when the change is over.
    service: Option<&'a Service>,
}

impl Service {
    /// Waits for whatever changes something just now; nothing else changes while this is held.
    pub(super) fn begin_change(&self) -> Changing<'_> {
        self.change(Some(self))
    }

    /// The change that a start is: until it is over the state is not yet what it should be.
    pub(super) fn begin_start(&self) -> Changing<'_> {
        self.change(None)
    }

    fn change<'a>(&'a self, service: Option<&'a Self>) -> Changing<'a> {
        let lock = self.change.lock();
        Changing {
            _lock: lock.unwrap_or_else(PoisonError::into_inner),
            service,
        }
    }
}

impl Drop for Changing<'_> {
    /// Ends a process with debug assertions where the state disagrees with itself: no test may go on
    /// after that.
    fn drop(&mut self) {
        let Some(service) = self.service else { return };
        if !cfg!(debug_assertions) || std::thread::panicking() {
            return;
        }
        let broken = invariants::broken(&service.read(), &service.store);
        if !broken.is_empty() {
            error!("after a change: {}", broken.join("; "));
            std::process::abort();
        }
    }
}
