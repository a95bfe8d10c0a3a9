//! Polling with a deadline.

use std::{
    env,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// Deadline for what should happen at once; generous, because machines are shared.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Interval of the checks.
const INTERVAL: Duration = Duration::from_millis(5);

/// Factor for every deadline: machines with shared processors are slow, and a deadline should only
/// detect hangs.
const PATIENCE: &str = "IPBLOCK_PATIENCE";

/// Polls until `attempt` yields something, and returns it.
///
/// # Errors
/// When `deadline` passes; `what` completes "waited ... for".
pub fn wait_for<T>(
    deadline: Duration,
    what: &str,
    mut attempt: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let deadline = deadline * patience();
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

/// Returns how many times slower than usual the machine is (`IPBLOCK_PATIENCE`), 1 by default.
///
/// # Panics
/// If it is not a number.
pub fn patience() -> u32 {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    *FACTOR.get_or_init(|| match env::var(PATIENCE) {
        Ok(number) => number
            .parse()
            .unwrap_or_else(|error| panic!("{PATIENCE}={number}: {error}")),
        Err(_) => 1,
    })
}
