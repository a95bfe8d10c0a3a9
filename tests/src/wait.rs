//! Polling with a deadline.

use std::{
    env,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long to wait for what ought to happen at once; generous, because machines are shared.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(5);

/// How many times longer to wait than a deadline says: machines without processors of their own are
/// slow, and a deadline is for what hangs.
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

/// How many times slower than usual a machine is said to be (`IPBLOCK_PATIENCE`); 1 without it.
///
/// # Panics
/// When it is no number.
pub fn patience() -> u32 {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    *FACTOR.get_or_init(|| match env::var(PATIENCE) {
        Ok(number) => number
            .parse()
            .unwrap_or_else(|error| panic!("{PATIENCE}={number}: {error}")),
        Err(_) => 1,
    })
}
