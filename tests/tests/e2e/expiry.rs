//! Rules that end: on time, even without the daemon.

use ipblock_tests::{DEADLINE, require_privileged, wait_for};

use crate::{
    answers::{check, count_of, counters},
    scenario::{Scene, marked},
};

#[test]
fn a_rule_ends_on_time_while_the_daemon_is_dead() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let add = "rule add abuse --action block --match 203.0.113.7 --for 4s --deploy";
    scene.daemon.ctl(add)?.ok()?;
    scene.send(&[marked("203.0.113.7", 1)], 5)?;
    wait_for(DEADLINE, "5 blocked frames", || {
        let counters = counters(&scene.daemon).ok()?;
        (count_of(&counters, "abuse").packets == 5).then_some(())
    })?;
    scene.daemon.kill()?;
    assert_eq!(scene.receiver.count(1), 0);
    // No daemon removes the rule: the kernel knows its end.
    wait_for(DEADLINE, "a frame to pass", || {
        scene.send(&[marked("203.0.113.7", 2)], 1).ok()?;
        (scene.receiver.count(2) > 0).then_some(())
    })?;
    scene.daemon.start()?;
    let counters = counters(&scene.daemon)?;
    let dropped = counters.totals.dropped.packets;
    assert_eq!(count_of(&counters, "abuse").packets, dropped);
    let answer = check(&scene.daemon, &["203.0.113.7"])?;
    assert!(
        answer
            .iter()
            .all(|answer| answer.kernel_agrees == Some(true)),
        "{answer:?}"
    );
    Ok(())
}
