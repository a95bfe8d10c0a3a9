//! Alerts: listed in order, and limited in number and age.

use std::time::Duration;

use ipblock_policy::Action;

use super::*;

const RETENTION: AlertRetention = AlertRetention {
    count: 5,
    time: Duration::from_secs(100),
};

fn alert(id: u64, source: &str, rules: &[&str]) -> Alert {
    Alert {
        id,
        time: at(1_000 + i64::try_from(id).unwrap()),
        kind: AlertKind::First,
        zone: "default".to_owned(),
        interface: "eth0".to_owned(),
        rules: rules.iter().map(ToString::to_string).collect(),
        action: Action::Warn,
        source: source.parse().unwrap(),
        destination: "192.0.2.1".parse().unwrap(),
        protocol: 6,
        destination_port: Some(443),
        packets: id,
    }
}

fn epoch(map: u32) -> AlertEpoch {
    AlertEpoch {
        boot_id: "this boot".to_owned(),
        map,
    }
}

fn add(fixture: &Fixture, alerts: &[Alert], now: i64) {
    let totals = AlertTotals {
        before: 0,
        reported: 7,
        lost: 1,
    };
    let store = &fixture.store;
    store
        .add_alerts(alerts, &epoch(1), totals, RETENTION, at(now))
        .unwrap();
}

fn filled() -> (Fixture, Vec<Alert>) {
    let fixture = Fixture::new();
    let alerts = vec![
        alert(1, "203.0.113.7", &["watch"]),
        alert(2, "203.0.113.8", &["watch", "scan"]),
        Alert {
            kind: AlertKind::Aggregate,
            action: Action::Block,
            destination_port: None,
            ..alert(3, "2001:db8::7", &["scan"])
        },
    ];
    add(&fixture, &alerts, 1_003);
    (fixture, alerts)
}

fn ids(fixture: &Fixture, filter: &AlertFilter) -> Vec<u64> {
    let alerts = fixture.store.alerts(filter).unwrap();
    alerts.iter().map(|alert| alert.id).collect()
}

fn filter() -> AlertFilter {
    AlertFilter {
        limit: 10,
        ..AlertFilter::default()
    }
}

#[test]
fn alerts_come_back_as_they_were_made_oldest_first() {
    let (fixture, alerts) = filled();
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.alerts(&filter()).unwrap(), alerts);
    assert_eq!(fixture.store.last_alert().unwrap(), 3);
}

#[test]
fn the_newest_are_found_by_the_first_of_them() {
    let (fixture, _) = filled();
    let first = |limit, rule: Option<&str>| {
        let filter = AlertFilter {
            limit,
            rule: rule.map(ToOwned::to_owned),
            ..AlertFilter::default()
        };
        fixture.store.first_of_newest(&filter).unwrap()
    };
    assert_eq!((first(2, None), first(10, None)), (Some(2), Some(1)));
    assert_eq!(first(1, Some("watch")), Some(2));
    assert_eq!((first(0, None), first(1, Some("gone"))), (None, None));
}

#[test]
fn a_filter_is_by_time_rule_source_and_place() {
    let (fixture, _) = filled();
    let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    let cases = [
        (
            AlertFilter {
                since: Some(at(1_002)),
                ..filter()
            },
            vec![2, 3],
        ),
        (
            AlertFilter {
                rule: Some("scan".to_owned()),
                ..filter()
            },
            vec![2, 3],
        ),
        (
            AlertFilter {
                rule: Some("sca".to_owned()),
                ..filter()
            },
            vec![],
        ),
        (
            AlertFilter {
                sources: nets(&["203.0.113.8/32"]),
                ..filter()
            },
            vec![2],
        ),
        (
            AlertFilter {
                sources: nets(&["203.0.113.0/24"]),
                ..filter()
            },
            vec![1, 2],
        ),
        (
            AlertFilter {
                sources: nets(&["::/0"]),
                ..filter()
            },
            vec![3],
        ),
        (
            AlertFilter {
                sources: nets(&["203.0.113.7/32", "2001:db8::/32"]),
                ..filter()
            },
            vec![1, 3],
        ),
        (
            AlertFilter {
                limit: 2,
                ..filter()
            },
            vec![2, 3],
        ),
        (
            AlertFilter {
                after: Some(0),
                limit: 2,
                ..filter()
            },
            vec![1, 2],
        ),
        (
            AlertFilter {
                after: Some(3),
                ..filter()
            },
            vec![],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(ids(&fixture, &filter), expected, "{filter:?}");
    }
}

#[test]
fn the_oldest_go_when_there_are_too_many_or_when_their_time_is_over() {
    let (fixture, _) = filled();
    let more: Vec<_> = (4..=7)
        .map(|id| alert(id, "203.0.113.9", &["watch"]))
        .collect();
    add(&fixture, &more, 1_007);
    assert_eq!(ids(&fixture, &filter()), [3, 4, 5, 6, 7]);
    add(&fixture, &[], 1_105);
    assert_eq!(ids(&fixture, &filter()), [5, 6, 7]);
    add(&fixture, &[], 2_000);
    assert_eq!(ids(&fixture, &filter()), [0_u64; 0]);
    // Numbers are not reused.
    assert_eq!(fixture.reopen().store.last_alert().unwrap(), 7);
}

#[test]
fn what_is_too_old_goes_also_when_no_alert_comes_any_more() {
    let (fixture, _) = filled();
    let store = &fixture.store;
    store.prune_alerts(RETENTION, at(1_102)).unwrap();
    assert_eq!(ids(&fixture, &filter()), [2, 3]);
    store.prune_alerts(RETENTION, at(9_000)).unwrap();
    assert_eq!(ids(&fixture, &filter()), [0_u64; 0]);
    // Deleted alerts do not count towards the limit.
    let more: Vec<_> = (8_000..8_005)
        .map(|id| alert(id, "203.0.113.9", &["watch"]))
        .collect();
    add(&fixture, &more, 9_001);
    assert_eq!(ids(&fixture, &filter()).len(), 5);
}

/// Each batch scanned all kept alerts, which took 12 ms for 100,000 alerts, 20 times a second.
#[test]
fn the_number_of_alerts_is_known_without_counting_them() {
    let (fixture, _) = filled();
    let assert_known = |fixture: &Fixture| {
        let connection = fixture.store.connection();
        let count = |query| connection.query_row(query, [], |row| row.get::<_, u32>(0));
        let known = count("SELECT rows FROM alert_kept").unwrap();
        assert_eq!(count("SELECT count(*) FROM alert").unwrap(), known);
    };
    assert_known(&fixture);
    for id in 4..30 {
        add(&fixture, &[alert(id, "203.0.113.9", &["watch"])], 1_000);
        assert_known(&fixture);
    }
    // Two are too old, and then one is beyond the limit.
    let three = [30, 31, 32].map(|id| alert(id, "203.0.113.9", &["watch"]));
    add(&fixture, &three, 1_127);
    assert_eq!(ids(&fixture, &filter()), [28, 29, 30, 31, 32]);
    assert_known(&fixture);
    // An alert that cannot be added undoes the whole batch.
    let twice = [33, 32].map(|id| alert(id, "203.0.113.9", &["watch"]));
    let totals = AlertTotals::default();
    let refused = fixture
        .store
        .add_alerts(&twice, &epoch(1), totals, RETENTION, at(1_127));
    assert!(refused.is_err());
    assert_known(&fixture);
    let fixture = fixture.after_power_loss();
    assert_known(&fixture);
    assert_eq!(ids(&fixture, &filter()), [28, 29, 30, 31, 32]);
}

#[test]
fn totals_go_on_when_the_kernels_counts_begin_anew() {
    let (fixture, _) = filled();
    let store = &fixture.store;
    let totals = |reported, lost, before| AlertTotals {
        reported,
        lost,
        before,
    };
    assert_eq!(store.alert_totals(&epoch(1)).unwrap(), totals(7, 1, 0));
    let other_boot = AlertEpoch {
        boot_id: "another boot".to_owned(),
        map: 1,
    };
    for epoch in [&epoch(2), &other_boot] {
        assert_eq!(store.alert_totals(epoch).unwrap(), totals(7, 1, 8));
    }
    // The number of packets before stays the same while the kernel's counts are the same.
    let more = totals(12, 2, 8);
    store
        .add_alerts(&[], &epoch(2), more, RETENTION, at(1_000))
        .unwrap();
    let fixture = fixture.after_power_loss();
    let store = &fixture.store;
    assert_eq!(store.alert_totals(&epoch(2)).unwrap(), more);
    assert_eq!(store.alert_totals(&other_boot).unwrap(), totals(12, 2, 14));
}
