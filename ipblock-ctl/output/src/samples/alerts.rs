//! Values about alerts: the alerts, their sinks, and hits per source.

use ipblock_api::types::{
    Action, AlertInfo, AlertKind, AlertStatus, SinkKind, SinkState, SinkStatus, TopInfo,
};
use jiff::ToSpan as _;

use super::{now, texts};

pub(crate) fn alerts() -> Vec<AlertInfo> {
    let alert = |id, ago: i32, rules: &[&str], source: &str, destination: &str| AlertInfo {
        id,
        time: now() - ago.seconds(),
        kind: AlertKind::First,
        zone: "default".to_owned(),
        interface: "eth0".to_owned(),
        rule: rules[0].to_owned(),
        rules: texts(rules),
        action: Action::Warn,
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
        protocol: "tcp".to_owned(),
        destination_port: Some(22),
        packets: 1,
    };
    let wide = "2001:db8:85a3:8d3:1319:8a2e:370:7348";
    let own = "2001:db8:1234:5678:9abc:def0:1234:5678";
    let mut alerts = vec![
        alert(41, 90, &["scanners"], "203.0.113.7", "192.0.2.10"),
        alert(
            42,
            60,
            &["scanners", "abuse"],
            "198.51.100.77",
            "192.0.2.10",
        ),
        alert(43, 30, &["scanners"], "203.0.113.7", "192.0.2.10"),
        alert(44, 20, &["scanners"], "2001:db8::7", "2001:db8::1"),
        alert(45, 10, &["customer-4711-suspicious"], wide, own),
    ];
    alerts[1].action = Action::Block;
    alerts[1].protocol = "udp".to_owned();
    alerts[1].destination_port = Some(65_535);
    alerts[2].kind = AlertKind::Aggregate;
    alerts[2].packets = 1_234_567;
    alerts[3].protocol = "ipv6-icmp".to_owned();
    alerts[3].destination_port = None;
    alerts[4].interface = "wan0.100".to_owned();
    alerts[4].zone = "dmz".to_owned();
    alerts
}

pub(crate) fn alert_status() -> AlertStatus {
    let sink = |name: &str, kind, delivered| SinkStatus {
        name: name.to_owned(),
        kind,
        state: SinkState::Ok,
        detail: None,
        delivered,
        lost: 0,
        queued: 0,
    };
    let mut failing = sink("pager", SinkKind::Webhook, 12);
    failing.state = SinkState::Failing;
    failing.detail = Some("https://pager.example/hook: connection refused".to_owned());
    failing.lost = 3;
    failing.queued = 29;
    AlertStatus {
        seen: 1_234_600,
        reported: 1_234_000,
        suppressed: 567,
        lost: 33,
        window: 60,
        rate: 1000,
        sinks: vec![
            sink("log", SinkKind::Log, 44),
            sink("archive", SinkKind::File, 44),
            failing,
        ],
    }
}

pub(crate) fn top() -> Vec<TopInfo> {
    let top = |source: &str, rules: &[&str], packets, ago: i32| TopInfo {
        prefix: None,
        sources: None,
        source: source.parse().expect("an address"),
        rules: texts(rules),
        banned: false,
        packets,
        bytes: packets * 60,
        last_hit: Some(now() - ago.seconds()),
    };
    let mut top = vec![
        top("203.0.113.7", &["scanners", "abuse"], 1_234_567, 0),
        top(
            "2001:db8:85a3:8d3:1319:8a2e:370:7348",
            &["customer-4711-suspicious"],
            4321,
            12,
        ),
        top("198.51.100.77", &[], 42, 90),
        top("198.51.100.78", &["abuse"], 7, 7200),
    ];
    top[2].banned = true;
    top[3].banned = true;
    top
}
