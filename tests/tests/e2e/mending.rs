//! What the daemon repairs or reports by itself: removed links, foreign programs.

use ipblock_api::types::InterfaceState;
use ipblock_datapath::{PinDirectory, PinnedLink};
use ipblock_tests::{DEADLINE, Daemon, require_privileged, wait_for};

use crate::{
    answers::{interface, status},
    scenario::{BLOCK, Scene, marked},
};

/// Waits until a frame from a blocked source is counted as dropped.
fn wait_until_filtered(scene: &Scene) -> anyhow::Result<()> {
    wait_for(DEADLINE, "a blocked frame to be dropped", || {
        let dropped = |scene: &Scene| {
            let status = status(&scene.daemon).ok()?;
            Some(status.zones.first()?.totals.dropped.packets)
        };
        let before = dropped(scene)?;
        scene.send(&[marked("203.0.113.7", 1)], 1).ok()?;
        wait_for(DEADLINE / 20, "it to be counted", || {
            (dropped(scene)? > before).then_some(())
        })
        .ok()
    })
}

#[test]
fn a_link_that_was_detached_from_outside_is_put_back() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    wait_until_filtered(&scene)?;
    let pins = PinDirectory::at(scene.daemon.bpffs())?;
    let link = PinnedLink::open(&pins, scene.interface())?;
    link.expect("the interface's link is pinned").detach()?;
    wait_until_filtered(&scene)?;
    let shown = interface(&scene.daemon, scene.interface())?;
    assert_eq!(shown.state, InterfaceState::Attached);
    Ok(())
}

#[test]
fn detaching_twice_and_attaching_in_another_mode_at_once_works() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let name = scene.interface();
    for mode in ["generic", "native", "generic"] {
        scene.daemon.ctl(["detach", name])?.ok()?;
        assert_eq!(scene.daemon.ctl(["detach", name])?.code, 2);
        let attach = ["attach", name, "--mode", mode];
        scene.daemon.ctl(attach)?.ok()?;
    }
    Ok(())
}

#[test]
fn a_device_with_a_strange_alias_hides_no_interface() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let netns = &scene.pair.host.netns;
    netns.run([
        "ip", "link", "add", "odd0", "type", "veth", "peer", "name", "odd1",
    ])?;
    netns.run([
        "sh",
        "-c",
        "ip link set odd0 alias \"$(printf '\\377\\376')\"",
    ])?;
    scene.daemon.ctl(["attach", scene.interface()])?.ok()?;
    Ok(())
}

#[test]
fn a_renamed_interface_keeps_its_filter_and_says_so() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let name = scene.interface();
    let netns = &scene.pair.host.netns;
    netns.run(["ip", "link", "set", name, "down"])?;
    netns.run(["ip", "link", "set", name, "name", "lan0"])?;
    netns.run(["ip", "link", "set", "lan0", "up"])?;
    wait_until_filtered(&scene)?;
    let output = scene.daemon.ctl(["attach", name])?;
    assert_eq!(output.code, 3, "{output:?}");
    assert!(
        output.stderr.contains("interfaces were renamed"),
        "{output:?}"
    );
    scene.daemon.ctl("attach lan0")?.ok()?;
    scene.daemon.ctl(["detach", name])?.ok()?;
    wait_until_filtered(&scene)
}

#[test]
fn an_interface_in_a_zone_that_is_not_deployed_waits_and_keeps_no_other_from_it()
-> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::detached(root)?;
    let name = scene.interface().to_owned();
    let daemon = Daemon::in_netns(root, &scene.pair.host.netns)
        .interface("lo=generic@default")
        .interface(format!("{name}@dmz"))
        .start()?;
    assert_eq!(interface(&daemon, "lo")?.state, InterfaceState::Attached);
    let problems = status(&daemon)?.problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("no deployed zone `dmz`")),
        "{problems:?}"
    );
    daemon.ctl("zone set dmz --default pass --deploy")?.ok()?;
    wait_for(DEADLINE, "it to be attached", || {
        let shown = interface(&daemon, &name).ok()?;
        (shown.state == InterfaceState::Attached).then_some(())
    })
}
