//! Where alerts go: the log, files, webhooks.
//!
//! Every sink has a bounded queue and a thread of its own. One that hangs, fails or panics holds up
//! neither another nor whoever offers alerts; what it cannot take in time is lost for it alone, and
//! counted. What is an alert is not decided here.
//!
//! For each sink `offered == delivered + lost + queued` holds at every moment.

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

use tracing::warn;

use self::{
    backoff::Timing,
    file::File,
    log::Log,
    queue::{Batch, Queue},
    webhook::Webhook,
};
pub(super) use self::{file::obstacle, webhook::origin};
use ipblock_api::types::{AlertInfo, SinkKind, SinkStatus};

use super::settings::{SinkConfig, SinkTarget};

/// What hands alerts over. It may block: it has a thread to itself.
trait Receiver {
    /// Alerts that it takes at once, at most.
    fn batch(&self) -> usize;

    /// Hands a batch over, all of it or nothing as far as can be told.
    fn deliver(&mut self, batch: &Batch) -> Result<(), DeliveryError>;
}

/// Why a batch was not delivered. Details hold no secrets: no value of a header, and of a URL no
/// more than its host.
#[derive(Debug, PartialEq, Eq)]
enum DeliveryError {
    /// It may go well later.
    Again {
        /// What stands in the way.
        detail: String,
        /// How long the receiver asks to be left alone.
        after: Option<Duration>,
    },
    /// This batch will never be taken.
    Refused {
        /// Why.
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

/// Makes a receiver, and makes it anew after a panic.
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

/// One that runs.
struct Sink {
    name: String,
    kind: SinkKind,
    queue: Arc<Queue>,
}

/// Every sink of the configuration. Dropping it gives up what still waits.
pub(super) struct Sinks(Vec<Sink>);

impl Sinks {
    /// Starts them. One that cannot be started is there all the same, failing, and loses what it is
    /// offered.
    pub(super) fn start(configs: &[SinkConfig]) -> Self {
        Self::begin(configs.iter().map(SinkPlan::from), Timing::default())
    }

    fn begin(plans: impl IntoIterator<Item = SinkPlan>, timing: Timing) -> Self {
        Self(plans.into_iter().map(|plan| start(plan, timing)).collect())
    }

    /// Hands alerts to every sink, oldest first. Never blocks. A sink whose queue is full loses its
    /// oldest.
    pub(super) fn offer(&self, alerts: &Arc<[AlertInfo]>) {
        for sink in &self.0 {
            sink.queue.offer(alerts);
        }
    }

    /// How each of them does, in the order of the configuration.
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

    /// Takes nothing more, and lets all of them together have so long for what waits. A sink that
    /// fails meanwhile is not waited for. What is left then is lost.
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
    // Nobody waits for the thread: `stop` waits for the queue, which a sink that hangs cannot hold
    // up.
    if let Err(error) = started {
        warn!(sink = %name, %error, "a sink has no thread");
        queue.fail(format!("no thread: {error}"));
        queue.give_up();
    }
    Sink { name, kind, queue }
}
