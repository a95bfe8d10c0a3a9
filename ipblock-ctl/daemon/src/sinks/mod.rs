//! The sinks of alerts: the log, files, webhooks.
//!
//! Every sink has a bounded queue and its own thread. If one hangs, fails or panics, it delays
//! neither another sink nor the code that offers alerts. What it cannot accept in time is lost only
//! for this sink, and counted. Other modules decide what is an alert.
//!
//! For each sink `offered == delivered + lost + queued` is true at every moment.

mod backoff;
mod file;
mod log;
mod queue;
#[cfg(test)]
mod tests;
mod webhook;
mod worker;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ipblock_api::types::{AlertInfo, SinkKind, SinkStatus};
use tracing::warn;

use self::{
    backoff::Timing,
    file::File,
    log::Log,
    queue::{Batch, Queue},
    webhook::Webhook,
};
pub(super) use self::{file::obstacle, webhook::origin};

use super::settings::{SinkConfig, SinkTarget};

/// Delivers alerts. It may block, because it has its own thread.
trait Receiver {
    /// Returns the maximum of alerts per call.
    fn batch(&self) -> usize;

    /// Delivers a batch, as far as known completely or not at all.
    fn deliver(&mut self, batch: &Batch) -> Result<(), DeliveryError>;
}

/// Why a batch was not delivered. Details contain no secrets: no value of a header, and only the
/// host of a URL.
#[derive(Debug, PartialEq, Eq)]
enum DeliveryError {
    /// A later attempt may succeed.
    Again {
        /// The reason.
        detail: String,
        /// The delay that the receiver requests.
        after: Option<Duration>,
    },
    /// This batch will never be accepted.
    Refused {
        /// The reason.
        detail: String,
    },
}

impl DeliveryError {
    fn again(detail: impl Into<String>) -> Self {
        Self::Again {
            detail: detail.into(),
            after: None,
        }
    }
}

/// Creates a receiver, and recreates it after a panic.
type MakeReceiver = Box<dyn Fn() -> Box<dyn Receiver> + Send>;

/// A sink before it runs.
struct SinkPlan {
    name: String,
    kind: SinkKind,
    queue: usize,
    make: MakeReceiver,
}

impl From<&SinkConfig> for SinkPlan {
    fn from(config: &SinkConfig) -> Self {
        let (kind, make): (_, MakeReceiver) = match config.target.clone() {
            SinkTarget::Log => (SinkKind::Log, Box::new(|| Box::new(Log))),
            SinkTarget::File {
                path,
                max_bytes,
                keep,
            } => (
                SinkKind::File,
                Box::new(move || Box::new(File::new(path.clone(), max_bytes, keep))),
            ),
            SinkTarget::Webhook {
                url,
                headers,
                timeout,
                batch,
            } => (
                SinkKind::Webhook,
                Box::new(move || Box::new(Webhook::new(&url, headers.clone(), timeout, batch))),
            ),
        };
        Self {
            name: config.name.clone(),
            kind,
            queue: config.queue,
            make,
        }
    }
}

/// A running sink.
struct Sink {
    name: String,
    kind: SinkKind,
    queue: Arc<Queue>,
}

/// Every sink of the configuration. A drop discards what still waits.
pub(super) struct Sinks(Vec<Sink>);

impl Sinks {
    /// Starts the sinks. One that cannot be started exists as failing, and loses what it is
    /// offered.
    pub(super) fn start(configs: &[SinkConfig]) -> Self {
        Self::begin(configs.iter().map(SinkPlan::from), Timing::default())
    }

    fn begin(plans: impl IntoIterator<Item = SinkPlan>, timing: Timing) -> Self {
        Self(plans.into_iter().map(|plan| start(plan, timing)).collect())
    }

    /// Passes alerts to every sink, oldest first. Never blocks. A sink with a full queue loses its
    /// oldest.
    pub(super) fn offer(&self, alerts: &Arc<[AlertInfo]>) {
        for sink in &self.0 {
            sink.queue.offer(alerts);
        }
    }

    /// Returns the state of each sink, in the order of the configuration.
    pub(super) fn status(&self) -> Vec<SinkStatus> {
        let status = self.0.iter().map(|sink| {
            let progress = sink.queue.progress();
            SinkStatus {
                name: sink.name.clone(),
                kind: sink.kind,
                state: progress.state(),
                detail: progress.detail,
                delivered: progress.delivered,
                lost: progress.lost,
                queued: progress.queued,
            }
        });
        status.collect()
    }

    /// Accepts nothing more, and gives all of them together `at_most` time to deliver what waits.
    /// Does not wait for a failing sink. The rest is lost.
    pub(super) fn stop(&self, at_most: Duration) {
        let start = Instant::now();
        for sink in &self.0 {
            sink.queue.close();
        }
        for sink in &self.0 {
            sink.queue
                .wait_until_done(at_most.saturating_sub(start.elapsed()));
            let lost = sink.queue.give_up();
            if lost > 0 {
                warn!(sink = %sink.name, lost, "stopped before every alert was delivered");
            }
        }
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        for sink in &self.0 {
            sink.queue.give_up();
        }
    }
}

fn start(plan: SinkPlan, timing: Timing) -> Sink {
    let queue = Arc::new(Queue::new(plan.queue));
    let (name, kind) = (plan.name.clone(), plan.kind);
    let started = thread::Builder::new()
        .name("ipblockd-sink".to_owned())
        .spawn({
            let queue = Arc::clone(&queue);
            move || worker::work(&queue, &plan.name, &plan.make, timing)
        });
    // The thread is not joined: `stop` waits for the queue, which a hanging sink cannot block.
    if let Err(error) = started {
        warn!(sink = %name, %error, "a sink has no thread");
        queue.fail(format!("no thread: {error}"));
        queue.give_up();
    }
    Sink { name, kind, queue }
}
