//! The thread of one sink: takes waiting alerts, delivers them, and retries.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use tracing::{info, warn};

use super::{
    DeliveryError, MakeReceiver,
    backoff::{Backoff, Timing},
    queue::Queue,
};

/// The message after a panic.
const DEFECT: &str = "a defect in ipblockd: it panicked; the log says where";

/// Delivers until the queue ends.
pub(super) fn work(queue: &Queue, name: &str, make: &MakeReceiver, timing: Timing) {
    let _ended = Ended { queue, name };
    let mut receiver = make();
    let mut backoff = Backoff::new(timing);
    while let Some(batch) = queue.take(receiver.batch()) {
        // A receiver that panics is recreated, so its inconsistent state is never used.
        match catch_unwind(AssertUnwindSafe(|| receiver.deliver(&batch))) {
            Ok(Ok(())) => {
                backoff.reset();
                if queue.delivered() {
                    info!(sink = %name, "alerts are delivered again");
                }
            }
            Ok(Err(DeliveryError::Refused { detail })) => {
                backoff.reset();
                let alerts = batch.len();
                if queue.refused(detail.clone()) {
                    warn!(sink = %name, alerts, detail, "alerts were refused");
                }
            }
            Ok(Err(DeliveryError::Again { detail, after })) => {
                let put_back = queue.put_back(batch, detail.clone());
                if put_back.is_first {
                    warn!(sink = %name, detail, "alerts cannot be delivered");
                }
                if !put_back.is_open {
                    // The daemon stops, and does not wait for a failing sink.
                    return;
                }
                // The last attempt, if the queue closes meanwhile.
                queue.pause(backoff.wait(after));
            }
            Err(_panic) => {
                // The same batch would cause the same panic again.
                queue.refused(DEFECT.to_owned());
                warn!(sink = %name, "delivering alerts panicked");
                receiver = make();
            }
        }
    }
}

/// Ends the queue when the thread ends for any reason.
struct Ended<'a> {
    queue: &'a Queue,
    name: &'a str,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.queue.fail(DEFECT.to_owned());
        }
        let lost = self.queue.give_up();
        if lost > 0 {
            warn!(sink = %self.name, lost, "ended before every alert was delivered");
        }
    }
}
