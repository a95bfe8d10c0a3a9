//! One change at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Proof that this is the only change in progress. Every function that changes the state takes it,
/// so the compiler checks that only a change calls it.
///
/// It is taken before `state`, and `state` before `bans` and `alerts`.
pub(super) struct Changing<'a> {
    _lock: MutexGuard<'a, ()>,
    afterwards: Option<&'a dyn Afterwards>,
}

/// A check after a change.
pub(super) trait Afterwards {
    /// Returns the broken invariants.
    fn broken(&self) -> Vec<String>;
}

impl<'a> Changing<'a> {
    /// Waits for the present change; nothing else changes while this value lives.
    pub(super) fn begin(lock: &'a Mutex<()>, afterwards: Option<&'a dyn Afterwards>) -> Self {
        Self {
            _lock: lock.lock().unwrap_or_else(PoisonError::into_inner),
            afterwards,
        }
    }
}

impl Drop for Changing<'_> {
    /// With debug assertions, aborts the process if the state is inconsistent, because no test may
    /// continue then.
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
