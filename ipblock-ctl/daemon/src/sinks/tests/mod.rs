//! Sinks with real receivers: HTTP servers, files, and ones that hang or panic.

mod file;
mod isolation;
mod log;
mod queue;
mod server;
mod webhook;

use std::{
    ops::RangeInclusive,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use ipblock_api::types::{AlertInfo, AlertKind, SinkStatus};
use ipblock_policy::Action;

use super::{Sinks, backoff::Timing};
use crate::settings::{SinkConfig, SinkTarget};

/// Delays that are too short to notice.
const QUICK: Timing = Timing {
    first: Duration::from_millis(5),
    most: Duration::from_millis(20),
    asked_most: Duration::from_millis(40),
    left_out: || 0.0,
};

/// Delays longer than any test.
const NEVER: Timing = Timing {
    first: Duration::from_hours(1),
    most: Duration::from_hours(1),
    asked_most: Duration::from_hours(1),
    left_out: || 0.0,
};

fn alert(id: u64) -> AlertInfo {
    AlertInfo {
        id,
        time: "2026-10-01T12:00:00Z".parse().unwrap(),
        kind: AlertKind::First,
        zone: "default".to_owned(),
        interface: "eth0".to_owned(),
        rule: "scan".to_owned(),
        rules: vec!["scan".to_owned()],
        action: Action::Warn,
        source: "192.0.2.1".parse().unwrap(),
        destination: "198.51.100.1".parse().unwrap(),
        protocol: "tcp".to_owned(),
        destination_port: Some(22),
        packets: 1,
    }
}

fn alerts(ids: RangeInclusive<u64>) -> Arc<[AlertInfo]> {
    ids.map(alert).collect()
}

fn sink(name: &str, queue: usize, target: SinkTarget) -> SinkConfig {
    SinkConfig {
        name: name.to_owned(),
        queue,
        target,
    }
}

fn one(sinks: &Sinks) -> SinkStatus {
    let [status] = sinks.status().try_into().unwrap();
    status
}

/// Returns delivered, lost and queued.
fn counts(status: &SinkStatus) -> (u64, u64, u64) {
    (status.delivered, status.lost, status.queued)
}

/// Waits until the condition is true.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_mins(1), "never: {what}");
        sleep(Duration::from_millis(2));
    }
}

/// Waits for delivered, lost and queued of the only sink.
#[track_caller]
fn until_counts(sinks: &Sinks, expected: (u64, u64, u64)) {
    let start = Instant::now();
    loop {
        let status = one(sinks);
        if counts(&status) == expected {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "{status:?}, not {expected:?}"
        );
        sleep(Duration::from_millis(2));
    }
}
