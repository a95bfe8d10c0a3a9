//! One change at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// That this is the one change under way. Whatever changes something takes it, so that the compiler
/// knows what may only be called by a change.
///
/// It is taken before `state`, and that before `bans` and `alerts`.
pub(super) struct Changing<'a> {
    _lock: MutexGuard<'a, ()>,
    afterwards: Option<&'a dyn Afterwards>,
}

/// What is looked at when a change is over.
pub(super) trait Afterwards {
    /// What it left that cannot be.
    fn broken(&self) -> Vec<String>;
}

impl<'a> Changing<'a> {
    /// Waits for whatever changes something just now; nothing else changes while this is held.
    pub(super) fn begin(lock: &'a Mutex<()>, afterwards: Option<&'a dyn Afterwards>) -> Self {
        Self {
            _lock: lock.lock().unwrap_or_else(PoisonError::into_inner),
            afterwards,
        }
    }
}

impl Drop for Changing<'_> {
    /// Ends a process with debug assertions where the state disagrees with itself: no test may go on
    /// after that.
    fn drop(&mut self) {
        let Some(afterwards) = self.afterwards else {
            return;
        };
        if !cfg!(debug_assertions) || std::thread::panicking() {
            return;
        }
        let broken = afterwards.broken();
        if !broken.is_empty() {
            tracing::error!("after a change: {}", broken.join("; "));
            std::process::abort();
        }
    }
}
