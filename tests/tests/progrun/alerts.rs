//! Alerts: the first packet of a source in a window is announced, and every packet is seen once.
//! [`super::announcements`] tests the content, [`super::alert_races`] concurrency.

use ipblock_common::{
    AlertCounts, AlertEvent, AlertRate, AlertSettings, AlertWindow, ClassVerdict, Outcome,
    SourceKey, alert::HANDING_OVER, ban::NEVER, names,
};
use ipblock_tests::{
    Privileged,
    packet::{Frame, Ipv4, Ipv6, Payload},
    require_privileged,
};

use crate::{
    fixture::Fixture,
    sources::key,
    zone::{Expected, Zone, coarse_now},
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: AlertSettings = AlertSettings {
    window: 60 * SECOND,
    rate: 1000,
};
pub(crate) const GENERATION: u64 = 0x0102_0304_0506_0708;
pub(crate) const WARNED: Expected = Expected::pass(Outcome::Warned).class(1);
const BLOCKED: Expected = Expected::DROPPED.class(2);

/// A class for each verdict whose rules alert: 192.0.2.0/24 and `2001:db8::/32` are warned,
/// 198.51.100.0/24 is blocked, 203.0.113.0/25 allowed and 203.0.113.128/25 excepted.
pub(crate) fn fixture() -> Fixture {
    let mut fixture = Fixture::empty().generation(GENERATION).alerts(MINUTE);
    assert_eq!(fixture.alerting(ClassVerdict::Warn), 1);
    assert_eq!(fixture.alerting(ClassVerdict::Block), 2);
    assert_eq!(fixture.alerting(ClassVerdict::Allow), 3);
    assert_eq!(fixture.alerting(ClassVerdict::Default), 4);
    fixture
        .entry("192.0.2.0/24", 1)
        .entry("2001:db8::/32", 1)
        .entry("198.51.100.0/24", 2)
        .entry("203.0.113.0/25", 3)
        .entry("203.0.113.128/25", 4)
}

pub(crate) fn warned() -> Frame {
    Frame::carrying(&Ipv4::from("192.0.2.7"))
}

pub(crate) fn warned_key() -> SourceKey {
    key(GENERATION, 1, "192.0.2.7")
}

/// A zone, and its expected counts so far.
pub(crate) struct Watch {
    pub(crate) zone: Zone,
    counts: AlertCounts,
}

impl Watch {
    pub(crate) fn new(fixture: &Fixture, root: Privileged) -> Self {
        Self {
            zone: fixture.load(root),
            counts: AlertCounts::default(),
        }
    }

    /// Runs a frame that must be announced; returns the event.
    #[track_caller]
    pub(crate) fn announces(
        &mut self,
        what: &str,
        frame: &Frame,
        expected: Expected,
    ) -> AlertEvent {
        let before = coarse_now();
        self.zone.expect_of(what, frame, expected);
        let after = coarse_now();
        self.counts.announced += 1;
        assert_eq!(self.zone.alert_counts(), self.counts, "{what} {frame:?}");
        let events = self.zone.events();
        let [event] = events.as_slice() else {
            panic!("{what} {frame:?}\n{} events", events.len());
        };
        assert!((before..=after).contains(&event.start), "{what} {event:?}");
        let opened = AlertWindow {
            start: event.start,
            packets: 1,
        };
        assert_eq!(self.zone.window(&event.source), Some(opened), "{what}");
        *event
    }

    /// Runs a frame that must be seen and not announced.
    #[track_caller]
    fn holds(&mut self, frame: &Frame, expected: Expected) {
        self.zone.expect(frame, expected);
        self.counts.held += 1;
        self.is_unchanged();
    }

    /// Runs a frame that must not be seen.
    #[track_caller]
    fn ignores(&mut self, what: &str, frame: &Frame, expected: Expected) {
        self.zone.expect_of(what, frame, expected);
        self.is_unchanged();
    }

    #[track_caller]
    fn is_unchanged(&self) {
        assert_eq!(self.zone.alert_counts(), self.counts);
        assert_eq!(self.zone.events(), []);
    }

    /// Moves the source's window a minute back in time; returns its new start.
    pub(crate) fn ends_window(&mut self, key: &SourceKey) -> AlertWindow {
        let window = self.zone.window(key).unwrap();
        let ended = AlertWindow {
            start: window.start - MINUTE.window,
            ..window
        };
        self.zone.set_window(key, ended);
        ended
    }
}

#[test]
fn packets_in_a_window_are_held_and_counted_in_it() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    let event = watch.announces("first", &warned(), WARNED);
    for packets in 2..=20 {
        // Whatever they contain: a source is its address.
        let frame = Frame::carrying(&Ipv4::from("192.0.2.7").with(Payload::tcp(packets, 80)));
        watch.holds(&frame, WARNED);
        let window = AlertWindow {
            start: event.start,
            packets: packets.into(),
        };
        assert_eq!(watch.zone.window(&warned_key()), Some(window));
    }
    watch.announces(
        "another source",
        &Frame::carrying(&Ipv4::from("192.0.2.8")),
        WARNED,
    );
}

#[test]
fn the_first_packet_after_a_window_tells_of_all_its_packets() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    watch.announces("first", &warned(), WARNED);
    for held in [4, 0, 1] {
        for _ in 0..held {
            watch.holds(&warned(), WARNED);
        }
        let ended = watch.ends_window(&warned_key());
        assert_eq!(ended.packets, held + 1);
        let event = watch.announces("next", &warned(), WARNED);
        assert_eq!(event.previous_start, ended.start);
        assert_eq!(event.previous_packets, ended.packets);
    }
}

#[test]
fn a_window_ends_exactly_when_its_length_has_passed() {
    let root = require_privileged!();
    // As long as both ages allow, of which no one is older than the machine is up: the ends of the
    // window are then so far that a slow machine makes no difference.
    let window = coarse_now() / 2;
    let settings = AlertSettings { window, ..MINUTE };
    for (age, ends) in [(window / 2, false), (window * 3 / 2, true)] {
        let mut watch = Watch::new(&fixture().alerts(settings), root);
        let start = coarse_now() - age;
        let window = AlertWindow { start, packets: 7 };
        watch.zone.set_window(&warned_key(), window);
        if ends {
            let event = watch.announces("after", &warned(), WARNED);
            assert_eq!((event.previous_start, event.previous_packets), (start, 7));
        } else {
            watch.holds(&warned(), WARNED);
            let window = watch.zone.window(&warned_key()).unwrap();
            assert_eq!(window, AlertWindow { start, packets: 8 });
        }
    }
}

#[test]
fn a_cpu_whose_clock_lies_before_a_window_does_not_end_it() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    let start = coarse_now() + 3600 * SECOND;
    let window = AlertWindow { start, packets: 1 };
    watch.zone.set_window(&warned_key(), window);
    watch.holds(&warned(), WARNED);
    let window = watch.zone.window(&warned_key()).unwrap();
    assert_eq!(window, AlertWindow { start, packets: 2 });
}

#[test]
fn a_window_that_another_cpu_is_handing_over_is_counted_in() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    let start = HANDING_OVER;
    let window = AlertWindow { start, packets: 1 };
    watch.zone.set_window(&warned_key(), window);
    watch.holds(&warned(), WARNED);
    let window = watch.zone.window(&warned_key()).unwrap();
    assert_eq!(window, AlertWindow { start, packets: 2 });
}

#[test]
fn a_source_has_a_window_in_each_class_and_generation() {
    let root = require_privileged!();
    let mut watch = Watch::new(&fixture(), root);
    watch.announces("warned", &warned(), WARNED);
    let window = watch.zone.window(&warned_key()).unwrap();
    for (generation, class) in [(GENERATION, 2), (GENERATION + 1, 1)] {
        let other = key(generation, class, "192.0.2.7");
        assert_eq!(watch.zone.window(&other), None);
        watch.zone.set_window(&other, window);
    }
    watch.holds(&warned(), WARNED);
    let window = watch.zone.window(&warned_key()).unwrap();
    assert_eq!(window.packets, 2);
}

#[test]
fn a_blocked_source_is_dropped_and_announced() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    let frame = Frame::carrying(&Ipv4::from("198.51.100.7"));
    let event = watch.announces("blocked", &frame, BLOCKED);
    assert_eq!(event.source, key(GENERATION, 2, "198.51.100.7"));
    watch.holds(&frame, BLOCKED);
}

#[test]
fn a_warned_source_is_announced_also_where_the_default_drops_it() {
    let mut fixture = fixture();
    fixture.default_drop = true;
    let mut watch = Watch::new(&fixture, require_privileged!());
    let dropped = Expected::DROPPED.class(1);
    watch.announces("warned", &warned(), dropped);
    watch.holds(&warned(), dropped);
}

#[test]
fn only_blocked_and_warned_packets_alert() {
    let root = require_privileged!();
    let mut fixture = fixture().ban("192.0.2.66/32", NEVER);
    let quiet = fixture.verdict(ClassVerdict::Warn);
    let fixture = fixture.entry("192.0.2.77/32", quiet);
    let mut watch = Watch::new(&fixture, root);
    let allowed = Expected::pass(Outcome::Allowed).class(3);
    for (what, source, expected) in [
        ("allowed", "203.0.113.7", allowed),
        ("spared", "203.0.113.200", Expected::PASSED.class(4)),
        ("banned", "192.0.2.66", Expected::BANNED),
        ("unmatched", "192.0.3.1", Expected::PASSED),
        (
            "warned by a rule that does not alert",
            "192.0.2.77",
            Expected::pass(Outcome::Warned).class(quiet),
        ),
    ] {
        let frame = Frame::carrying(&Ipv4::from(source));
        for _ in 0..2 {
            watch.ignores(what, &frame, expected);
        }
    }
    assert_eq!(watch.zone.windows().len(), 0);
    assert_eq!(watch.zone.rate(), AlertRate::default());
}

#[test]
fn without_settings_packets_are_held_and_nothing_is_kept() {
    let fixture = fixture().alerts(AlertSettings::default());
    let mut watch = Watch::new(&fixture, require_privileged!());
    for _ in 0..3 {
        watch.holds(&warned(), WARNED);
    }
    assert_eq!(watch.zone.windows().len(), 0);
    // They apply from the next packet on.
    watch.zone.set_alerts(MINUTE);
    watch.announces("with settings", &warned(), WARNED);
}

#[test]
fn beyond_the_rate_packets_are_held_and_new_sources_are_not_kept() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    watch.announces("known", &warned(), WARNED);
    watch.holds(&warned(), WARNED);
    let ended = watch.ends_window(&warned_key());
    // A second that does not end while the test runs.
    let second = u64::MAX / SECOND;
    let used_up = AlertRate { second, used: 1000 };
    watch.zone.set_rate(used_up);

    let new = Frame::carrying(&Ipv4::from("192.0.2.8"));
    watch.holds(&new, WARNED);
    assert_eq!(watch.zone.window(&key(GENERATION, 1, "192.0.2.8")), None);
    watch.holds(&warned(), WARNED);
    let window = watch.zone.window(&warned_key()).unwrap();
    assert_eq!(
        window,
        AlertWindow {
            packets: 3,
            ..ended
        }
    );
    assert_eq!(watch.zone.rate(), used_up);

    // One more.
    watch.zone.set_rate(AlertRate { second, used: 999 });
    let event = watch.announces("the last of a second", &warned(), WARNED);
    assert_eq!(event.previous_start, ended.start);
    assert_eq!(event.previous_packets, 3);
    assert_eq!(watch.zone.rate(), used_up);
    watch.holds(&new, WARNED);
}

#[test]
fn a_new_second_brings_a_new_rate() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    let second = coarse_now() / SECOND - 1;
    watch.zone.set_rate(AlertRate { second, used: 5000 });
    watch.announces("in the next second", &warned(), WARNED);
    let rate = watch.zone.rate();
    assert_eq!(rate.used, 1);
    assert!(rate.second > second, "{rate:?}");
}

#[test]
fn what_finds_no_room_is_lost_and_judged_as_ever() {
    // The smallest ring there is: a page, of 4 KiB or more.
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let page = u32::try_from(page.unwrap().unwrap()).unwrap();
    let fixture = fixture()
        .resized(names::ALERT_EVENTS, page)
        .alerts(AlertSettings {
            rate: u64::MAX,
            ..MINUTE
        });
    let mut watch = Watch::new(&fixture, require_privileged!());
    // Records have a head of 8 bytes, and one byte stays free.
    let room = u64::from(page - 1) / (size_of::<AlertEvent>() as u64 + 8);
    let source = |n: u64| {
        let [.., a, b] = n.to_be_bytes();
        let address = format!("2001:db8::{a}:{b}");
        let frame = Frame::carrying(&Ipv6::from(address.as_str()));
        (frame, key(GENERATION, 1, &address))
    };
    for n in 0..room {
        let (frame, _) = source(n);
        watch.zone.expect(&frame, WARNED);
        watch.counts.announced += 1;
        assert_eq!(watch.zone.alert_counts(), watch.counts);
    }
    let (late, late_key) = source(room);
    let blocked = Frame::carrying(&Ipv4::from("198.51.100.7"));
    for (frame, expected) in [(&late, WARNED), (&late, WARNED), (&blocked, BLOCKED)] {
        watch.zone.expect(frame, expected);
        watch.counts.lost += 1;
        assert_eq!(watch.zone.alert_counts(), watch.counts);
    }
    assert_eq!(watch.zone.window(&late_key), None);

    // A known source whose window is over.
    let (known, known_key) = source(0);
    let ended = watch.ends_window(&known_key);
    watch.zone.expect(&known, WARNED);
    watch.counts.lost += 1;
    assert_eq!(watch.zone.alert_counts(), watch.counts);
    assert_eq!(watch.zone.window(&known_key), Some(ended));

    assert_eq!(watch.zone.events().len() as u64, room);
    watch.announces("with room again", &late, WARNED);
    let event = watch.announces("with room again", &known, WARNED);
    assert_eq!(event.previous_start, ended.start);
}

#[test]
fn a_full_table_of_windows_makes_room_for_new_sources() {
    let fixture = fixture().resized(names::ALERT_WINDOWS, 16);
    let mut watch = Watch::new(&fixture, require_privileged!());
    for n in 1..=200 {
        let frame = Frame::carrying(&Ipv4::from(format!("192.0.2.{n}").as_str()));
        watch.announces("new", &frame, WARNED);
    }
    let kept = watch.zone.windows();
    assert!((1..=16).contains(&kept.len()), "{} windows", kept.len());
    // An evicted one is new again.
    let gone = (1..=200)
        .map(|n| format!("192.0.2.{n}"))
        .find(|source| !kept.contains_key(&key(GENERATION, 1, source)))
        .unwrap();
    let event = watch.announces(
        "new again",
        &Frame::carrying(&Ipv4::from(gone.as_str())),
        WARNED,
    );
    assert_eq!((event.previous_start, event.previous_packets), (0, 0));
}
