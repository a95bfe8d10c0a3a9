//! Polling with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long to wait for what ought to happen at once; generous, because machines are shared.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(5);

/// Polls until `attempt` yields something, and returns it.
///
/// # Errors
/// When `deadline` passes; `what` completes "waited ... for".
pub fn wait_for<T>(
    deadline: Duration,
    what: &str,
    mut attempt: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = attempt() {
            return Ok(found);
        }
        if Instant::now() >= end {
            anyhow::bail!("waited {deadline:?} for {what}, in vain");
        }
        thread::sleep(INTERVAL);
    }
}
