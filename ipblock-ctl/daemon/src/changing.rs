//! One change at a time.

use std::sync::{MutexGuard, PoisonError};

use super::state::Service;

/// That this is the one change under way. Whatever changes something takes it, so that the compiler
/// knows what may only be called by a change.
///
/// It is taken before `state`, and that before `bans` and `alerts`.
pub(super) struct Changing<'a> {
    _lock: MutexGuard<'a, ()>,
}

impl Service {
    /// Waits for whatever changes something just now; nothing else changes while this is held.
    pub(super) fn begin_change(&self) -> Changing<'_> {
        let lock = self.change.lock();
        Changing {
            _lock: lock.unwrap_or_else(PoisonError::into_inner),
        }
    }
}
