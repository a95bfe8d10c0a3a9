//! Interfaces that come and go under the daemon.

use std::sync::Arc;

use ipblock_api::types::{InterfaceState, Mode};
use ipblock_tests::{DEADLINE, Daemon, Netns, VethOptions, VethPair, require_privileged, wait_for};

use crate::{
    answers::{apply, count_of, counters, interface, judged, status},
    scenario::{BLOCK, Scene, marked},
};

fn wait_for_state(daemon: &Daemon, name: &str, state: InterfaceState) -> anyhow::Result<()> {
    wait_for(DEADLINE, &format!("{name} to be {state:?}"), || {
        let shown = interface(daemon, name).ok()?;
        (shown.state == state).then_some(())
    })
}

/// A blocked frame does not arrive, one from elsewhere does; two frames are counted.
fn assert_filtered(scene: &Scene, marker: u64) -> anyhow::Result<()> {
    let sent = judged(&counters(&scene.daemon)?.totals);
    scene.send(&[marked("203.0.113.7", marker)], 1)?;
    scene.send(&[marked("198.51.100.7", marker + 1)], 1)?;
    let receiver = &scene.receiver;
    receiver.wait_for_count(marker + 1, 1, DEADLINE)?;
    wait_for(DEADLINE, "both frames to be counted", || {
        let totals = counters(&scene.daemon).ok()?.totals;
        (judged(&totals) == sent + 2).then_some(())
    })?;
    assert_eq!(receiver.counts(), [(marker + 1, 1)].into());
    Ok(())
}

#[test]
fn an_interface_that_appears_later_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let host = Arc::new(Netns::new(root)?);
    let daemon = Daemon::in_netns(root, &host).interface("host0").start()?;
    apply(&daemon, BLOCK)?;
    let shown = interface(&daemon, "host0")?;
    assert_eq!((shown.mode, shown.state), (None, InterfaceState::Absent));
    let problems = status(&daemon)?.problems;
    assert!(problems.iter().any(|problem| problem.contains("host0")));

    let peer = Arc::new(Netns::new(root)?);
    let pair = VethPair::between(host, peer, VethOptions::default())?;
    wait_for_state(&daemon, "host0", InterfaceState::Attached)?;
    assert_eq!(interface(&daemon, "host0")?.mode, Some(Mode::Native));
    assert_eq!(status(&daemon)?.problems, Vec::<String>::new());
    assert_filtered(&Scene::of(daemon, pair)?, 1)
}

/// Nothing of it was pinned before, so nothing is put back there.
#[test]
fn an_interface_that_appears_after_bpffs_was_mounted_anew_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let host = Arc::new(Netns::new(root)?);
    let daemon = Daemon::in_netns(root, &host).interface("host0").start()?;
    apply(&daemon, BLOCK)?;
    daemon.bpffs_mount().unmount()?;
    let is_told = |daemon: &Daemon| -> anyhow::Result<bool> {
        let problems = status(daemon)?.problems;
        Ok(problems.iter().any(|problem| problem.contains("bpffs")))
    };
    let wait_until_told = |told: bool| {
        wait_for(DEADLINE, "the status to tell of bpffs, or not", || {
            (is_told(&daemon).ok()? == told).then_some(())
        })
    };
    wait_until_told(true)?;
    let peer = Arc::new(Netns::new(root)?);
    let pair = VethPair::between(host, peer, VethOptions::default())?;
    // Where its link cannot be pinned it is not attached, and goes not on and off.
    wait_for_state(&daemon, "host0", InterfaceState::Failed)?;
    daemon.bpffs_mount().mount_again()?;
    wait_until_told(false)?;
    wait_for_state(&daemon, "host0", InterfaceState::Attached)?;
    assert_filtered(&Scene::of(daemon, pair)?, 1)
}

#[test]
fn an_interface_that_went_and_came_back_is_attached_again() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    assert_filtered(&scene, 1)?;
    let Scene { daemon, pair, .. } = scene;
    let name = pair.host.interface.clone();
    let netns = [&pair.host.netns, &pair.peer.netns].map(Arc::clone);
    netns[0].run(["ip", "link", "delete", &name])?;
    wait_for_state(&daemon, &name, InterfaceState::Absent)?;
    // A deploy meanwhile succeeds.
    apply(&daemon, &BLOCK.replace("203.0.113.0/24", "203.0.113.0/25"))?;

    let [host, peer] = netns;
    let pair = VethPair::between(host, peer, VethOptions::default())?;
    wait_for_state(&daemon, &name, InterfaceState::Attached)?;
    let scene = Scene::of(daemon, pair)?;
    assert_filtered(&scene, 3)?;
    let counters = counters(&scene.daemon)?;
    assert_eq!(count_of(&counters, "abuse").packets, 2);
    assert_eq!(counters.totals.passed.packets, 2);
    Ok(())
}

/// The daemon learns of it after at most a second, and meanwhile deploys meet a dead link.
#[test]
fn deploys_go_on_while_an_interface_goes() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let name = scene.interface();
    apply(&scene.daemon, BLOCK)?;
    scene.pair.host.netns.run(["ip", "link", "delete", name])?;
    let applied = apply(&scene.daemon, &BLOCK.replace("block", "warn"))?;
    assert!(applied.changed);
    assert_eq!(status(&scene.daemon)?.revision, 2);
    wait_for_state(&scene.daemon, name, InterfaceState::Absent)
}

#[test]
fn attached_interfaces_are_remembered_and_detached_ones_are_not() -> anyhow::Result<()> {
    let mut scene = Scene::detached(require_privileged!())?;
    let name = scene.interface().to_owned();
    scene
        .daemon
        .ctl(["attach", &name, "--mode", "generic"])?
        .ok()?;
    scene.daemon.restart()?;
    let shown = interface(&scene.daemon, &name)?;
    assert_eq!(
        (shown.mode, shown.state),
        (Some(Mode::Generic), InterfaceState::Attached)
    );
    scene.daemon.ctl(["detach", &name])?.ok()?;
    scene.daemon.restart()?;
    assert!(interface(&scene.daemon, &name).is_err());
    Ok(())
}
