//! Verdicts over the wire, in both modes, with their counters.

use std::collections::BTreeMap;

use ipblock_api::types::{Count, Totals};
use ipblock_tests::{
    packet::{CTAG, Frame, STAG},
    require_privileged,
};

use crate::{
    answers::{GENERIC, NATIVE, apply, check, count_of, program_on, rule, verdict_and_reason},
    scenario::{Scene, count, marked},
};

const RULESET: &str = r#"
[allow]
match = ["203.0.113.8", "2001:db8:b::8"]

[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/26", "2001:db8:b::/48"]
except = ["203.0.113.9", "2001:db8:b::9"]

[[rule]]
name = "watch"
action = "warn"
match = ["203.0.113.64/26", "2001:db8:c::/48"]
"#;

const BLOCKED: [&str; 2] = ["203.0.113.7", "2001:db8:b::7"];
const ALLOWED: [&str; 2] = ["203.0.113.8", "2001:db8:b::8"];
const EXCEPTED: [&str; 2] = ["203.0.113.9", "2001:db8:b::9"];
const WARNED: [&str; 2] = ["203.0.113.71", "2001:db8:c::7"];
const UNLISTED: [&str; 2] = ["198.51.100.7", "2001:db8:1::7"];

/// How many times every frame is sent.
const TIMES: u64 = 3;

/// Both families, without a tag, with one and with two; markers count up from `first`.
fn frames(sources: [&str; 2], first: u64) -> Vec<Frame> {
    const TAGS: [&[u16]; 3] = [&[], &[CTAG], &[STAG, CTAG]];
    let pairs = sources
        .iter()
        .flat_map(|source| TAGS.map(|tags| (*source, tags)));
    pairs
        .zip(first..)
        .map(|((source, tags), marker)| marked(source, marker).tagged(tags))
        .collect()
}

fn every_kind_of_source_is_judged_and_counted(mode: &str, attached: u64) -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), mode)?;
    apply(&scene.daemon, RULESET)?;
    let on = program_on(&scene.pair.host.netns, scene.interface())?;
    assert_eq!(on.map(|on| on.mode), Some(attached));

    let blocked = frames(BLOCKED, 100);
    let allowed = frames(ALLOWED, 200);
    let excepted = frames(EXCEPTED, 300);
    let warned = frames(WARNED, 400);
    let unlisted = frames(UNLISTED, 500);
    let arp = Frame::of_type(0x0806, &[0; 46]);
    let all = [&blocked, &allowed, &excepted, &warned, &unlisted];
    for frames in all {
        scene.send(frames, TIMES)?;
    }
    scene.send(std::slice::from_ref(&arp), 1)?;
    let sent: usize = all.map(Vec::len).iter().sum();
    let counters = scene.judged(sent as u64 * TIMES + 1)?;

    let arriving = [200, 300, 400, 500]
        .into_iter()
        .flat_map(|first| (first..first + 6).map(|marker| (marker, TIMES)));
    assert_eq!(
        scene.receiver.counts(),
        arriving.collect::<BTreeMap<_, _>>()
    );
    assert_eq!(scene.receiver.unmarked(), 1);

    assert_eq!(
        counters.totals,
        Totals {
            passed: count(excepted.iter().chain(&unlisted), TIMES),
            dropped: count(&blocked, TIMES),
            warned: count(&warned, TIMES),
            allowed: count(&allowed, TIMES),
            non_ip: count([&arp], 1),
            malformed: Count::default(),
        }
    );
    assert_eq!(counters.allow, counters.totals.allowed);
    assert_eq!(counters.bans, Count::default());
    assert_eq!(count_of(&counters, "abuse"), count(&blocked, TIMES));
    assert_eq!(rule(&counters, "abuse").excepted, 6 * TIMES);
    assert!(rule(&counters, "abuse").last_hit.is_some());
    assert_eq!(count_of(&counters, "watch"), count(&warned, TIMES));
    assert_eq!(rule(&counters, "watch").excepted, 0);

    for (sources, verdict) in [
        (BLOCKED, "block by Rule"),
        (ALLOWED, "pass by Allow"),
        (EXCEPTED, "pass by Default"),
        (WARNED, "warn by Rule"),
        (UNLISTED, "pass by Default"),
    ] {
        for found in check(&scene.daemon, &sources)? {
            let told = verdict_and_reason(&found);
            assert_eq!(told, verdict, "{found:?}");
            assert!(found.kernel_agrees == Some(true), "{found:?}");
        }
    }
    Ok(())
}

#[test]
fn in_native_mode_every_kind_of_source_is_judged_and_counted() -> anyhow::Result<()> {
    every_kind_of_source_is_judged_and_counted("native", NATIVE)
}

#[test]
fn in_generic_mode_every_kind_of_source_is_judged_and_counted() -> anyhow::Result<()> {
    every_kind_of_source_is_judged_and_counted("generic", GENERIC)
}
