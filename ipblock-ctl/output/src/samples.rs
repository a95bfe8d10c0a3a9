//! Values that the tests of this module render.

mod addresses;
mod alerts;
mod checks;

use ipblock_api::types::{
    Action, AddressChange, AlertStatus, AskedMode, Conversion, Count, Counters, DefaultVerdict,
    Deployed, Diff, Entries, EntryChange, EntryState, InterfaceState, InterfaceStatus,
    MalformedPolicy, Mode, RuleChange, RuleChangeKind, RuleCount, RuleInfo, StagedEditInfo, Status,
    Totals, ZoneInfo, ZoneStatus,
};
use jiff::{Timestamp, ToSpan as _};

use super::{
    doctor::Finding,
    import::{ImportReport, Refused},
    lint::{LintError, LintReport},
    view::View,
};

pub(super) use addresses::{allow, banned, bans, exceptions, list, lists};
pub(super) use alerts::{alert_status, alerts, top};
pub(super) use checks::{checks, dossier};

pub(super) fn now() -> Timestamp {
    "2026-10-01T12:00:00Z".parse().expect("a time")
}

pub(super) fn view() -> View {
    View::plain(now())
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

const fn count(packets: u64, bytes: u64) -> Count {
    Count { packets, bytes }
}

const TOTALS: Totals = Totals {
    passed: count(1_234_567, 987_654_321),
    dropped: count(3, 180),
    warned: count(42, 2520),
    allowed: count(123_456_789, 98_765_432_100),
    non_ip: count(77, 4620),
    malformed: count(0, 0),
};

fn interface(name: &str, mode: AskedMode, state: InterfaceState) -> InterfaceStatus {
    InterfaceStatus {
        name: name.to_owned(),
        mode,
        state,
        detail: None,
    }
}

pub(super) fn status() -> Status {
    let mut failed = interface("wlan0", Some(Mode::Native), InterfaceState::Failed);
    failed.detail = Some("XDP program 17 (`other`) is on it".to_owned());
    Status {
        version: "0.1.0".to_owned(),
        pid: 1234,
        revision: 7,
        staged: 2,
        confirm_deadline: None,
        zones: vec![
            ZoneStatus {
                name: "default".to_owned(),
                default: DefaultVerdict::Pass,
                generation: 9,
                interfaces: vec![
                    interface("eth0", Some(Mode::Native), InterfaceState::Attached),
                    interface("wan0.100", None, InterfaceState::Absent),
                    failed,
                ],
                entries: Entries {
                    ipv4: 70_044,
                    ipv6: 4,
                    capacity: 4_000_000,
                },
                totals: TOTALS,
            },
            ZoneStatus {
                name: "dmz".to_owned(),
                default: DefaultVerdict::Drop,
                generation: 2,
                interfaces: vec![interface(
                    "eth1",
                    Some(Mode::Generic),
                    InterfaceState::Attached,
                )],
                entries: Entries {
                    ipv4: 1,
                    ipv6: 0,
                    capacity: 4_000_000,
                },
                totals: Totals::default(),
            },
        ],
        bans: 1_234,
        alerts: alert_status(),
        problems: texts(&[
            "the store is on a file system with 12 MB left",
            "alerts do not reach sink pager: https://pager.example/hook: connection refused",
        ]),
        object_sha256: "0123456789abcdef".repeat(4),
        bpffs: "/sys/fs/bpf".to_owned(),
        lists_dir: "/etc/ipblock/lists".to_owned(),
    }
}

pub(super) fn fresh_status() -> Status {
    let mut status = status();
    status.revision = 0;
    status.staged = 0;
    status.bans = 0;
    status.alerts = AlertStatus {
        window: 60,
        rate: 1000,
        ..AlertStatus::default()
    };
    status.confirm_deadline = Some(now() + 45.seconds());
    status.problems.clear();
    status.zones.truncate(1);
    for zone in &mut status.zones {
        zone.interfaces.clear();
        zone.entries.ipv4 = 0;
        zone.entries.ipv6 = 0;
        zone.totals = Totals::default();
    }
    status
}

pub(super) fn rules() -> Vec<RuleInfo> {
    let abuse = RuleInfo {
        name: "abuse".to_owned(),
        action: Action::Block,
        enabled: true,
        matches: texts(&["192.0.2.0/24", "198.51.100.7/32", "2001:db8:1::/48"]),
        more_match: 0,
        more_except: 0,
        except: texts(&["192.0.2.7/32"]),
        expires: None,
        note: "ticket 42".to_owned(),
        alert: false,
        zones: Vec::new(),
        entries: 2,
        packets: 3,
        bytes: 180,
        excepted: 1,
        last_hit: Some(now() - 12.seconds()),
        state: EntryState::Deployed,
    };
    let scanners = RuleInfo {
        name: "scanners".to_owned(),
        action: Action::Warn,
        matches: (0..70_044)
            .map(|n: u32| format!("203.0.{}.{}/32", n / 256 % 256, n % 256))
            .collect(),
        more_match: 0,
        more_except: 0,
        except: Vec::new(),
        expires: Some(now() + 90.minutes()),
        note: String::new(),
        zones: texts(&["default", "dmz"]),
        entries: 70_044,
        packets: 1_234_567_890,
        bytes: 987_654_321_000,
        excepted: 0,
        last_hit: Some(now() - 26.hours()),
        state: EntryState::Changed,
        ..abuse.clone()
    };
    let customer = RuleInfo {
        name: "customer-4711-abusive".to_owned(),
        enabled: false,
        matches: texts(&["2001:db8:1234:5678:9abc:def0:1234:5678/128", "@office"]),
        more_match: 0,
        more_except: 0,
        except: Vec::new(),
        note: String::new(),
        alert: true,
        entries: 0,
        packets: 0,
        bytes: 0,
        excepted: 0,
        last_hit: None,
        state: EntryState::Added,
        ..abuse.clone()
    };
    let mut short = scanners.clone();
    short.matches.truncate(3);
    short.matches.insert(0, "@spamhaus-drop".to_owned());
    short.name = "feed".to_owned();
    short.state = EntryState::Removed;
    vec![abuse, short, scanners, customer]
}

pub(super) fn zones() -> Vec<ZoneInfo> {
    vec![
        ZoneInfo {
            name: "default".to_owned(),
            default: DefaultVerdict::Pass,
            malformed: MalformedPolicy::Pass,
            allow: Vec::new(),
            interfaces: texts(&["eth0", "wan0.100"]),
            state: EntryState::Deployed,
        },
        ZoneInfo {
            name: "dmz".to_owned(),
            default: DefaultVerdict::Drop,
            malformed: MalformedPolicy::Drop,
            allow: texts(&["192.0.2.128/25", "@office"]),
            interfaces: Vec::new(),
            state: EntryState::Added,
        },
    ]
}

fn staged_edit(author: &str, summary: &str) -> StagedEditInfo {
    StagedEditInfo {
        time: now() - 10.minutes(),
        author: author.to_owned(),
        summary: texts(&[summary]),
    }
}

pub(super) fn diff() -> Diff {
    let change = |name: &str, change, detail: &[&str]| RuleChange {
        name: name.to_owned(),
        change,
        detail: texts(detail),
    };
    Diff {
        rules: vec![
            change(
                "scanners",
                RuleChangeKind::Added,
                &["warn, 70,044 prefixes"],
            ),
            change(
                "abuse",
                RuleChangeKind::Changed,
                &["match: + 198.51.100.0/24", "note: `` -> `ticket 42`"],
            ),
            change("old", RuleChangeKind::Removed, &[]),
        ],
        other: texts(&["zone dmz: default pass -> drop"]),
        addresses: AddressChange {
            newly_blocked: "340282366920938463463374607431768211712".to_owned(),
            newly_passed: "0".to_owned(),
        },
        entries: EntryChange {
            before: 124,
            after: 70_168,
        },
        warnings: texts(&["rule old: its counters end with it"]),
        edits: vec![
            staged_edit("uid 0 (root)", "rule scanners: added, warn 1 prefix"),
            staged_edit("uid 1001 (eve)", "rule abuse: match + 192.0.2.0/24"),
            staged_edit("uid 0 (root)", "rule old: removed"),
        ],
        conflicts: Vec::new(),
        cut_peers: texts(&["198.51.100.9 (ssh, port 22)"]),
    }
}

pub(super) const fn deployed() -> Deployed {
    Deployed {
        revision: 8,
        changed: true,
        rules: 3,
        entries: 70_044,
        build_ms: 212,
        switch_ms: 0,
        confirm_deadline: None,
        edits: Vec::new(),
        still_staged: None,
        warnings: Vec::new(),
    }
}

pub(super) fn counters() -> Counters {
    let rule = |name: &str, action, packets, bytes, excepted, last_hit| RuleCount {
        name: name.to_owned(),
        action,
        packets,
        bytes,
        excepted,
        last_hit,
    };
    Counters {
        rules: vec![
            rule(
                "abuse",
                Action::Block,
                3,
                180,
                1,
                Some(now() - 12.seconds()),
            ),
            rule(
                "scanners",
                Action::Warn,
                1_234_567_890,
                987_654_321_000,
                0,
                None,
            ),
        ],
        bans: count(0, 0),
        allow: TOTALS.allowed,
        totals: TOTALS,
    }
}

pub(super) fn conversions() -> Vec<Conversion> {
    let prefixes = |list: &[&str]| {
        list.iter()
            .map(|prefix| prefix.parse().expect("a prefix"))
            .collect()
    };
    vec![
        Conversion {
            input: "192.0.2.1-192.0.2.10".to_owned(),
            cidrs: prefixes(&[
                "192.0.2.1/32",
                "192.0.2.2/31",
                "192.0.2.4/30",
                "192.0.2.8/31",
                "192.0.2.10/32",
            ]),
            addresses: "10".to_owned(),
        },
        Conversion {
            input: "2001:db8::/32".to_owned(),
            cidrs: prefixes(&["2001:db8::/32"]),
            addresses: "79228162514264337593543950336".to_owned(),
        },
    ]
}

pub(super) fn findings() -> Vec<Finding> {
    vec![
        Finding::ok("kernel", "6.18.0"),
        Finding::error(
            "bpffs",
            "not mounted at /sys/fs/bpf",
            "mount -t bpf -o mode=700 bpf /sys/fs/bpf",
        ),
        Finding::warning(
            "capabilities",
            "CAP_BPF is missing",
            "run ipblock-ctl doctor as root to see everything",
        ),
    ]
}

pub(super) fn lint_report() -> LintReport {
    LintReport {
        warnings: texts(&["rule `old` ended on 2026-01-01T00:00:00Z"]),
        rules: 3,
        entries: 70_044,
        ..LintReport::new("rules.toml".to_owned())
    }
}

pub(super) fn lint_errors() -> LintReport {
    LintReport {
        errors: vec![
            LintError {
                line: Some(3),
                column: Some(10),
                message: "`192.0.2.1/24`: host bits are set".to_owned(),
                hint: Some("write 192.0.2.0/24 or 192.0.2.1".to_owned()),
            },
            LintError {
                line: None,
                column: None,
                message: "too large".to_owned(),
                hint: None,
            },
        ],
        ..LintReport::new("rules.toml".to_owned())
    }
}

pub(super) fn import_report() -> ImportReport {
    ImportReport {
        file: "drop.txt".to_owned(),
        format: "plain".to_owned(),
        read: 12_364,
        prefixes: 12_345,
        addresses: "1048576".to_owned(),
        duplicates: 17,
        timed: 0,
        keeps_ends: false,
        mapped: 0,
        sets: Vec::new(),
        passed_over: Vec::new(),
        at: Vec::new(),
        refused: vec![
            Refused {
                line: 3,
                text: "192.0.2.1/24".to_owned(),
                problem: "host bits set".to_owned(),
                hint: Some("write 192.0.2.0/24, or 192.0.2.1 for the one address".to_owned()),
            },
            Refused {
                line: 9,
                text: String::new(),
                problem: "no address".to_owned(),
                hint: None,
            },
        ],
        more_refused: 0,
        staged: None,
        bans: None,
        found: None,
    }
}
