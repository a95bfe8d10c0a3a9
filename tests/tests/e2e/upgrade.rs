//! From the previous release to this one, and not back.
//!
//! This workspace does not contain the previous release, so the test is ignored unless it is
//! requested, and fails if it is requested without one. docs/testing.md says how to run it.

use std::{path::Path, time::Duration};

use ipblock_api::types::{Counters, Origin};
use ipblock_common::ABI_VERSION;
use ipblock_tests::{
    Binaries, Daemon, VethOptions, VethPair, binaries, packet::Frame, require_privileged, wait_for,
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    answers::{apply, count_of, counters, pinned_generations, program_on, rule, status},
    bans::{ban, bans},
    flood::Flood,
    scenario::{Scene, count, marked},
    told::{Asker, balance},
};

/// The directory with the binaries of the previous release.
const OLD: &str = "IPBLOCK_OLD_BIN_DIR";

/// The first deploy, which gives a history.
const FIRST: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/26"]
"#;

const RULESET: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/26", "2001:db8:b::/48", { at = "198.51.100.200", note = "ticket 42" }]
except = ["203.0.113.9"]
note = "as reported"

[[rule]]
name = "listed"
action = "block"
match = ["@partners"]

[[rule]]
name = "watch"
action = "warn"
match = ["203.0.113.64/26"]

[allow]
match = ["203.0.113.10"]

[list.partners]
match = ["198.51.100.64/26"]
"#;

/// The duration of short-lived objects, long enough for an upgrade meanwhile.
const SOON: &str = "30s";
const SOON_ENDED: Duration = Duration::from_mins(1);
/// Rounds of traffic between two steps.
const SOME: u64 = 50;

/// Markers of the frames, by what they meet.
const ENDING_BAN: u64 = 5;
const ENDING_RULE: u64 = 6;

/// What an upgrade must not change, without counts and remaining times.
fn kept(daemon: &Daemon) -> anyhow::Result<Vec<Value>> {
    let questions: [&[&str]; 8] = [
        &["rule", "list"],
        &["exception", "list"],
        &["allow", "list"],
        &["list", "show", "partners"],
        &["zone", "list"],
        &["history"],
        &["bans"],
        &["export", "--format", "json"],
    ];
    let answers = questions.iter().map(|question| {
        let mut answer = daemon.ctl_json(question)?;
        forget_counts(&mut answer);
        Ok(answer)
    });
    answers.collect()
}

fn forget_counts(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for key in ["packets", "bytes", "excepted", "last_hit", "seconds_left"] {
                map.remove(key);
            }
            // The previous release writes neither the revision of a file nor the problem of a
            // list's file, and its bans have no owners.
            if map.get("origin").is_some_and(|origin| origin == "manual") {
                map.remove("origin");
            }
            if map.get("problem").is_some_and(Value::is_null) {
                map.remove("problem");
            }
            if let Some(Value::String(text)) = map.get_mut("ruleset") {
                let lines = text.lines();
                let kept = lines.filter(|line| !line.trim_start().starts_with("\"revision\": "));
                *text = kept.collect::<Vec<_>>().join("\n");
            }
            map.values_mut().for_each(forget_counts);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_counts),
        _ => {}
    }
}

/// Every counter by its name.
fn numbers(counters: &Counters) -> Vec<(String, u64)> {
    fn collect(path: &str, value: &Value, into: &mut Vec<(String, u64)>) {
        match value {
            Value::Object(map) => map
                .iter()
                .for_each(|(key, value)| collect(&format!("{path}/{key}"), value, into)),
            Value::Array(values) => values
                .iter()
                .for_each(|value| collect(&format!("{path}/{}", value["name"]), value, into)),
            value => into.extend(value.as_u64().map(|number| (path.to_owned(), number))),
        }
    }
    let mut found = Vec::new();
    let value = serde_json::to_value(counters).expect("counters are JSON");
    collect("", &value, &mut found);
    found
}

/// Asserts that no counter has decreased, and returns the present ones.
fn no_lower(daemon: &Daemon, earlier: &Counters) -> anyhow::Result<Counters> {
    let later = counters(daemon)?;
    let before = numbers(earlier);
    assert!(before.len() > 20, "{before:?}");
    let now = numbers(&later);
    for (name, number) in before {
        let found = now.iter().find(|(other, _)| *other == name);
        assert!(
            found.is_some_and(|(_, now)| *now >= number),
            "{name} was {number}: {found:?}"
        );
    }
    Ok(later)
}

fn entries(directory: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in directory.read_dir()? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

#[test]
#[ignore = "needs the release before, in IPBLOCK_OLD_BIN_DIR (docs/testing.md)"]
#[expect(
    clippy::too_many_lines,
    reason = "one story, whose steps share the traffic that goes on through all of them"
)]
fn the_release_before_is_upgraded_under_traffic_and_back() -> anyhow::Result<()> {
    let root = require_privileged!();
    let old = Binaries::of_variable(OLD)?;
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface))
        .binaries(old.clone())
        .start()?;
    let mut scene = Scene::of(daemon, pair)?;
    apply(&scene.daemon, FIRST)?;
    apply(&scene.daemon, RULESET)?;
    ban(&scene.daemon, "198.51.100.7 --permanent --reason scan")?;
    ban(&scene.daemon, "2001:db8:bad::/64 --for 1h")?;
    let short = [
        "rule",
        "add",
        "short",
        "--action",
        "block",
        "--match",
        "198.51.100.9",
        "--for",
        SOON,
        "--deploy",
    ];
    scene.daemon.ctl(short)?.ok()?;
    ban(&scene.daemon, ["198.51.100.8", "--for", SOON])?;

    let blocked = [
        marked("203.0.113.7", 1),
        marked("2001:db8:b::7", 2),
        marked("198.51.100.200", 3),
    ];
    let listed = [marked("198.51.100.70", 4)];
    let ending = [
        marked("198.51.100.8", ENDING_BAN),
        marked("198.51.100.9", ENDING_RULE),
    ];
    let banned = [marked("198.51.100.7", 7), marked("2001:db8:bad::7", 8)];
    let warned = [marked("203.0.113.70", 9)];
    let clean = [
        marked("192.0.2.200", 10),
        // Spared by an exception, and allowed.
        marked("203.0.113.9", 11),
        marked("203.0.113.10", 12),
    ];
    let frames: Vec<Frame> = [&blocked[..], &listed, &ending, &banned, &warned, &clean].concat();
    let flood = Flood::start(&scene.pair, &frames)?;
    flood.wait_for_more(SOME)?;

    let before = kept(&scene.daemon)?;
    let ends = bans(&scene.daemon)?;
    let ban_ends = ends
        .iter()
        .find(|ban| ban.prefix.to_string() == "198.51.100.8/32");
    let ban_ends = ban_ends.and_then(|ban| ban.until).expect("an end");
    let rule_ends: Timestamp = before[0]
        .as_array()
        .and_then(|rules| rules.iter().find(|rule| rule["name"] == "short"))
        .and_then(|rule| rule["expires"].as_str())
        .expect("an end")
        .parse()?;
    let on_interface = program_on(&scene.pair.host.netns, scene.interface())?;
    let generations = pinned_generations(&scene.daemon)?;
    let pins = scene.daemon.bpffs().join("ipblock");
    assert_ne!(entries(&pins)?, ["shared"]);

    // The upgrade: no warning, and the new program finds what was left.
    let mut seen = counters(&scene.daemon)?;
    let log_before = scene.daemon.log().len();
    scene.daemon.kill()?;
    flood.wait_for_more(SOME)?;
    scene.daemon.replace_binaries(binaries().clone());
    scene.daemon.start()?;
    assert!(Timestamp::now() < ban_ends.min(rule_ends), "too slow");
    for _ in 0..5 {
        seen = no_lower(&scene.daemon, &seen)?;
        flood.wait_for_more(1)?;
    }
    assert_eq!(kept(&scene.daemon)?, before);
    assert_eq!(status(&scene.daemon)?.problems, [""; 0]);
    let log = scene.daemon.log();
    let built: Vec<&str> = log[log_before..]
        .lines()
        .filter(|line| line.contains("to be built"))
        .collect();
    assert!(
        built.len() == 1 && built[0].contains("another ABI"),
        "{log}"
    );
    let on_now = program_on(&scene.pair.host.netns, scene.interface())?;
    assert_ne!(on_now, on_interface);
    assert_eq!(on_now.map(|it| it.mode), on_interface.map(|it| it.mode));
    // No pin of the other ABI is left.
    let now = pinned_generations(&scene.daemon)?;
    assert!(now.len() == 1 && !generations.contains(&now[0]), "{now:?}");
    assert_eq!(entries(&pins.join("shared"))?, [ABI_VERSION.to_string()]);
    let mut kinds = entries(&pins)?;
    kinds.sort();
    assert_eq!(kinds, ["generations", "links", "shared"]);
    // A source that continues to hit a warn rule is reported without a deploy.
    let asker = Asker::new(&scene.daemon)?;
    let alerts = asker.wait_for_alerts(1)?;
    assert_eq!(alerts[0].source.to_string(), "203.0.113.70");
    assert_eq!(alerts[0].rule, "watch");
    assert_eq!(balance(&scene.daemon)?[3], 0);
    for marker in (1..=8).filter(|marker| ![ENDING_BAN, ENDING_RULE].contains(marker)) {
        assert_eq!(scene.receiver.count(marker), 0, "marker {marker}");
    }

    // Short-lived objects end on time, and not before.
    for (marker, end) in [(ENDING_BAN, ban_ends), (ENDING_RULE, rule_ends)] {
        while Timestamp::now() < end - Duration::from_secs(1) {
            assert_eq!(scene.receiver.count(marker), 0, "marker {marker}, {end}");
            flood.wait_for_more(1)?;
        }
        wait_for(SOON_ENDED, "what has ended to let frames through", || {
            (scene.receiver.count(marker) > 0).then_some(())
        })?;
        assert!(Timestamp::now() > end - Duration::from_secs(1), "{end}");
    }
    seen = no_lower(&scene.daemon, &seen)?;

    // Back and forth: both know this version of the store.
    for other in [old.clone(), binaries().clone()] {
        scene.daemon.kill()?;
        scene.daemon.replace_binaries(other);
        scene.daemon.start()?;
        flood.wait_for_more(SOME)?;
        seen = no_lower(&scene.daemon, &seen)?;
    }

    // Every sent packet is counted once, over both versions.
    let rounds = flood.stop()?;
    let counters = scene.judged(rounds * frames.len() as u64)?;
    let arrived = scene.receiver.counts();
    let [after_ban, after_rule] =
        [ENDING_BAN, ENDING_RULE].map(|marker| arrived.get(&marker).copied().unwrap_or(0));
    for marker in [1, 2, 3, 4, 7, 8] {
        assert_eq!(arrived.get(&marker), None, "marker {marker}");
    }
    for marker in 9..=12 {
        assert_eq!(arrived.get(&marker), Some(&rounds), "marker {marker}");
    }
    assert_eq!(count_of(&counters, "abuse"), count(&blocked, rounds));
    assert_eq!(rule(&counters, "abuse").excepted, rounds);
    assert_eq!(count_of(&counters, "listed"), count(&listed, rounds));
    assert_eq!(count_of(&counters, "watch"), count(&warned, rounds));
    assert_eq!(counters.totals.warned, count(&warned, rounds));
    let banned_for_ever = count(&banned, rounds).packets;
    assert_eq!(counters.bans.packets, banned_for_ever + rounds - after_ban,);
    assert_eq!(
        counters.totals.dropped.packets,
        rounds * 8 - after_ban - after_rule
    );
    println!(
        "{rounds} rounds of {} frames, {after_ban} after the ban's end, {after_rule} after the rule's",
        frames.len()
    );
    Ok(())
}

/// Bans of origin `manual` are where the release before has them; it would lose those of others.
#[test]
#[ignore = "needs the release before, in IPBLOCK_OLD_BIN_DIR (docs/testing.md)"]
fn only_a_ban_of_another_owner_refuses_a_downgrade() -> anyhow::Result<()> {
    let root = require_privileged!();
    let old = Binaries::of_variable(OLD)?;
    let mut scene = Scene::detached(root)?;
    let daemon = &mut scene.daemon;
    ban(daemon, "198.51.100.7 --permanent --reason scan")?;
    daemon.kill()?;
    daemon.replace_binaries(old.clone());
    daemon.start()?;
    assert_eq!(daemon.ctl_json("bans")?[0]["reason"], "scan");
    daemon.kill()?;
    daemon.replace_binaries(binaries().clone());
    daemon.start()?;
    ban(daemon, "198.51.100.7 --permanent --origin crowdsec")?;
    daemon.kill()?;
    daemon.replace_binaries(old);
    assert!(daemon.start().is_err());
    let log = daemon.log();
    assert!(log.contains("has schema version 5"), "{log}");
    daemon.replace_binaries(binaries().clone());
    daemon.start()?;
    let origins: Vec<_> = bans(daemon)?.into_iter().map(|ban| ban.origin).collect();
    assert_eq!(
        origins.iter().map(Origin::as_str).collect::<Vec<_>>(),
        ["crowdsec", "manual"]
    );
    Ok(())
}
