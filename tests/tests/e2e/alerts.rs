//! Which sources are reported, when, and with which data.

use std::thread;

use ipblock_api::types::{Action, AlertKind, AlertQuery};
use ipblock_tests::{
    DEADLINE, Privileged,
    packet::{Frame, Ipv4, Ipv6, Payload},
    require_privileged, wait_for,
};

use crate::{
    answers::{apply, count_of, counters, deploy},
    scenario::{Scene, marked},
    told::{Asker, aggregate, balance, first, said, wait_for_balance},
};

const RULESET: &str = r#"
[[rule]]
name = "watch"
action = "warn"
match = ["198.51.100.0/24", "2001:db8:cafe::/48"]
except = ["198.51.100.9"]

[[rule]]
name = "scan"
action = "block"
alert = true
match = ["203.0.113.0/25", "198.51.100.128/25"]

[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.128/25"]

[[rule]]
name = "both"
action = "warn"
match = ["198.51.100.64/26"]
"#;

/// Long enough that a test ends before it.
const LONG: &str = "[alerts]\nwindow = \"1h\"";
/// Short enough to wait for, and longer than it takes to send some packets.
const SHORT: &str = "[alerts]\nwindow = \"4s\"";

/// A scene with the ruleset deployed, and this in the daemon's configuration.
fn scene(root: Privileged, config: &str) -> anyhow::Result<(Scene, Asker)> {
    let scene = Scene::attached_with(root, "native", |daemon| daemon.config(config))?;
    apply(&scene.daemon, RULESET)?;
    let asker = Asker::new(&scene.daemon)?;
    Ok((scene, asker))
}

#[test]
fn each_source_and_each_set_of_rules_is_told_of_once_in_a_window() -> anyhow::Result<()> {
    let (scene, asker) = scene(require_privileged!(), LONG)?;
    let frames = [
        marked("198.51.100.7", 1),
        marked("198.51.100.8", 2),
        marked("198.51.100.70", 3),
        marked("203.0.113.7", 4),
        marked("198.51.100.200", 5),
        marked("2001:db8:cafe::7", 6),
        // Spared, blocked without an alert, and in nothing.
        marked("198.51.100.9", 7),
        marked("203.0.113.200", 8),
        marked("192.0.2.200", 9),
    ];
    scene.send(&frames, 5)?;
    scene.judged(9 * 5)?;
    let alerts = asker.wait_for_alerts(6)?;
    let found: Vec<_> = alerts.iter().map(said).collect();
    assert_eq!(
        found,
        [
            first("198.51.100.7", &["watch"]),
            first("198.51.100.8", &["watch"]),
            first("198.51.100.70", &["watch", "both"]),
            first("203.0.113.7", &["scan"]),
            first("198.51.100.200", &["watch", "scan"]),
            first("2001:db8:cafe::7", &["watch"]),
        ]
    );
    let actions: Vec<_> = alerts.iter().map(|alert| alert.action).collect();
    let (warn, block) = (Action::Warn, Action::Block);
    assert_eq!(actions, [warn, warn, warn, block, block, warn]);
    assert!(alerts.is_sorted_by(|a, b| a.id < b.id));
    assert!(alerts.iter().all(|alert| alert.zone == "default"
        && alert.interface == scene.interface()
        && alert.rule == alert.rules[0]));
    // One packet of each is reported; the others wait for the end of the window.
    assert_eq!(balance(&scene.daemon)?, [30, 6, 24, 0]);
    // The rules have counted the same packets, for themselves.
    let counters = counters(&scene.daemon)?;
    assert_eq!(count_of(&counters, "watch").packets, 25);
    assert_eq!(count_of(&counters, "scan").packets, 10);
    assert_eq!(count_of(&counters, "both").packets, 5);
    Ok(())
}

#[test]
fn an_alert_says_where_the_packet_went() -> anyhow::Result<()> {
    let (scene, asker) = scene(require_privileged!(), LONG)?;
    let frames = [
        Frame::carrying(
            &Ipv4::from("198.51.100.7")
                .to("192.0.2.80".parse()?)
                .with(Payload::tcp(5000, 443)),
        ),
        Frame::carrying(
            &Ipv6::from("2001:db8:cafe::7")
                .to("2001:db8::53".parse()?)
                .with(Payload::udp(5000, 53)),
        ),
    ];
    scene.send(&frames, 1)?;
    let alerts = asker.wait_for_alerts(2)?;
    let found: Vec<_> = alerts
        .iter()
        .map(|alert| {
            (
                alert.destination.to_string(),
                alert.protocol.as_str(),
                alert.destination_port,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("192.0.2.80".to_owned(), "tcp", Some(443)),
            ("2001:db8::53".to_owned(), "udp", Some(53)),
        ]
    );
    Ok(())
}

#[test]
fn what_came_in_the_window_is_told_of_when_it_ends() -> anyhow::Result<()> {
    let (scene, asker) = scene(require_privileged!(), SHORT)?;
    scene.send(&[marked("198.51.100.7", 1)], 25)?;
    scene.send(&[marked("198.51.100.8", 2)], 1)?;
    let alerts = asker.wait_for_alerts(3)?;
    let found: Vec<_> = alerts.iter().map(said).collect();
    assert_eq!(
        found,
        [
            first("198.51.100.7", &["watch"]),
            first("198.51.100.8", &["watch"]),
            aggregate("198.51.100.7", &["watch"], 24),
        ]
    );
    wait_for_balance(&scene.daemon, [26, 26, 0, 0])
}

#[test]
fn a_deploy_does_not_tell_of_anybody_again() -> anyhow::Result<()> {
    // Long enough for two deploys on a busy machine.
    let (scene, asker) = scene(require_privileged!(), "[alerts]\nwindow = \"8s\"")?;
    let frames = [marked("198.51.100.7", 1)];
    scene.send(&frames, 2)?;
    asker.wait_for_alerts(1)?;
    let other = "rule add other --action block --match 192.0.2.66";
    deploy(&scene.daemon, other)?;
    scene.send(&frames, 3)?;
    // A rename changes only the name in later alerts.
    deploy(&scene.daemon, "rule edit watch --rename eyes")?;
    scene.send(&frames, 4)?;
    let alerts = asker.wait_for_alerts(2)?;
    let found: Vec<_> = alerts.iter().map(said).collect();
    let expected = [
        first("198.51.100.7", &["watch"]),
        aggregate("198.51.100.7", &["eyes"], 8),
    ];
    assert_eq!(found, expected);
    wait_for_balance(&scene.daemon, [9, 9, 0, 0])
}

#[test]
fn what_came_while_the_daemon_was_dead_is_told_of_when_it_is_back() -> anyhow::Result<()> {
    let (mut scene, asker) = scene(require_privileged!(), LONG)?;
    scene.send(&[marked("198.51.100.7", 1)], 2)?;
    asker.wait_for_alerts(1)?;
    scene.daemon.kill()?;
    scene.send(&[marked("198.51.100.7", 1), marked("198.51.100.8", 2)], 3)?;
    scene.daemon.start()?;
    let alerts = asker.wait_for_alerts(2)?;
    let found: Vec<_> = alerts.iter().map(said).collect();
    let expected = [
        first("198.51.100.7", &["watch"]),
        first("198.51.100.8", &["watch"]),
    ];
    assert_eq!(found, expected);
    assert!(alerts[0].id < alerts[1].id);
    // Counts continue.
    wait_for_balance(&scene.daemon, [8, 2, 6, 0])
}

/// B29: `status` reported no packets, although the history had alerts.
#[test]
fn totals_go_on_after_the_kernels_counts_are_gone() -> anyhow::Result<()> {
    let (mut scene, asker) = scene(require_privileged!(), LONG)?;
    scene.send(&[marked("198.51.100.7", 1)], 3)?;
    asker.wait_for_alerts(1)?;
    wait_for_balance(&scene.daemon, [3, 1, 2, 0])?;
    scene.daemon.kill()?;
    // What a reboot leaves of a bpffs.
    std::fs::remove_dir_all(scene.daemon.bpffs().join("ipblock"))?;
    scene.daemon.start()?;
    // Packets without an alert are lost with the counts.
    wait_for_balance(&scene.daemon, [1, 1, 0, 0])?;
    scene.send(&[marked("198.51.100.8", 2)], 4)?;
    asker.wait_for_alerts(2)?;
    wait_for_balance(&scene.daemon, [5, 2, 3, 0])?;
    scene.daemon.restart()?;
    wait_for_balance(&scene.daemon, [5, 2, 3, 0])
}

#[test]
fn the_history_can_be_searched_and_outlives_the_daemon() -> anyhow::Result<()> {
    let (mut scene, asker) = scene(require_privileged!(), LONG)?;
    let sources = ["198.51.100.7", "198.51.100.200", "203.0.113.7"];
    scene.send(&[1, 2, 3].map(|n| marked(sources[n - 1], n as u64)), 1)?;
    let all = asker.wait_for_alerts(3)?;
    scene.daemon.restart()?;
    assert_eq!(asker.all_alerts()?, all);
    // Numbered from 1 in the order of all.
    let by = |query: AlertQuery| -> anyhow::Result<Vec<usize>> {
        let found = asker.alerts(&query)?;
        let places = found
            .iter()
            .filter_map(|it| all.iter().position(|one| one == it));
        Ok(places.map(|place| place + 1).collect())
    };
    let rule = |name: &str| AlertQuery {
        rule: Some(name.to_owned()),
        ..AlertQuery::default()
    };
    assert_eq!(by(rule("scan"))?, [2, 3]);
    assert_eq!(by(rule("nobody"))?, [0_usize; 0]);
    let source = |text: &str| AlertQuery {
        source: Some(text.to_owned()),
        ..AlertQuery::default()
    };
    assert_eq!(by(source("198.51.100.0/24"))?, [1, 2]);
    assert_eq!(by(source("198.51.100.8-203.0.113.7"))?, [2, 3]);
    let since = AlertQuery {
        since: Some(all[2].time),
        ..AlertQuery::default()
    };
    assert!(by(since)?.contains(&3));
    let refused = asker.alerts(&source("198.51.100.1/24")).unwrap_err();
    assert!(refused.to_string().contains("host bits"), "{refused}");
    Ok(())
}

#[test]
fn beyond_the_rate_nobody_is_told_of_and_every_packet_is_accounted_for() -> anyhow::Result<()> {
    let config = "[alerts]\nwindow = \"1h\"\nrate = 10";
    let (scene, asker) = scene(require_privileged!(), config)?;
    let frames: Vec<_> = (1..=100_u64)
        .map(|host| marked(&format!("2001:db8:cafe::{host:x}"), host))
        .collect();
    scene.send(&frames, 1)?;
    scene.judged(100)?;
    // The packets may have come over several seconds, and counts are ahead of the history.
    let alerts = wait_for(DEADLINE, "every announced packet in the history", || {
        let [seen, reported, _, lost] = balance(&scene.daemon).ok()?;
        assert_eq!((seen, lost), (100, 0));
        let alerts = asker.all_alerts().ok()?;
        (reported >= 10 && alerts.len() as u64 == reported).then_some(alerts)
    })?;
    assert!(alerts.iter().all(|alert| alert.kind == AlertKind::First));
    assert!(alerts.len() < 100, "{}", alerts.len());
    Ok(())
}

/// Each waiting client delayed a stop by five seconds, and the log reported open requests.
#[test]
fn who_waits_for_an_alert_holds_up_no_stop() -> anyhow::Result<()> {
    let (mut scene, _asker) = scene(require_privileged!(), LONG)?;
    let waiting = {
        let asker = Asker::new(&scene.daemon)?;
        thread::spawn(move || {
            asker.alerts(&AlertQuery {
                after: Some(0),
                wait: Some(30),
                ..AlertQuery::default()
            })
        })
    };
    // By then the daemon has taken the request that came before, if the machine is not very busy.
    for _ in 0..5 {
        balance(&scene.daemon)?;
    }
    assert!(scene.daemon.terminate()?.success());
    // There is none, or the daemon was gone before it was asked.
    let answer = waiting.join().expect("no panic");
    assert!(answer.is_err() || answer.is_ok_and(|alerts| alerts.is_empty()));
    let log = scene.daemon.log();
    assert!(!log.contains("requests were still open"), "{log}");
    assert!(log.contains("stopped; the filter stays in force"), "{log}");
    Ok(())
}
