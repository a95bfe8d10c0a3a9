//! The metrics page: real packets, read over the unix socket and over TCP.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
};

use anyhow::Context as _;
use ipblock_api::types::Totals;
use ipblock_tests::{
    DEADLINE, Daemon, Privileged, VethOptions, VethPair, require_privileged, wait_for,
};
use prometheus_parse::{Scrape, Value};

use crate::{
    answers::{apply, counters, deploy, status},
    scenario::{OVERLAPPING, Scene, marked},
};

const ADDRESS: &str = "127.0.0.1:9477";

fn listening() -> String {
    format!("[metrics]\nlisten = \"{ADDRESS}\"\n")
}

/// An answer over HTTP.
struct Answer {
    status: String,
    head: String,
    body: String,
}

/// Sends a request on a connection and reads the answer to its end.
fn ask(mut stream: impl Read + Write, request: &str) -> anyhow::Result<Answer> {
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("a head")?;
    let (status, head) = head.split_once("\r\n").context("a status line")?;
    Ok(Answer {
        status: status.to_owned(),
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

fn connect(pair: &VethPair) -> anyhow::Result<TcpStream> {
    let stream = pair.host.netns.enter(|| TcpStream::connect(ADDRESS))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// A page as a Prometheus parser sees it.
struct Page(Scrape);

impl Page {
    fn of(answer: &Answer) -> anyhow::Result<Self> {
        assert_eq!(answer.status, "HTTP/1.1 200 OK", "{}", answer.body);
        let kind = "content-type: text/plain; version=0.0.4; charset=utf-8";
        assert!(
            answer.head.lines().any(|line| line == kind),
            "{}",
            answer.head
        );
        let lines = answer.body.lines().map(|line| Ok(line.to_owned()));
        Ok(Self(Scrape::parse(lines)?))
    }

    fn over_socket(daemon: &Daemon) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(daemon.socket())?;
        Self::of(&ask(stream, "GET /metrics")?)
    }

    fn over_tcp(pair: &VethPair) -> anyhow::Result<Self> {
        Self::of(&ask(connect(pair)?, "GET /metrics")?)
    }

    /// The only series with this name and these labels, among others.
    #[track_caller]
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = labels.iter();
        let found: Vec<_> = self
            .0
            .samples
            .iter()
            .filter(|sample| sample.metric == name)
            .filter(|sample| {
                fits.clone()
                    .all(|(key, value)| sample.labels.get(key) == Some(value))
            })
            .collect();
        match found[..] {
            [one] => match one.value {
                Value::Counter(value) | Value::Gauge(value) => value,
                ref other => panic!("{name}: {other:?}"),
            },
            _ => panic!("{name} {labels:?}: {found:?}"),
        }
    }

    /// A value that is a count.
    #[track_caller]
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.value(name, labels);
        value.to_string().parse().unwrap()
    }

    /// Asserts that the page agrees with `counters` and `status`.
    fn assert_agrees(&self, daemon: &Daemon) -> anyhow::Result<()> {
        let counters = counters(daemon)?;
        for rule in &counters.rules {
            let labels = [("rule", rule.name.as_str())];
            assert_eq!(
                self.count("ipblock_rule_packets_total", &labels),
                rule.packets
            );
            assert_eq!(self.count("ipblock_rule_bytes_total", &labels), rule.bytes);
            let excepted = self.count("ipblock_rule_excepted_packets_total", &labels);
            assert_eq!(excepted, rule.excepted);
        }
        let rules = self.0.samples.iter();
        let rules = rules.filter(|sample| sample.metric == "ipblock_rule_packets_total");
        assert_eq!(rules.count(), counters.rules.len());
        assert_eq!(
            self.count("ipblock_ban_packets_total", &[]),
            counters.bans.packets
        );
        assert_eq!(
            self.count("ipblock_ban_bytes_total", &[]),
            counters.bans.bytes
        );

        let status = status(daemon)?;
        for zone in &status.zones {
            let name = ("zone", zone.name.as_str());
            for (verdict, count) in verdicts(&zone.totals) {
                let labels = [name, ("verdict", verdict)];
                assert_eq!(
                    self.count("ipblock_zone_packets_total", &labels),
                    count.packets
                );
                assert_eq!(self.count("ipblock_zone_bytes_total", &labels), count.bytes);
            }
            let entries = |family| self.count("ipblock_zone_entries", &[name, ("family", family)]);
            assert_eq!(entries("ipv4"), zone.entries.ipv4);
            assert_eq!(entries("ipv6"), zone.entries.ipv6);
            let capacity = self.count("ipblock_zone_capacity_entries", &[name]);
            assert_eq!(capacity, zone.entries.capacity);
            assert_eq!(
                self.count("ipblock_zone_generation", &[name]),
                zone.generation
            );
        }
        assert_eq!(self.count("ipblock_revision", &[]), status.revision);
        assert_eq!(self.count("ipblock_staged_edits", &[]), status.staged);
        assert_eq!(self.count("ipblock_bans", &[]), status.bans);
        assert_eq!(
            self.count("ipblock_problems", &[]),
            status.problems.len() as u64
        );
        let build = [
            ("version", status.version.as_str()),
            ("object_sha256", &status.object_sha256),
        ];
        assert_eq!(self.count("ipblock_build_info", &build), 1);
        Ok(())
    }

    /// The counters that survive the daemon, by series.
    fn lasting_counters(&self) -> impl Iterator<Item = (String, f64)> {
        let lasting = ["ipblock_rule_", "ipblock_zone_", "ipblock_ban_"];
        let samples = self.0.samples.iter();
        samples.filter_map(move |sample| match sample.value {
            Value::Counter(value) if lasting.iter().any(|one| sample.metric.starts_with(one)) => {
                Some((format!("{}{{{}}}", sample.metric, sample.labels), value))
            }
            _ => None,
        })
    }
}

fn verdicts(totals: &Totals) -> [(&'static str, ipblock_api::types::Count); 6] {
    [
        ("passed", totals.passed),
        ("dropped", totals.dropped),
        ("warned", totals.warned),
        ("allowed", totals.allowed),
        ("non_ip", totals.non_ip),
        ("malformed", totals.malformed),
    ]
}

/// Packets that are blocked, excepted, warned about, allowed, banned and unmatched.
fn send_some(scene: &Scene) -> anyhow::Result<u64> {
    let sources = [
        "203.0.113.7",
        "203.0.113.9",
        "203.0.113.70",
        "198.51.100.7",
        "192.0.2.77",
        "192.0.2.200",
        "2001:db8::7",
    ];
    let frames: Vec<_> = (1..)
        .zip(sources)
        .map(|(n, source)| marked(source, n))
        .collect();
    scene.send(&frames, 3)?;
    Ok(3 * frames.len() as u64)
}

/// A daemon with rules, an allow list and a ban, and this in its configuration.
fn stage(root: Privileged, config: &str) -> anyhow::Result<Scene> {
    let scene = Scene::attached_with(root, "native", |daemon| daemon.config(config))?;
    apply(
        &scene.daemon,
        &format!("{OVERLAPPING}\n[allow]\nmatch = [\"192.0.2.77\"]\n"),
    )?;
    let ban = "ban 192.0.2.200 --for 1h";
    scene.daemon.ctl(ban)?.ok()?;
    Ok(scene)
}

#[test]
fn the_page_says_what_counters_and_status_say() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = stage(root, "")?;
    let sent = send_some(&scene)?;
    scene.judged(sent)?;
    scene.daemon.ctl("rule edit watch --note staged")?.ok()?;
    let page = Page::over_socket(&scene.daemon)?;
    page.assert_agrees(&scene.daemon)?;
    let rule = |name, action| [("rule", name), ("action", action)];
    assert_eq!(
        page.count("ipblock_rule_packets_total", &rule("abuse", "block")),
        6
    );
    assert_eq!(
        page.count("ipblock_rule_packets_total", &rule("watch", "warn")),
        6
    );
    assert_eq!(page.count("ipblock_ban_packets_total", &[]), 3);
    assert_eq!(page.count("ipblock_bans", &[]), 1);
    assert_eq!(page.count("ipblock_staged_edits", &[]), 1);
    let interface = [
        ("interface", scene.interface()),
        ("zone", "default"),
        ("mode", "native"),
    ];
    assert_eq!(page.count("ipblock_interface_attached", &interface), 1);
    Ok(())
}

#[test]
fn counters_on_the_page_never_go_back() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut scene = stage(root, "")?;
    let mut sent = send_some(&scene)?;
    scene.judged(sent)?;
    let mut before = Page::over_socket(&scene.daemon)?;
    let mut follows = |scene: &Scene, what: &str| -> anyhow::Result<()> {
        let after = Page::over_socket(&scene.daemon)?;
        after.assert_agrees(&scene.daemon)?;
        let now: Vec<_> = after.lasting_counters().collect();
        for (series, value) in before.lasting_counters() {
            let found = now.iter().find(|(name, _)| *name == series);
            let (_, later) = found.with_context(|| format!("no {series} after {what}"))?;
            assert!(*later >= value, "{series} after {what}: {later} < {value}");
        }
        before = after;
        Ok(())
    };
    deploy(&scene.daemon, "rule edit abuse --add-match 192.0.2.128/26")?;
    follows(&scene, "a deploy")?;
    sent += send_some(&scene)?;
    scene.judged(sent)?;
    follows(&scene, "more packets")?;
    scene.daemon.restart()?;
    follows(&scene, "a restart")?;
    scene.daemon.kill()?;
    scene.daemon.start()?;
    sent += send_some(&scene)?;
    scene.judged(sent)?;
    follows(&scene, "a kill")
}

#[test]
fn the_last_deploy_is_told_also_by_the_next_daemon() -> anyhow::Result<()> {
    const TIME: &str = "ipblock_last_deploy_timestamp_seconds";
    const TOOK: &str = "ipblock_last_deploy_duration_seconds";
    let root = require_privileged!();
    let mut scene = stage(root, "")?;
    let page = Page::over_socket(&scene.daemon)?;
    let (time, took) = (page.value(TIME, &[]), page.value(TOOK, &[]));
    assert!(took > 0.0, "{took}");
    assert!(time >= page.value("process_start_time_seconds", &[]).floor());
    scene.daemon.restart()?;
    let page = Page::over_socket(&scene.daemon)?;
    assert_eq!(page.value(TIME, &[]).to_string(), time.to_string());
    assert!(!page.0.docs.contains_key(TOOK));
    assert!(time <= page.value("process_start_time_seconds", &[]));
    Ok(())
}

#[test]
fn alerts_seen_are_those_reported_suppressed_and_lost() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = stage(root, "")?;
    let sent = send_some(&scene)?;
    scene.judged(sent)?;
    let mut last = None;
    let found = wait_for(DEADLINE, "6 packets to be told of", || {
        let page = Page::over_socket(&scene.daemon).ok()?;
        let of = |what: &str| page.count(&format!("ipblock_alert_{what}"), &[]);
        let seen = of("seen_packets_total");
        let parts = [
            of("reported_packets_total"),
            of("suppressed_packets"),
            of("lost_packets_total"),
        ];
        last = Some((seen, parts));
        (seen == 6 && parts.iter().sum::<u64>() == seen).then_some(())
    });
    found.with_context(|| format!("seen; reported, suppressed, lost: {last:?}"))
}

#[test]
fn nothing_listens_unless_the_configuration_says_so() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let sockets = scene.pair.host.netns.run(["cat", table])?;
        // The heading alone.
        assert_eq!(sockets.lines().count(), 1, "{sockets}");
    }
    Ok(())
}

#[test]
fn over_tcp_there_is_the_same_page_and_nothing_else() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut scene = stage(root, &listening())?;
    let sent = send_some(&scene)?;
    scene.judged(sent)?;
    Page::over_tcp(&scene.pair)?.assert_agrees(&scene.daemon)?;
    let index = ask(connect(&scene.pair)?, "GET /")?;
    assert_eq!(index.status, "HTTP/1.1 200 OK");
    for request in ["GET /v1/status", "POST /v1/deploy", "POST /metrics"] {
        let answer = ask(connect(&scene.pair)?, request)?;
        assert_eq!(answer.status, "HTTP/1.1 404 Not Found", "{request}");
    }
    assert!(!scene.daemon.log().contains("no loopback address"));
    scene.daemon.restart()?;
    Page::over_tcp(&scene.pair)?.assert_agrees(&scene.daemon)
}

#[test]
fn a_scrape_that_hangs_does_not_keep_the_daemon() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut scene = stage(root, &listening())?;
    let mut hanging = connect(&scene.pair)?;
    write!(hanging, "GET /metrics HTTP/1.1\r\nhost: ")?;
    // Accepted in order: the one that hangs has its place.
    Page::over_tcp(&scene.pair)?;
    assert!(scene.daemon.terminate()?.success());
    assert!(
        scene
            .daemon
            .log()
            .contains("stopped; the filter stays in force")
    );
    Ok(())
}

#[test]
fn an_address_that_is_taken_is_a_problem_with_a_hint_until_it_is_free() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let taken = pair.host.netns.enter(|| TcpListener::bind(ADDRESS))?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .config(listening())
        .start()?;
    let problem = |daemon: &Daemon| -> anyhow::Result<Option<String>> {
        let problems = status(daemon)?.problems.into_iter();
        let of_metrics = format!("metrics at {ADDRESS} are not served: ");
        Ok(problems
            .into_iter()
            .find(|problem| problem.starts_with(&of_metrics)))
    };
    let shown = wait_for(DEADLINE, "the problem", || problem(&daemon).ok().flatten())?;
    let hint = "(another process listens there: write another port";
    assert!(shown.contains(hint), "{shown}");
    drop(taken);
    wait_for(DEADLINE, "its end", || {
        problem(&daemon).ok()?.is_none().then_some(())
    })?;
    Page::over_tcp(&pair)?;
    Ok(())
}

#[test]
fn an_address_that_others_reach_is_warned_about() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .config("[metrics]\nlisten = \"0.0.0.0:9477\"\n")
        .start()?;
    assert_eq!(daemon.log().matches("no loopback address").count(), 1);
    Ok(())
}

#[test]
fn a_renamed_interface_is_not_attached_by_its_old_name() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    apply(&scene.daemon, OVERLAPPING)?;
    let labels = [("interface", scene.interface())];
    let shown = |labels: &[(&str, &str)]| -> anyhow::Result<u64> {
        let page = Page::over_socket(&scene.daemon)?;
        Ok(page.count("ipblock_interface_attached", labels))
    };
    assert_eq!(shown(&labels)?, 1);
    let netns = &scene.pair.host.netns;
    netns.run(["ip", "link", "set", scene.interface(), "down"])?;
    netns.run(["ip", "link", "set", scene.interface(), "name", "ens9"])?;
    assert_eq!(shown(&labels)?, 0);
    scene.daemon.ctl("attach ens9")?.ok()?;
    assert_eq!(shown(&[("interface", "ens9")])?, 1);
    assert_eq!(shown(&labels)?, 0);
    Ok(())
}
