//! Delays before the next attempt.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

/// The parameters of the delays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// Maximum before the second attempt.
    pub(super) first: Duration,
    /// Maximum before any other; each is twice the previous one.
    pub(super) most: Duration,
    /// Maximum that a receiver may request.
    pub(super) asked_most: Duration,
    /// A random share of the delay, 0 to 1, that is subtracted, so that many daemons do not return
    /// to a receiver at the same time.
    pub(super) left_out: fn() -> f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_mins(1),
            asked_most: Duration::from_mins(5),
            left_out: up_to_a_half,
        }
    }
}

/// Returns a random number from 0 to a half: the hasher's keys are random.
fn up_to_a_half() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    let [byte, ..] = random.to_le_bytes();
    f64::from(byte) / 512.0
}

/// Consecutive failures.
pub(super) struct Backoff {
    timing: Timing,
    next: Duration,
}

impl Backoff {
    /// Returns a state without failures.
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            next: timing.first,
        }
    }

    /// Records a success.
    pub(super) fn reset(&mut self) {
        self.next = self.timing.first;
    }

    /// Records a failure and returns the delay; longer if the receiver requests it.
    pub(super) fn wait(&mut self, asked: Option<Duration>) -> Duration {
        let wait = self.next;
        self.next = self.timing.most.min(self.next.saturating_mul(2));
        let share = 1.0 - (self.timing.left_out)().clamp(0.0, 1.0);
        let asked = asked.unwrap_or_default().min(self.timing.asked_most);
        wait.mul_f64(share).max(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(left_out: fn() -> f64) -> Backoff {
        Backoff::new(Timing {
            left_out,
            ..Timing::default()
        })
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let mut backoff = backoff(|| 0.0);
        let waits: Vec<_> = (0..8).map(|_| backoff.wait(None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.wait(None), Duration::from_secs(1));
    }

    #[test]
    fn a_receiver_may_ask_for_more_up_to_five_minutes_and_never_for_less() {
        let mut backoff = backoff(|| 0.0);
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(backoff.wait(asked(20)).as_secs(), 20);
        assert_eq!(backoff.wait(asked(86_400)).as_secs(), 300);
        assert_eq!(backoff.wait(asked(0)).as_secs(), 4);
    }

    #[test]
    fn chance_leaves_out_less_than_a_half() {
        let mut halves = backoff(|| 0.5);
        assert_eq!(halves.wait(None), Duration::from_millis(500));
        for _ in 0..1000 {
            assert!((0.0..0.5).contains(&up_to_a_half()));
        }
    }
}
