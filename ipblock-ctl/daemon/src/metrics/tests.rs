//! The page of an invented daemon, parsed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ipblock_api::types::{
    Action, AlertStatus, Count, Counters, DefaultVerdict, Entries, InterfaceState, InterfaceStatus,
    Mode, RuleCount, SinkKind, SinkState, SinkStatus, Status, Totals, ZoneStatus,
};
use jiff::Timestamp;
use prometheus_parse::{Sample, Scrape, Value};

use super::{
    super::connections::{Tally, Traffic},
    LastDeploy, Snapshot,
    page::page,
};

/// Returns series of every family, each with its own value.
pub(super) fn sample() -> Snapshot {
    let count = |packets| Count {
        packets,
        bytes: packets * 100,
    };
    let totals = Totals {
        passed: count(11),
        dropped: count(12),
        warned: count(13),
        allowed: count(14),
        non_ip: count(15),
        malformed: count(16),
    };
    let zone = |name: &str, generation| ZoneStatus {
        name: name.to_owned(),
        default: DefaultVerdict::Pass,
        generation,
        interfaces: Vec::new(),
        entries: Entries {
            ipv4: 120,
            ipv6: 4,
            capacity: 4_000_000,
        },
        totals,
    };
    let interface = |zone: &str, name: &str, mode, state| {
        let status = InterfaceStatus {
            name: name.to_owned(),
            mode,
            state,
            detail: None,
        };
        (zone.to_owned(), status)
    };
    let sink = |name: &str, kind, state| SinkStatus {
        name: name.to_owned(),
        kind,
        state,
        detail: None,
        delivered: 31,
        lost: 32,
        queued: 33,
    };
    Snapshot {
        status: Status {
            version: "0.1.0".to_owned(),
            pid: 1,
            revision: 7,
            staged: 2,
            confirm_deadline: None,
            zones: vec![zone("default", 9), zone("lan", 10)],
            bans: 5,
            alerts: AlertStatus {
                seen: 60,
                reported: 30,
                suppressed: 20,
                lost: 10,
                window: 60,
                rate: 1_000,
                sinks: vec![
                    sink("log", SinkKind::Log, SinkState::Ok),
                    sink("hook", SinkKind::Webhook, SinkState::Failing),
                    sink("lines", SinkKind::File, SinkState::Ok),
                ],
            },
            problems: vec!["one".to_owned(), "two".to_owned(), "three".to_owned()],
            object_sha256: "ab".repeat(32),
            bpffs: "/sys/fs/bpf".to_owned(),
            lists_dir: String::new(),
        },
        counters: Counters {
            rules: vec![
                rule("abuse", Action::Block, 21),
                rule("w.a-t_ch", Action::Warn, 24),
            ],
            bans: count(17),
            allow: count(14),
            totals,
        },
        interfaces: vec![
            interface(
                "default",
                "eth0",
                Some(Mode::Native),
                InterfaceState::Attached,
            ),
            interface("lan", "eth1", None, InterfaceState::Absent),
            interface("lan", "eth2", Some(Mode::Generic), InterfaceState::Failed),
        ],
        last_deploy: Some(LastDeploy {
            time: Timestamp::from_millisecond(1_700_000_000_250).unwrap(),
            took: Some(Duration::from_millis(36)),
        }),
        started: Timestamp::from_second(1_600_000_000).unwrap(),
        repairs: vec![("pins", 3), ("links", 0)],
        connections: traffic(),
        bans: vec![("manual".to_owned(), 2), ("other".to_owned(), 3)],
    }
}

fn traffic() -> Traffic {
    Traffic {
        ranks: vec![
            (
                "root",
                Tally {
                    open: 41,
                    refused: 42,
                },
            ),
            (
                "other",
                Tally {
                    open: 43,
                    refused: 44,
                },
            ),
        ],
        timed_out: 45,
        malformed: 46,
    }
}

fn rule(name: &str, action: Action, packets: u64) -> RuleCount {
    RuleCount {
        name: name.to_owned(),
        action,
        packets,
        bytes: packets * 100,
        excepted: packets + 1,
        last_hit: None,
    }
}

/// Returns the types of the families on a page, by name.
pub(super) fn types(page: &str) -> BTreeMap<&str, &str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).collect()
}

fn samples(page: &str) -> Vec<Sample> {
    let lines = page.lines().map(|line| Ok(line.to_owned()));
    Scrape::parse(lines).unwrap().samples
}

/// Parses the page: name and sorted labels, and the value as text.
fn series(page: &str) -> Vec<(String, String)> {
    let samples = samples(page).into_iter();
    let series = samples.map(|sample| {
        let value = match sample.value {
            Value::Counter(value) | Value::Gauge(value) => value,
            other => panic!("{}: {other:?}", sample.metric),
        };
        let labels = sample.labels.to_string();
        (format!("{}{{{labels}}}", sample.metric), value.to_string())
    });
    series.collect()
}

#[test]
fn the_page_is_what_it_was() {
    insta::assert_snapshot!(page(&sample()).unwrap());
}

#[test]
fn every_family_has_help_and_a_type_and_counters_end_in_total() {
    let page = page(&sample()).unwrap();
    let types = types(&page);
    let help = page.lines().filter_map(|line| line.strip_prefix("# HELP "));
    let help: BTreeMap<_, _> = help.map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(
        help.keys().collect::<Vec<_>>(),
        types.keys().collect::<Vec<_>>()
    );
    for (name, kind) in &types {
        assert!(matches!(*kind, "counter" | "gauge"), "{name}: {kind}");
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        assert!(name.starts_with("ipblock_") || *name == "process_start_time_seconds");
        assert!(help[name].ends_with('.'), "{name}: {}", help[name]);
    }
    let with_series: BTreeSet<_> = samples(&page).into_iter().map(|one| one.metric).collect();
    assert!(
        with_series
            .iter()
            .map(String::as_str)
            .eq(types.keys().copied())
    );
}

#[test]
fn a_parser_reads_every_value_once_and_exactly() {
    let page = page(&sample()).unwrap();
    let all = series(&page);
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(all.len(), lines.count());
    let read: BTreeMap<_, _> = all.iter().cloned().collect();
    assert_eq!(read.len(), all.len(), "a series stands there twice");
    for (series, value) in [
        (
            r#"ipblock_rule_packets_total{action="block",rule="abuse"}"#,
            "21",
        ),
        (
            r#"ipblock_rule_bytes_total{action="warn",rule="w.a-t_ch"}"#,
            "2400",
        ),
        (r#"ipblock_rule_excepted_packets_total{rule="abuse"}"#, "22"),
        (
            r#"ipblock_zone_packets_total{verdict="non_ip",zone="lan"}"#,
            "15",
        ),
        (
            r#"ipblock_zone_bytes_total{verdict="dropped",zone="default"}"#,
            "1200",
        ),
        (r#"ipblock_zone_entries{family="ipv6",zone="lan"}"#, "4"),
        (
            r#"ipblock_zone_capacity_entries{zone="default"}"#,
            "4000000",
        ),
        (r#"ipblock_zone_generation{zone="lan"}"#, "10"),
        ("ipblock_ban_packets_total{}", "17"),
        ("ipblock_ban_bytes_total{}", "1700"),
        ("ipblock_bans{}", "5"),
        (r#"ipblock_bans_by_origin{origin="manual"}"#, "2"),
        (r#"ipblock_bans_by_origin{origin="other"}"#, "3"),
        (
            r#"ipblock_interface_attached{interface="eth0",mode="native",zone="default"}"#,
            "1",
        ),
        (
            r#"ipblock_interface_attached{interface="eth1",mode="auto",zone="lan"}"#,
            "0",
        ),
        (
            r#"ipblock_interface_attached{interface="eth2",mode="generic",zone="lan"}"#,
            "0",
        ),
        ("ipblock_revision{}", "7"),
        ("ipblock_staged_edits{}", "2"),
        (r#"ipblock_drift_repairs_total{part="pins"}"#, "3"),
        ("ipblock_last_deploy_timestamp_seconds{}", "1700000000.25"),
        ("ipblock_last_deploy_duration_seconds{}", "0.036"),
        ("ipblock_alert_seen_packets_total{}", "60"),
        ("ipblock_alert_reported_packets_total{}", "30"),
        ("ipblock_alert_lost_packets_total{}", "10"),
        ("ipblock_alert_suppressed_packets{}", "20"),
        (
            r#"ipblock_alert_sink_delivered_total{kind="webhook",sink="hook"}"#,
            "31",
        ),
        (
            r#"ipblock_alert_sink_lost_total{kind="file",sink="lines"}"#,
            "32",
        ),
        (r#"ipblock_alert_sink_queue{kind="log",sink="log"}"#, "33"),
        (r#"ipblock_alert_sink_up{kind="log",sink="log"}"#, "1"),
        (r#"ipblock_alert_sink_up{kind="webhook",sink="hook"}"#, "0"),
        ("ipblock_problems{}", "3"),
        ("process_start_time_seconds{}", "1600000000"),
    ] {
        assert_eq!(
            read.get(series).map(String::as_str),
            Some(value),
            "{series}"
        );
    }
    let families: BTreeSet<_> = read
        .keys()
        .filter_map(|key| key.split('{').next())
        .collect();
    assert_eq!(families.len(), 32);
}

#[test]
fn a_label_may_hold_anything() {
    let mut snapshot = sample();
    // The kernel accepts them as names of interfaces, and the configuration as names of sinks.
    snapshot.interfaces[0].1.name = r#"a"b\c,d={e}"#.to_owned();
    snapshot.status.alerts.sinks[0].name = "two\nlines é".to_owned();
    let page = page(&snapshot).unwrap();
    for line in [
        r#"ipblock_interface_attached{interface="a\"b\\c,d={e}",zone="default",mode="native"} 1"#,
        r#"ipblock_alert_sink_up{sink="two\nlines é",kind="log"} 1"#,
    ] {
        assert!(page.lines().any(|one| one == line), "{line}\n{page}");
    }
}

#[test]
fn counters_beyond_2_to_the_53rd_are_the_nearest_double_and_never_go_back() {
    let exact = 1_u64 << 53;
    let packets = [
        exact - 1,
        exact,
        exact + 1,
        exact + 2,
        u64::MAX - 1,
        u64::MAX,
    ];
    let read = packets.map(|packets| {
        let mut snapshot = sample();
        snapshot.counters.bans.packets = packets;
        let page = page(&snapshot).unwrap();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix("ipblock_ban_packets_total "));
        line.unwrap().parse::<u128>().unwrap()
    });
    assert_eq!(
        read,
        [
            9_007_199_254_740_991,
            9_007_199_254_740_992,
            9_007_199_254_740_992,
            9_007_199_254_740_994,
            18_446_744_073_709_552_000,
            18_446_744_073_709_552_000,
        ]
    );
    assert!(read.is_sorted());
}

#[test]
fn what_is_not_there_or_not_known_has_no_series() {
    let mut snapshot = sample();
    snapshot.counters.rules.clear();
    snapshot.interfaces.clear();
    snapshot.status.alerts.sinks.clear();
    snapshot.last_deploy = Some(LastDeploy {
        time: Timestamp::UNIX_EPOCH,
        took: None,
    });
    let known = page(&snapshot).unwrap();
    assert!(known.contains("\nipblock_last_deploy_timestamp_seconds 0\n"));
    snapshot.last_deploy = None;
    let unknown = page(&snapshot).unwrap();
    assert!(!unknown.contains("last_deploy"));
    for absent in ["_rule_", "_sink_", "_interface_", "_duration_"] {
        assert!(!known.contains(absent), "{absent}");
    }
    assert!(types(&known).contains_key("ipblock_alert_seen_packets_total"));
}

#[test]
fn a_page_of_thousands_of_rules_has_three_series_a_rule() {
    let mut snapshot = sample();
    let without = page(&snapshot).unwrap().lines().count() - 2 * 3;
    let rules = (0..5_000).map(|number| rule(&format!("rule-{number}"), Action::Block, number));
    snapshot.counters.rules = rules.collect();
    let page = page(&snapshot).unwrap();
    assert_eq!(page.lines().count(), without + 3 * 5_000);
}
