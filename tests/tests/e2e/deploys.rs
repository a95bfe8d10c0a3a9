//! Deploys under traffic: every packet gets the old or the new verdict, without a gap.

use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

use ipblock_api::{
    client::Client,
    types::{ApplyRequest, Counters},
};
use ipblock_tests::{
    packet::{CTAG, Frame},
    require_privileged,
};

use crate::{
    answers::{count_of, counters, live_generations, pinned_generations, rule, status},
    flood::Flood,
    scenario::{Scene, count, marked},
};

/// Number of deploys: `IPBLOCK_DEPLOYS`, or enough to detect a gap in one of a hundred.
fn deploys() -> u32 {
    env::var("IPBLOCK_DEPLOYS").map_or(200, |number| number.parse().unwrap())
}

/// The common part of both rulesets. `abuse` and `spared` are in both, with different classes: the
/// other matches of their addresses, and the order of rules, change with every deploy.
const COMMON: &str = r#"
[allow]
match = ["203.0.113.128/26", "2001:db8:a::/48"]

[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/26", "2001:db8:b::/48"]

[[rule]]
name = "spared"
action = "block"
match = ["203.0.113.192/26"]
except = ["203.0.113.200"]
"#;

const ONLY_FIRST: &str = r#"
[[rule]]
name = "first"
action = "block"
match = ["198.51.100.0/25", "2001:db8:1::/48"]
"#;

const ONLY_SECOND: &str = r#"
[[rule]]
name = "around"
action = "warn"
match = ["203.0.113.0/25", "2001:db8:a::/47"]

[[rule]]
name = "inside"
action = "block"
match = ["203.0.113.4/30", "2001:db8:b::/64"]

[[rule]]
name = "second"
action = "block"
match = ["198.51.100.128/25", "2001:db8:2::/48"]
"#;

/// The two rulesets; their own rules are on opposite sides of the common ones.
fn rulesets() -> [String; 2] {
    [
        format!("{COMMON}{ONLY_FIRST}"),
        format!("{ONLY_SECOND}{COMMON}"),
    ]
}

/// The traffic of the peer: frames by their verdicts in both rulesets.
struct Traffic {
    blocked: Vec<Frame>,
    excepted: Vec<Frame>,
    allowed: Vec<Frame>,
    free: Vec<Frame>,
    /// Blocked by one ruleset and passed by the other.
    changing: Vec<Frame>,
}

impl Traffic {
    fn new() -> Self {
        let number = |sources: &[&str], first: u64| -> Vec<Frame> {
            let sources = sources.iter().zip(first..);
            sources
                .map(|(source, marker)| marked(source, marker))
                .collect()
        };
        let mut blocked = number(&["203.0.113.7", "203.0.113.33", "2001:db8:b::7"], 10);
        blocked.push(marked("203.0.113.5", 13).tagged(&[CTAG]));
        Self {
            blocked,
            excepted: number(&["203.0.113.200"], 20),
            allowed: number(&["203.0.113.130", "2001:db8:a::7"], 30),
            free: number(&["192.0.2.200", "2001:db8:9::7"], 40),
            changing: number(
                &[
                    "198.51.100.7",
                    "198.51.100.200",
                    "2001:db8:1::7",
                    "2001:db8:2::7",
                ],
                50,
            ),
        }
    }

    fn frames(&self) -> Vec<Frame> {
        let parts = [
            &self.blocked,
            &self.excepted,
            &self.allowed,
            &self.free,
            &self.changing,
        ];
        parts.into_iter().flatten().cloned().collect()
    }
}

/// A deploy never decreases a counter.
#[track_caller]
fn assert_not_backwards(before: &Counters, after: &Counters) {
    for name in ["abuse", "spared"] {
        assert!(count_of(before, name).packets <= count_of(after, name).packets);
        assert!(rule(before, name).excepted <= rule(after, name).excepted);
    }
    assert!(before.allow.packets <= after.allow.packets);
    assert!(before.totals.dropped.packets <= after.totals.dropped.packets);
    assert!(before.totals.passed.packets <= after.totals.passed.packets);
}

#[test]
fn many_deploys_under_traffic_misjudge_no_packet() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let deploys = deploys();
    let traffic = Traffic::new();
    let requests = rulesets().map(|ruleset| ApplyRequest {
        ruleset,
        file: "ruleset.toml".to_owned(),
        ..ApplyRequest::default()
    });
    // A process per deploy would take longer than the deploy.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::new(scene.daemon.socket());
    let apply = |request| runtime.block_on(client.apply(request));

    apply(&requests[1])?;
    let flood = Flood::start(&scene.pair, &traffic.frames())?;
    let mut last = counters(&scene.daemon)?;
    let mut times = Vec::new();
    for (number, request) in (2..).zip(requests.iter().cycle()).take(deploys as usize) {
        let started = Instant::now();
        let applied = apply(request)?;
        times.push(started.elapsed());
        assert_eq!(
            applied.deployed.map(|deployed| deployed.revision),
            Some(number)
        );
        if number % 50 == 0 {
            let now = runtime.block_on(client.counters())?;
            assert_not_backwards(&last, &now);
            last = now;
        }
    }
    let rounds = flood.stop()?;
    let all = traffic.frames().len() as u64;
    let counters = scene.judged(rounds * all)?;
    times.sort_unstable();
    let sum: Duration = times.iter().sum();
    println!(
        "{deploys} deploys under {} frames: mean {:?}, median {:?}, slowest {:?}",
        rounds * all,
        sum / deploys,
        times[times.len() / 2],
        times[times.len() - 1]
    );
    assert!(
        rounds > u64::from(deploys),
        "{rounds} rounds are no continuous traffic"
    );

    let mut arrived = scene.receiver.counts();
    let arrived_changing: BTreeMap<_, _> = (50..54)
        .map(|marker| (marker, arrived.remove(&marker).unwrap_or(0)))
        .collect();
    let common = [20, 30, 31, 40, 41].map(|marker| (marker, rounds));
    assert_eq!(arrived, BTreeMap::from(common));
    assert_eq!(scene.receiver.unmarked(), 0);

    assert_eq!(
        count_of(&counters, "abuse"),
        count(&traffic.blocked, rounds)
    );
    assert_eq!(rule(&counters, "spared").excepted, rounds);
    assert_eq!(counters.allow, count(&traffic.allowed, rounds));
    let always_passed = count(traffic.free.iter().chain(&traffic.excepted), rounds);
    let changing_passed: u64 = arrived_changing.values().sum();
    assert_eq!(
        counters.totals.passed.packets,
        always_passed.packets + changing_passed
    );
    assert_eq!(
        counters.totals.dropped.packets,
        (traffic.blocked.len() as u64 + 4) * rounds - changing_passed
    );
    for (marker, arrived) in arrived_changing {
        assert!(
            arrived > 0 && arrived < rounds,
            "{marker}: {arrived} of {rounds}: both rulesets were in force while it was sent"
        );
    }
    let status = status(&scene.daemon)?;
    assert_eq!(
        pinned_generations(&scene.daemon)?,
        live_generations(&status)
    );
    Ok(())
}
