//! Alerts under concurrency: the program runs on several CPUs at once, with the same sources.

use std::thread;

use aya::{TestRun as _, programs::TestRunOptions};
use ipblock_common::{AlertEvent, AlertSettings, ClassVerdict, SourceKey};
use ipblock_tests::{
    Privileged,
    packet::{Frame, Ipv4},
    require_privileged,
};

use crate::{fixture::Fixture, sources::key, zone::Zone};

const THREADS: u64 = 4;

fn zone(window: u64, root: Privileged) -> Zone {
    let mut fixture = Fixture::empty().alerts(AlertSettings {
        window,
        rate: u64::MAX,
    });
    let class = fixture.alerting(ClassVerdict::Warn);
    fixture.entry("192.0.2.0/24", class).load(root)
}

fn source(n: u64) -> String {
    format!("192.0.2.{n}")
}

/// Runs packets of the first `sources` sources from all threads, each `repeat` times in a row, all
/// of it `rounds` times. Returns their number per source.
fn run(zone: &Zone, sources: u64, repeat: u32, rounds: u64) -> u64 {
    let frames: Vec<Frame> = (0..sources)
        .map(|n| Frame::carrying(&Ipv4::from(source(n).as_str())))
        .collect();
    let program = zone.program();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for frame in (0..rounds).flat_map(|_| &frames) {
                    let options = TestRunOptions {
                        data_in: Some(frame.bytes()),
                        repeat,
                        ..TestRunOptions::default()
                    };
                    program.test_run(options).unwrap();
                }
            });
        }
    });
    THREADS * rounds * u64::from(repeat)
}

/// Asserts that every packet was seen once, and none lost; returns the events.
#[track_caller]
fn events_of(zone: &Zone, packets: u64) -> Vec<AlertEvent> {
    let counts = zone.alert_counts();
    assert_eq!(counts.announced + counts.held, packets, "{counts:?}");
    assert_eq!(counts.lost, 0);
    assert_eq!(zone.counters().classes[1].count.packets, packets);
    let events = zone.events();
    assert_eq!(events.len() as u64, counts.announced);
    events
}

/// Asserts that the source's windows contain all its packets, each once.
#[track_caller]
fn check_windows(zone: &Zone, events: &[AlertEvent], key: &SourceKey, packets: u64) {
    let told: u64 = events
        .iter()
        .filter(|event| event.source == *key)
        .map(|event| event.previous_packets)
        .sum();
    let window = zone.window(key).unwrap();
    assert_eq!(told + window.packets, packets, "{window:?}");
}

#[test]
fn a_source_is_announced_once_by_all_cpus_together() {
    let sources = 200;
    let zone = zone(u64::MAX, require_privileged!());
    let packets = run(&zone, sources, 50, 4);
    let events = events_of(&zone, packets * sources);
    assert_eq!(events.len() as u64, sources);
    for n in 0..sources {
        let key = key(0, 1, &source(n));
        let of_source = events.iter().filter(|event| event.source == key);
        assert_eq!(of_source.count(), 1, "{}", source(n));
        check_windows(&zone, &events, &key, packets);
    }
}

#[test]
fn windows_that_follow_one_another_hold_every_packet_once() {
    // A window ends with the tick of the clock in which it began.
    let zone = zone(1, require_privileged!());
    let packets = run(&zone, 1, 20_000, 20);
    let mut events = events_of(&zone, packets);
    let key = key(0, 1, &source(0));
    check_windows(&zone, &events, &key, packets);
    events.sort_by_key(|event| event.start);
    let mut previous_start = 0;
    for event in &events {
        assert!(event.start > previous_start, "{event:?}");
        assert_eq!(event.previous_start, previous_start, "{event:?}");
        previous_start = event.start;
    }
    assert_eq!(zone.window(&key).unwrap().start, previous_start);
}

#[test]
fn windows_of_single_packets_hold_every_packet_once() {
    // Every packet opens a window, unless another CPU is just doing so.
    let zone = zone(0, require_privileged!());
    let mut events = Vec::new();
    let packets = thread::scope(|scope| {
        let runs = scope.spawn(|| run(&zone, 1, 5000, 20));
        while !runs.is_finished() {
            events.extend(zone.events());
        }
        runs.join().unwrap()
    });
    events.extend(zone.events());
    // The number without room depends on the speed of reading.
    let counts = zone.alert_counts();
    let seen = counts.announced + counts.held + counts.lost;
    assert_eq!(seen, packets, "{counts:?}");
    assert_eq!(events.len() as u64, counts.announced);
    let key = key(0, 1, &source(0));
    check_windows(&zone, &events, &key, packets - counts.lost);
}
