//! Episodes with a simulated kernel, driven by a clock that is an argument.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const WINDOW: u64 = 60 * SECOND;

/// The kernel's windows, with the logic of ipblock-ebpf/src/alert.rs.
#[derive(Default)]
struct Kernel(HashMap<SourceKey, AlertWindow>);

impl Kernel {
    /// Processes a packet; returns an event if it is announced.
    fn packet(&mut self, key: SourceKey, now: u64) -> Option<AlertEvent> {
        let before = self.0.get(&key).copied();
        if let Some(window) = before
            && now - window.start < WINDOW
        {
            self.0.get_mut(&key)?.packets += 1;
            return None;
        }
        let opened = AlertWindow {
            start: now,
            packets: 1,
        };
        self.0.insert(key, opened);
        let before = before.unwrap_or_default();
        Some(AlertEvent {
            source: key,
            start: now,
            previous_start: before.start,
            previous_packets: before.packets,
            interface: 2,
            destination_port: 443,
            has_port: 1,
            protocol: 6,
            destination: [0; 16],
        })
    }
}

/// A kernel, and the alerts about its packets.
struct World {
    kernel: Kernel,
    episodes: Episodes,
    told: Vec<Told>,
}

impl World {
    fn new() -> Self {
        Self {
            kernel: Kernel::default(),
            episodes: Episodes::new(WINDOW, 100),
            told: Vec::new(),
        }
    }

    fn packet(&mut self, key: SourceKey, rules: &[u64], now: u64) {
        self.end(now);
        if let Some(event) = self.kernel.packet(key, now) {
            let told = self
                .episodes
                .announced(&event, subject(key, rules), PARTICULARS);
            self.told.extend(told);
        }
    }

    fn end(&mut self, now: u64) {
        let kernel = &self.kernel.0;
        let look = |key: &SourceKey| Ok::<_, Infallible>(kernel.get(key).copied());
        let Ok(ended) = self.episodes.ended(now, look);
        self.told.extend(ended);
    }

    /// Returns the alerts since the last call: time in seconds, whether it is the first of a
    /// window, packets.
    fn told(&mut self) -> Vec<(u64, bool, u64)> {
        let told = std::mem::take(&mut self.told);
        told.iter()
            .map(|told| (told.time / SECOND, told.is_first, told.packets))
            .collect()
    }
}

const PARTICULARS: Particulars = Particulars {
    action: Action::Warn,
    interface: 2,
    destination: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    protocol: 6,
    destination_port: Some(443),
};

fn key(generation: u64, class: u32, host: u8) -> SourceKey {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[203, 0, 113, host]);
    SourceKey {
        generation,
        class,
        family: 4,
        address,
    }
}

fn subject(key: SourceKey, rules: &[u64]) -> Subject {
    Subject {
        zone: ZoneName::default(),
        source: super::super::address(key.family, key.address),
        rules: rules.iter().copied().map(RuleId).collect(),
    }
}

#[test]
fn one_packet_is_told_of_once() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    assert_eq!(world.told(), [(100, true, 1)]);
    world.end(1_000 * SECOND);
    assert_eq!(world.told(), []);
    assert_eq!(world.episodes.next_due(), None, "forgotten");
}

#[test]
fn the_rest_of_a_window_follows_when_it_ends() {
    let mut world = World::new();
    for second in [100, 101, 120, 159] {
        world.packet(key(1, 1, 7), &[1], second * SECOND);
    }
    assert_eq!(world.told(), [(100, true, 1)]);
    world.end(160 * SECOND);
    assert_eq!(world.told(), [], "the kernel may not be there yet");
    world.end(161 * SECOND);
    assert_eq!(world.told(), [(161, false, 3)]);
}

#[test]
fn a_source_that_goes_on_is_told_of_once_a_window() {
    let mut world = World::new();
    for second in 100..=280 {
        world.packet(key(1, 1, 7), &[1], second * SECOND);
    }
    assert_eq!(
        world.told(),
        [
            (100, true, 1),
            (160, false, 60),
            (220, false, 60),
            (280, false, 60)
        ]
    );
}

#[test]
fn a_source_that_returns_after_a_quiet_window_is_a_first_one_again() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    world.packet(key(1, 1, 7), &[1], 101 * SECOND);
    world.end(165 * SECOND);
    world.end(230 * SECOND);
    world.packet(key(1, 1, 7), &[1], 300 * SECOND);
    assert_eq!(
        world.told(),
        [(100, true, 1), (165, false, 1), (300, true, 1)]
    );
}

#[test]
fn each_source_and_each_zone_has_windows_of_its_own() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    world.packet(key(1, 1, 8), &[1], 101 * SECOND);
    let event = world.kernel.packet(key(2, 1, 7), 102 * SECOND).unwrap();
    let elsewhere = Subject {
        zone: "lan".parse().unwrap(),
        ..subject(key(2, 1, 7), &[1])
    };
    let told = world.episodes.announced(&event, elsewhere, PARTICULARS);
    assert!(told.unwrap().is_first);
    assert_eq!(world.told(), [(100, true, 1), (101, true, 1)]);
}

#[test]
fn a_deploy_does_not_begin_the_window_anew() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    world.packet(key(1, 1, 7), &[1], 101 * SECOND);
    // Another generation with different numbers for its classes.
    world.packet(key(2, 5, 7), &[1], 110 * SECOND);
    world.packet(key(2, 5, 7), &[1], 111 * SECOND);
    assert_eq!(world.told(), [(100, true, 1)]);
    world.end(165 * SECOND);
    assert_eq!(world.told(), [(165, false, 3)]);
    world.packet(key(2, 5, 7), &[1], 171 * SECOND);
    assert_eq!(world.told(), [], "within the window that began with 165");
    world.end(230 * SECOND);
    assert_eq!(world.told(), [(230, false, 1)]);
}

#[test]
fn a_rule_that_is_hit_for_the_first_time_is_told_of_and_one_that_goes_is_not() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    world.packet(key(2, 1, 7), &[1, 2], 110 * SECOND);
    world.packet(key(3, 1, 7), &[2], 120 * SECOND);
    assert_eq!(world.told(), [(100, true, 1), (110, true, 1)]);
    world.end(200 * SECOND);
    assert_eq!(world.told(), [(200, false, 1)]);
}

#[test]
fn a_window_that_the_kernel_keeps_no_more_ends_without_a_word() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    world.packet(key(1, 1, 7), &[1], 101 * SECOND);
    world.kernel.0.clear();
    world.end(165 * SECOND);
    world.packet(key(1, 1, 7), &[1], 166 * SECOND);
    assert_eq!(world.told(), [(100, true, 1), (166, true, 1)]);
}

#[test]
fn a_read_that_fails_is_tried_again_and_nothing_is_counted_twice() {
    let mut world = World::new();
    world.packet(key(1, 1, 7), &[1], 100 * SECOND);
    world.packet(key(2, 1, 7), &[1], 101 * SECOND);
    world.packet(key(1, 1, 7), &[1], 102 * SECOND);
    world.told();
    let mut calls = 0;
    let failed = world.episodes.ended(165 * SECOND, |key| {
        calls += 1;
        if calls == 1 {
            Ok(world.kernel.0.get(key).copied())
        } else {
            Err("no")
        }
    });
    assert_eq!(failed, Err("no"));
    world.end(165 * SECOND);
    assert_eq!(world.told(), [(165, false, 2)]);
}

#[test]
fn a_full_table_forgets_the_quiet_first_and_still_tells_of_everybody() {
    let mut world = World::new();
    world.episodes = Episodes::new(WINDOW, 2);
    world.packet(key(1, 1, 1), &[1], 100 * SECOND);
    world.end(161 * SECOND);
    world.packet(key(1, 1, 2), &[1], 162 * SECOND);
    world.packet(key(1, 1, 3), &[1], 163 * SECOND);
    world.packet(key(1, 1, 4), &[1], 164 * SECOND);
    assert_eq!(world.told().len(), 4);
    assert_eq!(world.episodes.by_id.len(), 2);
    assert_eq!(world.episodes.by_source.len(), 2);
    assert_eq!(world.episodes.due.len(), 2);
    assert_eq!(world.episodes.quiet.len(), 0);
}

/// Each packet was compared with every source once, which kept a processor busy for a whole window.
#[test]
fn a_table_full_of_sources_that_go_on_costs_no_walk_over_it_for_each_packet() {
    const SOURCES: u32 = 1 << 16;
    let mut episodes = Episodes::new(WINDOW, SOURCES as usize);
    let mut kernel = Kernel::default();
    let began = std::time::Instant::now();
    for source in 0..2 * SOURCES {
        let key = SourceKey {
            address: u128::from(source).to_be_bytes(),
            family: 6,
            ..key(1, 1, 0)
        };
        let event = kernel.packet(key, 100 * SECOND).unwrap();
        let told = episodes.announced(&event, subject(key, &[1]), PARTICULARS);
        assert!(told.unwrap().is_first);
        assert!(began.elapsed().as_secs() < 60, "only {source} packets");
    }
    assert_eq!(episodes.by_id.len(), SOURCES as usize);
}

proptest! {
    /// With any times, deploys and checks in between, every packet is reported exactly once, and no
    /// source more than once per window.
    #[test]
    fn every_packet_is_told_of_once(
        steps in prop::collection::vec((0_u64..90, 0_u64..3, 0_u8..3, any::<bool>()), 1..200),
    ) {
        let mut world = World::new();
        let mut now = 1_000 * SECOND;
        let mut generation = 1;
        let mut sent: HashMap<u8, u64> = HashMap::new();
        for (pause, deploys, host, is_looked) in steps {
            now += pause * SECOND / 3;
            generation += u64::from(deploys == 0);
            if is_looked {
                world.end(now);
            }
            world.packet(key(generation, 1, host), &[1], now);
            *sent.entry(host).or_default() += 1;
        }
        for _ in 0..3 {
            now += WINDOW + SECOND;
            world.end(now);
        }
        for (host, packets) in sent {
            let source = subject(key(1, 1, host), &[1]).source;
            let of_source = || world.told.iter().filter(|told| told.subject.source == source);
            prop_assert_eq!(of_source().map(|told| told.packets).sum::<u64>(), packets);
            let times: Vec<_> = of_source().map(|told| told.time).collect();
            for pair in times.windows(2) {
                prop_assert!(pair[1] - pair[0] >= WINDOW, "{:?}", times);
            }
        }
    }
}
