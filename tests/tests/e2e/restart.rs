//! The filter works without the daemon, and a daemon adopts what it finds.

use std::collections::BTreeMap;

use ipblock_tests::{packet::Frame, require_privileged};

use crate::{
    answers::{
        apply, count_of, counters, live_generations, pinned_generations, program_on, rule, status,
    },
    flood::Flood,
    scenario::{Scene, count, marked},
};

const RULESET: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/26", "2001:db8:b::/48"]
except = ["203.0.113.9"]

[[rule]]
name = "watch"
action = "warn"
match = ["203.0.113.64/26"]
"#;

/// Rounds of traffic that pass while the daemon is down.
const UNATTENDED: u64 = 50;

fn under_traffic(
    mode: &str,
    mut stop_and_start: impl FnMut(&mut Scene, &Flood) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), mode)?;
    apply(&scene.daemon, RULESET)?;
    let before = status(&scene.daemon)?;
    let on_interface = program_on(&scene.pair.host.netns, scene.interface())?;

    let blocked = [marked("203.0.113.7", 1), marked("2001:db8:b::7", 2)];
    let others = [
        marked("203.0.113.9", 3),
        marked("203.0.113.71", 4),
        marked("198.51.100.7", 5),
    ];
    let frames: Vec<Frame> = blocked.iter().chain(&others).cloned().collect();
    let flood = Flood::start(&scene.pair, &frames)?;
    let log_before = scene.daemon.log().len();
    for _ in 0..3 {
        let earlier = counters(&scene.daemon)?;
        stop_and_start(&mut scene, &flood)?;
        let later = counters(&scene.daemon)?;
        let passed = UNATTENDED * blocked.len() as u64;
        let counted = count_of(&later, "abuse").packets - count_of(&earlier, "abuse").packets;
        assert!(counted >= passed, "{counted} of {passed} while it was down");
        // Nothing was loaded, switched or attached again.
        let after = status(&scene.daemon)?;
        assert_eq!(after.revision, before.revision);
        assert_eq!(live_generations(&after), live_generations(&before));
        assert_eq!(
            pinned_generations(&scene.daemon)?,
            live_generations(&before)
        );
        let on_now = program_on(&scene.pair.host.netns, scene.interface())?;
        assert_eq!(on_now, on_interface);
        assert_eq!(after.zones[0].interfaces, before.zones[0].interfaces);
    }
    let log = scene.daemon.log();
    let taken_over = "taken over: same program, same ABI, nothing loaded";
    assert_eq!(log[log_before..].matches(taken_over).count(), 3, "{log}");

    let rounds = flood.stop()?;
    let counters = scene.judged(rounds * frames.len() as u64)?;
    let arriving = [(3, rounds), (4, rounds), (5, rounds)];
    assert_eq!(scene.receiver.counts(), BTreeMap::from(arriving));
    assert_eq!(count_of(&counters, "abuse"), count(&blocked, rounds));
    assert_eq!(rule(&counters, "abuse").excepted, rounds);
    assert_eq!(count_of(&counters, "watch"), count(&others[1..2], rounds));
    assert_eq!(counters.totals.dropped, count(&blocked, rounds));
    assert_eq!(counters.totals.warned, count(&others[1..2], rounds));
    Ok(())
}

fn kill(scene: &mut Scene, flood: &Flood) -> anyhow::Result<()> {
    scene.daemon.kill()?;
    flood.wait_for_more(UNATTENDED)?;
    scene.daemon.start()
}

fn terminate(scene: &mut Scene, flood: &Flood) -> anyhow::Result<()> {
    let status = scene.daemon.terminate()?;
    assert!(status.success(), "{status}");
    assert!(!scene.daemon.socket().exists());
    flood.wait_for_more(UNATTENDED)?;
    scene.daemon.start()
}

#[test]
fn a_killed_daemon_lets_no_blocked_packet_through_and_loses_no_count() -> anyhow::Result<()> {
    under_traffic("native", kill)
}

#[test]
fn a_terminated_daemon_lets_no_blocked_packet_through_and_loses_no_count() -> anyhow::Result<()> {
    under_traffic("native", terminate)
}

#[test]
fn in_generic_mode_the_filter_outlives_the_daemon_too() -> anyhow::Result<()> {
    under_traffic("generic", kill)
}

#[test]
fn what_is_staged_outlives_the_daemon() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), RULESET)?;
    let edit = ["rule", "edit", "abuse", "--note", "ticket 42"];
    scene.daemon.ctl(edit)?.ok()?;
    let diff = scene.daemon.ctl_json("diff")?;
    scene.daemon.kill()?;
    scene.daemon.start()?;
    assert_eq!(status(&scene.daemon)?.staged, 1);
    assert_eq!(scene.daemon.ctl_json("diff")?, diff);
    scene.daemon.ctl("deploy")?.ok()?;
    assert_eq!(status(&scene.daemon)?.revision, 2);
    Ok(())
}
