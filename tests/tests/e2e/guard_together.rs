//! The guard against lock-out with two concurrent changes, or one on trial: each alone is harmless.

use std::{sync::Arc, time::Duration};

use ipblock_tests::{
    CtlOutput, DEADLINE, Daemon, VethOptions, VethPair, require_privileged, wait_for,
};

use crate::{
    answers::{apply, deploy},
    guard::{PEER, SSH, assert_refused, block},
    scenario::Scene,
};

#[test]
fn a_ban_and_a_deploy_at_once_do_not_cut_the_operator_off() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let ssh = ["env", "-u", "IPBLOCK_SSH_PEER", SSH];
    daemon.ctl(["allow", "add", PEER, "--deploy"])?.ok()?;
    // The deploy removes the operator from the allow list, and takes a long time.
    let line = |number: u32| format!("{}\n", std::net::Ipv4Addr::from(0x0a00_0000 + 2 * number));
    let feed: String = (0..60_000).map(line).collect();
    daemon
        .ctl_with_input("import - --into @feed", &feed)?
        .ok()?;
    let add = "rule add feed --action block --match @feed";
    daemon.ctl(add)?.ok()?;
    daemon.ctl(["allow", "remove", PEER])?.ok()?;
    let (deployed, banned) = std::thread::scope(|scope| {
        let deploy = scope.spawn(|| daemon.ctl_through(&ssh, "deploy", ""));
        std::thread::sleep(Duration::from_millis(300));
        let ban = ["ban", PEER, "--for", "1h"];
        let banned = daemon.ctl_through(&ssh, ban, "");
        (deploy.join().expect("no panic"), banned)
    });
    let (deployed, banned) = (deployed?, banned?);
    let codes = (deployed.code, banned.code);
    assert!(
        codes == (0, 3) || codes == (3, 0),
        "{deployed:?}\n{banned:?}"
    );
    Ok(())
}

#[test]
fn a_ban_during_a_trial_is_judged_by_what_comes_back_too() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let ssh = ["env", "-u", "IPBLOCK_SSH_PEER", SSH];
    let allow = ["allow", "add", PEER, "--deploy", "--confirm-within", "10m"];
    daemon.ctl(allow)?.ok()?;
    // Allowed now, and dropped as soon as the allow entry is rolled back.
    let ban = ["ban", PEER, "--for", "1h"];
    let refused = daemon.ctl_through(&ssh, ban, "")?;
    assert_refused(&refused, &[PEER, "once revision 1 is taken back"]);
    assert_refused(&refused, &["first `ipblock-ctl confirm`"]);
    daemon.ctl("confirm")?.ok()?;
    daemon.ctl_through(&ssh, ban, "")?.ok()?;
    Ok(())
}

#[test]
fn an_attach_during_a_trial_is_judged_by_what_comes_back_too() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
    deploy(&daemon, block(PEER, &[]))?;
    let except = ["exception", "add", "abuse", PEER, "--deploy"];
    daemon
        .ctl([&except[..], &["--confirm-within", "10m"]].concat())?
        .ok()?;
    let launcher = ["env", "IPBLOCK_SSH_PEER=192.0.2.2"];
    let attach = ["attach", &pair.host.interface];
    let refused = daemon.ctl_through(&launcher, attach, "")?;
    let said = [PEER, "rule `abuse`", "once revision 2 is taken back"];
    assert_refused(&refused, &said);
    daemon.ctl("confirm")?.ok()?;
    daemon.ctl_through(&launcher, attach, "")?.ok()?;
    Ok(())
}

/// The change that is held at `judged` continues after the other was requested, which must wait for
/// it.
fn judged_together(
    daemon: &Daemon,
    launcher: &[&str],
    first: &[&str],
    second: &[&str],
) -> anyhow::Result<(CtlOutput, CtlOutput)> {
    let fault = daemon.fault();
    fault.hold_at("judged", 1)?;
    let outputs = std::thread::scope(|scope| {
        let first = scope.spawn(|| daemon.ctl_through(launcher, first, ""));
        let held = wait_for(DEADLINE, "the first to be judged", || {
            fault.is_reached().then_some(())
        });
        let second = scope.spawn(|| daemon.ctl_through(launcher, second, ""));
        std::thread::sleep(Duration::from_millis(300));
        let is_waiting = !second.is_finished();
        fault.clear()?;
        let outputs = (
            first.join().expect("no panic"),
            second.join().expect("no panic"),
        );
        held?;
        assert!(is_waiting, "{outputs:?}");
        anyhow::Ok((outputs.0?, outputs.1?))
    })?;
    Ok(outputs)
}

#[test]
fn whoever_is_judged_first_is_in_force_before_the_other_is_judged() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let second = VethPair::between(
        Arc::clone(&pair.host.netns),
        Arc::clone(&pair.peer.netns),
        VethOptions {
            number: 1,
            ..VethOptions::default()
        },
    )?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface))
        .start()?;
    let launcher = ["env", "IPBLOCK_SSH_PEER=192.0.2.2"];
    let ban = ["ban", PEER, "--for", "1h"];
    let remove = ["allow", "remove", PEER, "--zone", "default", "--deploy"];
    let attach = ["attach", &second.host.interface, "--zone", "dmz"];
    for other in [&remove[..], &attach] {
        for ban_is_first in [true, false] {
            let zones = "[zone.dmz]\n[zone.default]\nallow = [\"192.0.2.2\"]\n";
            apply(&daemon, zones)?;
            let (one, two) = if ban_is_first {
                (&ban[..], other)
            } else {
                (other, &ban[..])
            };
            let (one, two) = judged_together(&daemon, &launcher, one, two)?;
            assert_eq!(one.code, 0, "{other:?} {ban_is_first}: {one:?}\n{two:?}");
            assert_refused(&two, &[PEER, "your SSH session comes from it"]);
            daemon.ctl(["unban", PEER])?;
            daemon.ctl("discard")?.ok()?;
            daemon.ctl(["detach", &second.host.interface])?;
        }
    }
    Ok(())
}
