//! A daemon killed at any moment of a deploy: the next one finishes or undoes it.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use ipblock_api::{
    client::{Client, ClientError},
    types::{Applied, ApplyRequest, Counters},
};
use ipblock_tests::{packet::Frame, require_privileged};

use crate::{
    answers::{
        apply, count_of, counters, live_generations, pinned_generations, program_on, rule, status,
    },
    flood::Flood,
    scenario::{Scene, count, marked},
};

const KILLS: u64 = 24;
const SEED: u64 = 0x1b10_c4ed;

/// A moment to kill at: pseudo-random, the same in every run (splitmix64).
fn fraction(number: u64) -> f64 {
    let mut z = SEED.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from((z >> 40) as u32) / f64::from(1_u32 << 24)
}

/// Its `abuse` never changes, but each has unique rules and classes.
fn ruleset(number: u64) -> String {
    format!(
        r#"
        [[rule]]
        name = "number-{number}"
        action = "warn"
        match = ["203.0.113.{}/30", "192.0.2.192/26"]

        [[rule]]
        name = "abuse"
        action = "block"
        match = ["203.0.113.0/26", "2001:db8:b::/48"]
        except = ["203.0.113.9"]
        "#,
        number % 16 * 4
    )
}

fn request(number: u64) -> ApplyRequest {
    ApplyRequest {
        ruleset: ruleset(number),
        file: format!("ruleset-{number}.toml"),
        ..ApplyRequest::default()
    }
}

fn apply_by(client: &Client, request: &ApplyRequest) -> Result<Applied, ClientError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(client.apply(request))
}

/// The number of the ruleset that is in force.
fn deployed_ruleset(counters: &Counters) -> u64 {
    let name = counters.rules[0].name.strip_prefix("number-").unwrap();
    name.parse().unwrap()
}

#[track_caller]
fn assert_not_backwards(before: &Counters, after: &Counters) {
    let (old, new) = (rule(before, "abuse"), rule(after, "abuse"));
    assert!(old.packets <= new.packets && old.bytes <= new.bytes);
    assert!(old.excepted <= new.excepted && old.last_hit <= new.last_hit);
    assert!(before.totals.dropped.packets <= after.totals.dropped.packets);
    assert!(before.totals.passed.packets <= after.totals.passed.packets);
    assert!(before.totals.warned.packets <= after.totals.warned.packets);
}

#[test]
fn a_daemon_killed_during_deploys_comes_back_to_the_old_or_the_new_ruleset() -> anyhow::Result<()> {
    let root = require_privileged!();
    println!("seed {SEED:#x}");
    let mut scene = Scene::attached(root, "native")?;
    let client = Client::new(scene.daemon.socket());
    // Measures a deploy, so that kills hit all of its parts.
    let mut typical = Duration::ZERO;
    for number in 0..5 {
        let started = Instant::now();
        apply_by(&client, &request(number))?;
        typical = typical.max(started.elapsed());
    }

    let blocked = [marked("203.0.113.7", 1), marked("2001:db8:b::7", 2)];
    let spared = marked("203.0.113.9", 3);
    let free = marked("198.51.100.7", 4);
    let frames: Vec<Frame> = blocked.iter().chain([&spared, &free]).cloned().collect();
    let flood = Flood::start(&scene.pair, &frames)?;
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for number in 5..5 + KILLS {
        let old = status(&scene.daemon)?.revision;
        let before = counters(&scene.daemon)?;
        let old_ruleset = deployed_ruleset(&before);
        let deploying = thread::spawn({
            let (client, request) = (client.clone(), request(number));
            move || apply_by(&client, &request)
        });
        // The moment is the test's input, not something to wait for.
        thread::sleep(typical.mul_f64(fraction(number)));
        scene.daemon.kill()?;
        let told = deploying.join().unwrap();
        scene.daemon.start()?;

        let now = status(&scene.daemon)?;
        let after = counters(&scene.daemon)?;
        let is_new = match deployed_ruleset(&after) {
            found if found == number => true,
            found => {
                assert_eq!(found, old_ruleset);
                false
            }
        };
        // Revision numbers of undone deploys may be used up.
        assert_eq!(now.revision > old, is_new, "{} after {old}", now.revision);
        if let Ok(applied) = &told {
            // What was reported as done is done.
            let revision = applied.deployed.as_ref().map(|deployed| deployed.revision);
            assert_eq!(revision, Some(now.revision));
        }
        assert_eq!(now.staged, 0);
        assert_eq!(now.problems, Vec::<String>::new());
        assert_not_backwards(&before, &after);
        assert_eq!(now.zones.len(), 1);
        assert_eq!(pinned_generations(&scene.daemon)?, live_generations(&now));
        assert!(program_on(&scene.pair.host.netns, scene.interface())?.is_some());
        *outcomes
            .entry(match (told.is_ok(), is_new) {
                (true, _) => "told and done",
                (false, true) => "not told, done",
                (false, false) => "undone",
            })
            .or_default() += 1;
        // And it still works.
        assert!(apply(&scene.daemon, &ruleset(number + 1000))?.changed);
    }
    println!("deploys take {typical:?}; kills: {outcomes:?}");

    let rounds = flood.stop()?;
    let counters = scene.judged(rounds * frames.len() as u64)?;
    let arriving = [(3, rounds), (4, rounds)];
    assert_eq!(scene.receiver.counts(), BTreeMap::from(arriving));
    assert_eq!(count_of(&counters, "abuse"), count(&blocked, rounds));
    assert_eq!(rule(&counters, "abuse").excepted, rounds);
    assert_eq!(counters.totals.dropped, count(&blocked, rounds));
    Ok(())
}
