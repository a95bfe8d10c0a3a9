//! Devices that are renamed or moved to another network namespace: the new device with the name is
//! filtered, the old one stays filtered, and the daemon reports both.

use std::sync::Arc;

use ipblock_api::types::InterfaceState;
use ipblock_tests::{DEADLINE, Daemon, Netns, VethOptions, VethPair, require_privileged, wait_for};

use crate::{
    answers::{OnInterface, apply, interface, program_on, status},
    scenario::{BLOCK, Scene, marked},
};

const NAME: &str = "host0";

fn another_host0(host: &Arc<Netns>, root: ipblock_tests::Privileged) -> anyhow::Result<VethPair> {
    let options = VethOptions {
        number: 1,
        host_interface: Some(NAME),
        ..VethOptions::default()
    };
    VethPair::between(Arc::clone(host), Arc::new(Netns::new(root)?), options)
}

/// Waits until the interface with this name is attached, according to the kernel too.
fn wait_until_attached(daemon: &Daemon, host: &Netns) -> anyhow::Result<OnInterface> {
    let found = wait_for(DEADLINE, "the present host0 to be attached", || {
        let shown = interface(daemon, NAME).ok()?;
        let on = program_on(host, NAME).ok()?;
        on.filter(|_| shown.state == InterfaceState::Attached)
    });
    found.map_err(|error| error.context(format!("{:?}", status(daemon))))
}

fn wait_for_problem(daemon: &Daemon, said: &str) -> anyhow::Result<()> {
    let found = wait_for(DEADLINE, &format!("the problem {said:?}"), || {
        let problems = status(daemon).ok()?.problems;
        problems.iter().any(|one| one.contains(said)).then_some(())
    });
    found.map_err(|error| error.context(format!("{:?}", status(daemon))))
}

fn rename(host: &Netns, from: &str, to: &str) -> anyhow::Result<()> {
    host.run(["ip", "link", "set", from, "down"])?;
    host.run(["ip", "link", "set", from, "name", to])?;
    host.run(["ip", "link", "set", to, "up"])?;
    Ok(())
}

/// A frame of a blocked source does not reach the stack through the pair's interface, and another
/// does.
fn assert_filtered(pair: &VethPair, marker: u64) -> anyhow::Result<()> {
    let (sender, receiver) = (pair.sender()?, pair.receiver()?);
    sender.send(&marked("203.0.113.7", marker))?;
    sender.send(&marked("198.51.100.7", marker + 1))?;
    receiver.wait_for_count(marker + 1, 1, DEADLINE)?;
    assert_eq!(receiver.count(marker), 0);
    Ok(())
}

#[test]
fn an_interface_that_bears_the_name_of_a_renamed_one_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::filtering(root, BLOCK)?;
    let Scene {
        mut daemon,
        pair: mut renamed,
        ..
    } = scene;
    let host = Arc::clone(&renamed.host.netns);
    for restarted in [false, true] {
        if restarted {
            // Restored, and everything repeated without a running daemon.
            daemon.terminate()?;
        }
        rename(&host, NAME, "ens9")?;
        "ens9".clone_into(&mut renamed.host.interface);
        let present = another_host0(&host, root)?;
        if restarted {
            daemon.start()?;
        }
        let on = wait_until_attached(&daemon, &host)?;
        assert_filtered(&present, 1)?;
        assert_filtered(&renamed, 3)?;
        wait_for_problem(&daemon, "interface ens9 was attached as host0")?;
        assert_eq!(program_on(&host, "ens9")?, Some(on));
        // A deploy reaches both.
        let other = if restarted { "/26" } else { "/25" };
        apply(&daemon, &BLOCK.replace("/24", other))?;
        let on = program_on(&host, NAME)?;
        assert_eq!(program_on(&host, "ens9")?, on);
        // It returns with its name: its filter is recognised as ours, and stays.
        host.run(["ip", "link", "delete", NAME])?;
        drop(present);
        rename(&host, "ens9", NAME)?;
        NAME.clone_into(&mut renamed.host.interface);
        assert_eq!(wait_until_attached(&daemon, &host)?, on.unwrap());
        assert_eq!(status(&daemon)?.problems, Vec::<String>::new());
        assert_eq!(interface(&daemon, NAME)?.detail, None);
        assert_filtered(&renamed, 5)?;
    }
    Ok(())
}

#[test]
fn a_renamed_interface_is_shown_where_it_is_and_attached_by_its_new_name() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let (daemon, host) = (&scene.daemon, &scene.pair.host.netns);
    let before = program_on(host, NAME)?;
    rename(host, NAME, "ens9")?;
    // At once, before the daemon's next check.
    assert_eq!(interface(daemon, NAME)?.state, InterfaceState::Absent);
    wait_for_problem(daemon, "interface ens9 was attached as host0")?;
    let shown = interface(daemon, NAME)?;
    assert_eq!(shown.state, InterfaceState::Absent);
    assert!(
        shown
            .detail
            .as_deref()
            .is_some_and(|detail| detail.contains("ens9")),
        "{shown:?}"
    );
    let refused = daemon.ctl(["attach", NAME])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("the filter of `host0` is on `ens9`"),
        "{refused:?}"
    );
    assert!(
        refused.stderr.contains("ipblock-ctl attach ens9"),
        "{refused:?}"
    );
    assert_eq!(program_on(host, "ens9")?, before);
    daemon.ctl("attach ens9")?.ok()?;
    assert_eq!(program_on(host, "ens9")?, before);
    assert_eq!(interface(daemon, "ens9")?.state, InterfaceState::Attached);
    daemon.ctl(["detach", NAME])?.ok()?;
    assert_eq!(status(daemon)?.problems, Vec::<String>::new());
    assert_eq!(program_on(host, "ens9")?, before);
    daemon.ctl("detach ens9")?.ok()?;
    assert_eq!(program_on(host, "ens9")?, None);
    Ok(())
}

/// It must not leave its zone for one that is removed after a trial, nor lose its zone without
/// confirmation.
#[test]
fn a_renamed_interface_keeps_its_zone_and_does_not_move_to_one_on_trial() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let zone = ["zone", "set", "lan", "--default", "pass", "--deploy"];
    scene.daemon.ctl(zone)?.ok()?;
    scene.daemon.ctl(["attach", NAME, "--zone", "lan"])?.ok()?;
    rename(&scene.pair.host.netns, NAME, "ens9")?;
    let trial = ["zone", "set", "dmz", "--default", "pass", "--deploy"];
    let trial = [&trial[..], &["--confirm-within", "10m"]].concat();
    scene.daemon.ctl(&trial)?.ok()?;
    let refused = scene.daemon.ctl("attach ens9 --zone dmz")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stderr.contains("awaits confirmation"),
        "{refused:?}"
    );
    let said = scene.daemon.ctl("attach ens9")?.ok()?;
    assert!(said.ends_with("zone lan\n"), "{said}");
    Ok(())
}

#[test]
fn a_device_that_went_to_another_namespace_is_told_and_can_be_let_go() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::filtering(root, BLOCK)?;
    let Scene {
        mut daemon, pair, ..
    } = scene;
    let (host, away) = (Arc::clone(&pair.host.netns), Netns::new(root)?);
    let before = program_on(&host, NAME)?;
    host.run(["ip", "link", "set", NAME, "netns", away.name()])?;
    assert_eq!(interface(&daemon, NAME)?.state, InterfaceState::Absent);
    assert_eq!(program_on(&away, NAME)?, before);
    wait_for_problem(&daemon, "attached as host0 is in another network namespace")?;
    let present = another_host0(&host, root)?;
    wait_until_attached(&daemon, &host)?;
    assert_filtered(&present, 1)?;
    for restarted in [false, true] {
        if restarted {
            daemon.restart()?;
        }
        // A deploy reaches the one that left.
        let other = if restarted { "/26" } else { "/25" };
        apply(&daemon, &BLOCK.replace("/24", other))?;
        let on = program_on(&host, NAME)?;
        assert_eq!(program_on(&away, NAME)?, on);
        wait_for_problem(&daemon, "`ipblock-ctl detach host0 --moved`")?;
    }
    daemon.ctl(["detach", NAME, "--moved"])?.ok()?;
    assert_eq!(program_on(&away, NAME)?, None);
    assert_eq!(interface(&daemon, NAME)?.state, InterfaceState::Attached);
    assert_eq!(status(&daemon)?.problems, Vec::<String>::new());
    let again = daemon.ctl(["detach", NAME, "--moved"])?;
    assert_eq!(again.code, 2, "{again:?}");
    assert_filtered(&present, 3)
}

#[test]
fn a_device_that_came_back_from_another_namespace_is_ours() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::filtering(root, BLOCK)?;
    let Scene { daemon, pair, .. } = scene;
    let (host, away) = (Arc::clone(&pair.host.netns), Netns::new(root)?);
    host.run(["ip", "link", "set", NAME, "netns", away.name()])?;
    let present = another_host0(&host, root)?;
    let on = wait_until_attached(&daemon, &host)?;
    host.run(["ip", "link", "delete", NAME])?;
    drop(present);
    away.run(["ip", "link", "set", NAME, "netns", host.name()])?;
    host.run(["ip", "link", "set", NAME, "up"])?;
    assert_eq!(wait_until_attached(&daemon, &host)?, on);
    assert_eq!(status(&daemon)?.problems, Vec::<String>::new());
    assert_filtered(&pair, 1)?;
    // By its name, and for good.
    daemon.ctl(["detach", NAME])?.ok()?;
    assert_eq!(program_on(&host, NAME)?, None);
    Ok(())
}
