//! Traffic that continues while a test does other things.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::ensure;
use ipblock_tests::{DEADLINE, VethPair, packet::Frame, patience, wait_for};

/// Delay between bursts, so that daemon and receiver get their share of a small machine; longer on
/// a slow one.
const PAUSE: Duration = Duration::from_millis(1);

/// A thread that sends the same frames from the peer, round after round. `Drop` ends it.
pub(crate) struct Flood {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    rounds: AtomicU64,
}

impl Flood {
    /// Starts it, and waits until the first round has been sent.
    pub(crate) fn start(pair: &VethPair, frames: &[Frame]) -> anyhow::Result<Self> {
        let (sender, frames) = (pair.sender()?, frames.to_vec());
        let shared = Arc::new(Shared::default());
        let thread = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let round = frames.len() as u64;
                while !shared.stop.load(Ordering::Relaxed) {
                    // Waits while the device's queue is full, so a round is sent completely.
                    let sent = sender.flood(&frames, round, DEADLINE)?;
                    ensure!(
                        sent == round,
                        "sent {sent} of {round} frames in {DEADLINE:?}"
                    );
                    shared.rounds.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(PAUSE * patience());
                }
                Ok(())
            }
        });
        let flood = Self {
            shared,
            thread: Some(thread),
        };
        flood.wait_for_more(1)?;
        Ok(flood)
    }

    /// Returns how many times every frame has been sent.
    pub(crate) fn rounds(&self) -> u64 {
        self.shared.rounds.load(Ordering::Relaxed)
    }

    /// Waits until this number of further rounds have been sent.
    pub(crate) fn wait_for_more(&self, rounds: u64) -> anyhow::Result<()> {
        let goal = self.rounds() + rounds;
        wait_for(DEADLINE, "the flood to go on", || {
            (self.rounds() >= goal).then_some(())
        })
    }

    /// Ends it; returns how many times every frame has been sent.
    pub(crate) fn stop(mut self) -> anyhow::Result<u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(self.rounds())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // `stop` reports errors; a test that drops it has failed already.
            drop(thread.join());
        }
    }
}
