//! Hits: exact at ordinary rates and sampled in a flood.

use std::collections::HashMap;

use aya::{TestRun as _, programs::TestRunOptions};
use ipblock_common::{
    ClassVerdict, HitBudget, HitCount, Outcome, SourceKey,
    ban::NEVER,
    class::NO_CLASS,
    limits::{EXACT_HITS_PER_TICK, HIT_SAMPLE},
    names,
};
use ipblock_tests::{
    DEADLINE,
    packet::{Frame, Ipv4, Ipv6},
    require_privileged, wait_for,
};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    time::{ClockId, clock_getres},
    unistd::Pid,
};

use crate::{
    fixture::{Fixture, Kind},
    sources::key,
    zone::{Expected, Zone, coarse_now},
};

const GENERATION: u64 = 7;

/// Keeps the calling thread on its CPU: each CPU has its own budget.
fn stay_on_this_cpu() {
    let mut here = CpuSet::new();
    here.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &here).unwrap();
}

/// Runs a frame several times in one call, on one CPU.
fn repeat(zone: &Zone, frame: &Frame, times: u64) {
    let options = TestRunOptions {
        data_in: Some(frame.bytes()),
        repeat: times.try_into().unwrap(),
        ..TestRunOptions::default()
    };
    zone.program().test_run(options).unwrap();
}

/// One class that drops 192.0.2.0/24.
fn blocking() -> Fixture {
    let mut fixture = Fixture::empty();
    let id = fixture.verdict(ClassVerdict::Block);
    fixture.entry("192.0.2.0/24", id)
}

fn frame(source: &str) -> Frame {
    Frame::carrying(&Ipv4::from(source)).padded(100)
}

#[test]
fn blocked_warned_and_banned_sources_are_counted_and_no_others() {
    let fixture = Fixture::denylist()
        .generation(GENERATION)
        .ban("192.0.2.66/32", NEVER)
        .ban("2001:db8:66::/48", NEVER);
    let mut zone = fixture.load(require_privileged!());
    let mut expected: HashMap<SourceKey, (u64, u64)> = HashMap::new();
    let mut hit = |key: SourceKey, frame: &Frame| {
        let (packets, bytes) = expected.entry(key).or_default();
        *packets += 1;
        *bytes += frame.len() as u64;
    };
    let before = coarse_now();
    for length in [60, 1000] {
        for kind in Kind::ALL {
            let v4 = Frame::carrying(&kind.v4()).padded(length);
            let v6 = Frame::carrying(&kind.v6()).padded(length);
            zone.expect(&v4, kind.where_default_passes());
            zone.expect(&v6, kind.where_default_passes());
            let (source_v4, source_v6) = match kind {
                Kind::Blocked => ("203.0.113.7", "2001:db8:b::7"),
                Kind::Warned => ("203.0.113.71", "2001:db8:c::7"),
                _ => continue,
            };
            let class = kind.class().unwrap();
            hit(key(GENERATION, class, source_v4), &v4);
            hit(key(GENERATION, class, source_v6), &v6);
        }
        let v4 = Frame::carrying(&Ipv4::from("192.0.2.66")).padded(length);
        let v6 = Frame::carrying(&Ipv6::from("2001:db8:66::1")).padded(length);
        zone.expect(&v4, Expected::BANNED);
        zone.expect(&v6, Expected::BANNED);
        hit(key(GENERATION, NO_CLASS, "192.0.2.66"), &v4);
        hit(key(GENERATION, NO_CLASS, "2001:db8:66::1"), &v6);
    }
    let after = coarse_now();
    let hits = zone.hits();
    let counted: HashMap<_, _> = hits
        .iter()
        .map(|(key, hit)| (*key, (hit.packets, hit.bytes)))
        .collect();
    assert_eq!(counted, expected);
    for hit in hits.values() {
        assert!((before..=after).contains(&hit.last_hit), "{hit:?}");
    }
}

#[test]
fn a_rule_that_alerts_counts_its_sources_too() {
    let mut fixture = Fixture::empty();
    let id = fixture.alerting(ClassVerdict::Warn);
    let mut zone = fixture
        .entry("192.0.2.0/24", id)
        .load(require_privileged!());
    let expected = Expected::pass(Outcome::Warned).class(id);
    zone.expect(&frame("192.0.2.7"), expected);
    assert_eq!(zone.hits()[&key(0, id, "192.0.2.7")].packets, 1);
}

#[test]
fn at_ordinary_rates_every_hit_is_counted() {
    let zone = blocking().load(require_privileged!());
    repeat(&zone, &frame("192.0.2.7"), EXACT_HITS_PER_TICK);
    let HitCount { packets, bytes, .. } = zone.hits()[&key(0, 1, "192.0.2.7")];
    assert_eq!(packets, EXACT_HITS_PER_TICK);
    assert_eq!(bytes, EXACT_HITS_PER_TICK * 100);
}

#[test]
fn beyond_that_one_hit_in_a_sample_stands_for_all_of_it() {
    let mut zone = blocking().load(require_privileged!());
    stay_on_this_cpu();
    let mut sources = 1..=250;
    let mut counted_in_one_tick = |seen: u64, run: u64| {
        wait_for(DEADLINE, "a tick of the clock that is long enough", || {
            let source = format!("192.0.2.{}", sources.next().unwrap());
            let key = key(0, 1, &source);
            zone.set_budgets(HitBudget::default());
            repeat(&zone, &frame(&source), 1);
            assert_eq!(zone.hits()[&key].packets, 1);
            let tick = coarse_now();
            zone.set_budgets(HitBudget { tick, hits: seen });
            // One by one: before a call for many packets the kernel waits for all CPUs.
            for _ in 0..run {
                repeat(&zone, &frame(&source), 1);
            }
            // Else some of them came in another one.
            let in_one_tick = coarse_now() == tick;
            let hit = zone.hits()[&key];
            in_one_tick.then_some((hit.packets - 1, hit.bytes - 100))
        })
        .unwrap()
    };
    let exact = EXACT_HITS_PER_TICK;
    // A whole sample, wherever the counted hit is in it.
    for samples in [1, 2, 4] {
        let packets = samples * HIT_SAMPLE;
        assert_eq!(
            counted_in_one_tick(exact, packets),
            (packets, packets * 100)
        );
    }
    // First the rest of the exact ones.
    assert_eq!(
        counted_in_one_tick(exact - 5, 5 + HIT_SAMPLE),
        (5 + HIT_SAMPLE, (5 + HIT_SAMPLE) * 100)
    );
    // For one more packet, nothing or a whole sample.
    let (packets, bytes) = counted_in_one_tick(exact, 1);
    assert!([0, HIT_SAMPLE].contains(&packets), "{packets}");
    assert_eq!(bytes, packets * 100);
}

#[test]
fn in_a_flood_no_source_is_added_for_a_sample() {
    let mut zone = blocking().load(require_privileged!());
    stay_on_this_cpu();
    let mut sources = 1..=250;
    let hits = wait_for(DEADLINE, "a tick of the clock that is long enough", || {
        let source = format!("192.0.2.{}", sources.next().unwrap());
        let tick = coarse_now();
        let hits = EXACT_HITS_PER_TICK;
        zone.set_budgets(HitBudget { tick, hits });
        for _ in 0..2 * HIT_SAMPLE {
            repeat(&zone, &frame(&source), 1);
        }
        let in_one_tick = coarse_now() == tick;
        let hit = zone.hits().remove(&key(0, 1, &source));
        in_one_tick.then_some(hit)
    });
    assert_eq!(hits.unwrap(), None);
    // They still count for their rule.
    let counted = zone.counters().classes[1].count.packets;
    assert!(counted >= 2 * HIT_SAMPLE, "{counted} packets");
}

#[test]
fn the_estimate_of_a_flood_is_off_by_less_than_a_sample_a_tick() {
    let zone = blocking().load(require_privileged!());
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).unwrap();
    let tick = u64::try_from(tick.tv_nsec()).unwrap();
    let packets = 1_000_000;
    let before = coarse_now();
    repeat(&zone, &frame("192.0.2.7"), packets);
    let ticks = (coarse_now() - before).div_ceil(tick) + 1;
    let hit = zone.hits()[&key(0, 1, "192.0.2.7")];
    assert!(
        hit.packets.abs_diff(packets) < ticks * HIT_SAMPLE,
        "{hit:?} in {ticks} ticks"
    );
    assert_eq!(hit.bytes, hit.packets * 100);
    assert!(hit.last_hit >= before);
}

#[test]
fn a_full_table_of_hits_changes_no_verdict() {
    let fixture = blocking().resized(names::HITS, 16);
    let mut zone = fixture.load(require_privileged!());
    for n in 0..=255 {
        let frame = frame(&format!("192.0.2.{n}"));
        zone.expect(&frame, Expected::DROPPED.class(1));
    }
    let hits = zone.hits();
    assert!((1..=16).contains(&hits.len()), "{} sources", hits.len());
    assert!(hits.values().all(|hit| hit.packets == 1), "{hits:?}");
}
