//! The shared maps, opened by user space while the program writes them.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use aya::{
    TestRun as _,
    maps::{Array, HashMap as KernelMap, Map, MapData},
    programs::TestRunOptions,
    util::nr_cpus,
};
use ipblock_common::{
    AlertCounts, AlertRate, AlertSettings, ClassVerdict, HitCount, Outcome, SourceKey,
    ban::{self, NEVER},
    limits, names,
};
use ipblock_datapath::{DatapathError, PinDirectory, SharedMaps};
use ipblock_policy::bans::Write;
use ipblock_tests::{
    Bpffs, Privileged,
    packet::{Frame, Ipv4, Ipv6},
    require_privileged,
};
use ipnet::IpNet;

use crate::{fixture::Fixture, sources::key, zone::Zone};

/// A bpffs of the test's own.
pub(crate) struct Pins {
    /// Gone with the test.
    _bpffs: Bpffs,
    directory: PinDirectory,
    shared: PathBuf,
}

impl Pins {
    pub(crate) fn new(root: Privileged) -> Self {
        let bpffs = Bpffs::mount(root).unwrap();
        let directory = PinDirectory::create(bpffs.path()).unwrap();
        let abi = ipblock_common::ABI_VERSION.to_string();
        let shared = bpffs.path().join("ipblock/shared").join(abi);
        assert!(shared.is_dir());
        Self {
            _bpffs: bpffs,
            directory,
            shared,
        }
    }

    /// The pin of a shared map.
    pub(crate) fn path(&self, map: &str) -> PathBuf {
        self.shared.join(map)
    }

    pub(crate) fn open(&self) -> SharedMaps {
        SharedMaps::open_or_create(&self.directory).unwrap()
    }

    /// The table of hits, to write to it.
    fn hits(&self) -> KernelMap<MapData, SourceKey, HitCount> {
        let data = MapData::from_pin(self.shared.join(names::HITS)).unwrap();
        Map::from_map_data(data).unwrap().try_into().unwrap()
    }

    /// Replaces the shared maps with a zone's own.
    pub(crate) fn share(&self, zone: &Zone) -> SharedMaps {
        drop(self.open());
        for name in [
            names::BAN_HITS,
            names::BANS_IPV4,
            names::BANS_IPV6,
            names::BAN_GATE,
            names::BAN_FILTER_V4,
            names::BAN_FILTER_V6,
            names::ALERT_WINDOWS,
            names::ALERT_EVENTS,
            names::ALERT_COUNTS,
            names::ALERT_SETTINGS,
            names::ALERT_RATE,
            names::HITS,
            names::HIT_BUDGET,
        ] {
            let map = zone.ebpf().map(name).unwrap();
            std::fs::remove_file(self.shared.join(name)).unwrap();
            map.pin(self.shared.join(name)).unwrap();
        }
        self.open()
    }
}

/// A zone whose shared maps have the sizes of this machine.
pub(crate) fn sharing(fixture: Fixture, root: Privileged) -> Zone {
    fixture
        .resized(names::BAN_HITS, slots() / ban::SLOTS_PER_BLOCK)
        .load(root)
}

/// The counters of bans on this machine.
pub(crate) fn slots() -> u32 {
    limits::ban_slots(u32::try_from(nr_cpus().unwrap()).unwrap())
}

/// Returns a source by number, with its hits.
fn hit(n: u64) -> (SourceKey, HitCount) {
    let mut key = key(1, 1, "2001:db8::");
    key.address[8..].copy_from_slice(&n.to_be_bytes());
    let hit = HitCount {
        packets: n,
        bytes: n * 60,
        last_hit: n + 1,
    };
    (key, hit)
}

#[test]
fn shared_maps_are_made_once() {
    let pins = Pins::new(require_privileged!());
    let first = pins.open();
    let again = pins.open();
    assert_eq!(again.ids, first.ids);
    assert_eq!(again.alerts.id(), first.alerts.id());
    assert_eq!(again.alerts.counts().unwrap(), AlertCounts::default());
}

#[test]
fn a_pin_that_holds_another_map_is_refused_and_stays() {
    type Pin = fn(PathBuf);
    let root = require_privileged!();
    let plain_hash: Pin = |path| {
        let map = KernelMap::<_, SourceKey, HitCount>::create(65_536, 0).unwrap();
        map.pin(path).unwrap();
    };
    let two_elements: Pin = |path| {
        let map = Array::<_, AlertRate>::create(2, 0).unwrap();
        map.pin(path).unwrap();
    };
    let short_values: Pin = |path| {
        let map = Array::<_, u64>::create(1, 0).unwrap();
        map.pin(path).unwrap();
    };
    for (name, pin, problem) in [
        (
            names::HITS,
            plain_hash,
            "a Hash of 65536 entries with keys of 32 and values of 24 bytes",
        ),
        (names::ALERT_RATE, two_elements, "a Array of 2 entries"),
        (names::ALERT_RATE, short_values, "values of 8 bytes"),
        (names::ALERT_EVENTS, two_elements, "a Array of 2 entries"),
    ] {
        let pins = Pins::new(root);
        let path = pins.shared.join(name);
        pin(path.clone());
        for _ in 0..2 {
            let Err(error) = SharedMaps::open_or_create(&pins.directory) else {
                panic!("{name}: taken for a map of ours");
            };
            assert!(matches!(error, DatapathError::StrangePin { .. }), "{error}");
            assert!(error.to_string().contains(problem), "{name}: {error}");
        }
        std::fs::remove_file(path).unwrap();
        pins.open();
    }
}

#[test]
fn no_hits_are_read_from_an_empty_table() {
    let pins = Pins::new(require_privileged!());
    assert_eq!(pins.open().hits.all().unwrap(), []);
}

#[test]
fn every_hit_is_read_once() {
    let pins = Pins::new(require_privileged!());
    let shared = pins.open();
    let mut table = pins.hits();
    let mut expected = HashMap::new();
    // From one entry to several batches, and to more than one in most buckets.
    for count in [1, 2, 4095, 4096, 4097, 20_000, 45_000] {
        for n in expected.len() as u64..count {
            let (key, hit) = hit(n);
            table.insert(key, hit, 0).unwrap();
            expected.insert(key, hit);
        }
        let all = shared.hits.all().unwrap();
        assert_eq!(all.len(), expected.len());
        assert_eq!(all.into_iter().collect::<HashMap<_, _>>(), expected);
    }
}

#[test]
fn reading_ends_while_sources_come_and_go() {
    let pins = Pins::new(require_privileged!());
    let shared = pins.open();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut table = pins.hits();
            // Three times the capacity.
            for n in (0..200_000).cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (key, hit) = hit(n);
                table.insert(key, hit, 0).unwrap();
            }
        });
        let mut read = 0;
        // Until the table has been full for a while.
        while read < 5 {
            let all = shared.hits.all().unwrap();
            if all.len() > 50_000 {
                read += 1;
            }
            let mut seen = HashMap::new();
            for (key, found) in all {
                let n = u64::from_be_bytes(key.address[8..].try_into().unwrap());
                assert_eq!((key, found), hit(n));
                assert_eq!(seen.insert(key, found), None, "source {n} was read twice");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_window_is_never_read_with_the_packets_of_another() {
    let root = require_privileged!();
    let mut fixture = Fixture::empty();
    let class = fixture.alerting(ClassVerdict::Warn);
    let zone = sharing(fixture.entry("192.0.2.0/24", class), root);
    let pins = Pins::new(root);
    let mut shared = pins.share(&zone);
    // A window ends with the tick of the clock in which it began.
    let settings = AlertSettings {
        window: 1,
        rate: u64::MAX,
    };
    shared.alerts.set(settings).unwrap();

    let key = key(0, class, "192.0.2.7");
    let frame = Frame::carrying(&Ipv4::from("192.0.2.7"));
    let program = zone.program();
    let (rounds, repeat) = (50, 20_000);
    let runs_left = AtomicBool::new(true);
    let mut seen: HashMap<u64, u64> = HashMap::new();
    thread::scope(|scope| {
        let runner = scope.spawn(|| {
            for _ in 0..rounds {
                let options = TestRunOptions {
                    data_in: Some(frame.bytes()),
                    repeat,
                    ..TestRunOptions::default()
                };
                program.test_run(options).unwrap();
            }
            runs_left.store(false, Ordering::Relaxed);
        });
        while runs_left.load(Ordering::Relaxed) && !runner.is_finished() {
            if let Some(window) = shared.alerts.window(&key).unwrap() {
                let packets = seen.entry(window.start).or_default();
                assert!(
                    window.packets >= *packets,
                    "{window:?} after {packets} packets"
                );
                *packets = window.packets;
            }
        }
    });

    let packets = rounds * u64::from(repeat);
    let counts = shared.alerts.counts().unwrap();
    assert_eq!(counts.announced + counts.held, packets, "{counts:?}");
    let last = shared.alerts.window(&key).unwrap().unwrap();
    let mut windows = HashMap::from([(last.start, last.packets)]);
    shared.events.wait(Duration::from_secs(20));
    for event in shared.events.by_ref() {
        windows.insert(event.previous_start, event.previous_packets);
    }
    assert_eq!(windows.remove(&0), Some(0), "the first had none before it");
    assert_eq!(windows.len() as u64, counts.announced);
    assert_eq!(windows.values().sum::<u64>(), packets);
    for (start, packets) in seen {
        let all = windows[&start];
        assert!(packets <= all, "{packets} of {all} packets at {start}");
    }
}

#[test]
fn a_banned_source_is_dropped_all_the_time_while_other_bans_come_and_go() {
    let root = require_privileged!();
    let pins = Pins::new(root);
    let zone = sharing(Fixture::empty(), root);
    let mut bans = pins.share(&zone).bans;
    let net = |text: &str| text.parse::<IpNet>().unwrap();
    let kept = [net("192.0.2.7/32"), net("2001:db8::7/128")];
    bans.write(&kept.map(|prefix| Write::Set(prefix, NEVER)))
        .unwrap();
    let is_over = AtomicBool::new(false);
    let runs = thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            let mut runs = 0;
            while !is_over.load(Ordering::Relaxed) {
                for frame in [
                    Frame::carrying(&Ipv4::from("192.0.2.7")),
                    Frame::carrying(&Ipv6::from("2001:db8::7")),
                ] {
                    let options = TestRunOptions {
                        data_in: Some(frame.bytes()),
                        repeat: 1000,
                        ..TestRunOptions::default()
                    };
                    zone.program().test_run(options).unwrap();
                    runs += 1000;
                }
            }
            runs
        });
        // Neighbours in the same words of the filters, wide ones, and the removal of all of them.
        let others = [
            net("192.0.2.8/32"),
            net("192.0.0.0/16"),
            net("0.0.0.0/0"),
            net("2001:db8::8/128"),
            net("2001:db8::/40"),
            net("2000::/3"),
        ];
        for round in 0..400 {
            let other = others[round % others.len()];
            bans.write(&[Write::Set(other, NEVER)]).unwrap();
            bans.write(&[Write::Remove(other)]).unwrap();
            bans.make_hold(kept.map(|prefix| (prefix, NEVER)), |_| 0)
                .unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        traffic.join().unwrap()
    });
    let totals = zone.counters().totals;
    assert_eq!(totals[Outcome::Dropped].packets, runs);
    assert_eq!(totals[Outcome::Passed].packets, 0);
    let free = Frame::carrying(&Ipv4::from("192.0.2.8"));
    zone.run(&free, None).unwrap();
    assert_eq!(zone.counters().totals[Outcome::Passed].packets, 1);
}
