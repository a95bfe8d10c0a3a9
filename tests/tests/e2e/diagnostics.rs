//! Diagnostics of the XDP program: silent unless asked for.

use ipblock_tests::{
    DEADLINE, Daemon, Privileged, VethOptions, VethPair, require_privileged, wait_for,
};

use crate::{
    answers::counters,
    scenario::{Scene, marked},
};

/// Ends before the source address.
const CUT: usize = 20;

/// A daemon that was sent a frame which cannot be read, and has counted it.
fn after_a_malformed_frame(root: Privileged, level: &str) -> anyhow::Result<Scene> {
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(pair.host.interface.clone())
        .argument(format!("--bpf-log={level}"))
        .start()?;
    let scene = Scene::of(daemon, pair)?;
    scene.send(&[marked("203.0.113.7", 1).truncated(CUT)], 1)?;
    wait_for(DEADLINE, "a malformed frame", || {
        let counters = counters(&scene.daemon).ok()?;
        (counters.totals.malformed.packets == 1).then_some(())
    })?;
    Ok(scene)
}

#[test]
fn a_malformed_frame_is_told_when_asked_for() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = after_a_malformed_frame(root, "debug")?;
    wait_for(DEADLINE, "the record in the log", || {
        let log = scene.daemon.log();
        log.contains("malformed frame of 20 bytes").then_some(())
    })
}

#[test]
fn a_malformed_frame_is_only_counted_otherwise() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut scene = after_a_malformed_frame(root, "off")?;
    // Whatever was to be logged is, when it has ended.
    scene.daemon.terminate()?;
    let log = scene.daemon.log();
    assert!(!log.contains("malformed"), "{log}");
    Ok(())
}
