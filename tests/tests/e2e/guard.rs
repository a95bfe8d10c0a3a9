//! The guard against lock-out: a change that would cut the operator off is refused with names, and
//! changes nothing. Forced, it succeeds.

use std::{
    io::Read as _,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use ipblock_tests::{
    CtlOutput, Daemon, DaemonBuilder, Privileged, VethOptions, VethPair, require_privileged,
};

use crate::{
    answers::{answer, apply, apply_forced, check, deploy, pinned_generations, status},
    scenario::{Scene, marked},
};

/// The peer's addresses of pair 0.
pub(crate) const PEER: &str = "192.0.2.2";
const PEER6: &str = "2001:db8::2";
pub(crate) const SSH: &str = "SSH_CONNECTION=192.0.2.2 50000 192.0.2.1 22";

/// A daemon on the host's interface with a special configuration.
fn scene(
    root: Privileged,
    prepare: impl FnOnce(&VethPair) -> anyhow::Result<()>,
    with: impl FnOnce(DaemonBuilder) -> DaemonBuilder,
) -> anyhow::Result<Scene> {
    let pair = VethPair::new(root, VethOptions::default())?;
    prepare(&pair)?;
    let builder = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface));
    let daemon = with(builder).start()?;
    Scene::of(daemon, pair)
}

pub(crate) fn block<'a>(address: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let add = ["rule", "add", "abuse", "--action", "block", "--match"];
    [&add[..], &[address], rest].concat()
}

#[track_caller]
pub(crate) fn assert_refused(output: &CtlOutput, said: &[&str]) {
    assert_eq!(output.code, 3, "{output:?}");
    for text in said {
        assert!(output.stderr.contains(text), "{text:?} in {output:?}");
    }
    assert!(output.stderr.contains("--force"), "{output:?}");
}

/// A packet from the address arrives, and nothing is deployed.
#[track_caller]
fn assert_unchanged(scene: &Scene, address: &str) -> anyhow::Result<()> {
    assert_eq!(status(&scene.daemon)?.revision, 0);
    assert_eq!(pinned_generations(&scene.daemon)?.len(), 1);
    let before: u64 = scene.receiver.counts().values().sum();
    let judged = crate::answers::judged(&crate::answers::counters(&scene.daemon)?.totals);
    scene.send(&[marked(address, before + 1)], 1)?;
    scene.judged(judged + 1)?;
    let after: u64 = scene.receiver.counts().values().sum();
    assert_eq!(after, before + 1);
    Ok(())
}

/// Refused with these words and without an effect; with force, in force; allowed if the address is
/// on the allow list.
fn is_guarded(
    scene: &Scene,
    launcher: &[&str],
    address: &str,
    said: &[&str],
) -> anyhow::Result<()> {
    let daemon = &scene.daemon;
    let refused = daemon.ctl_through(launcher, block(address, &["--deploy"]), "")?;
    assert_refused(&refused, said);
    let named = [address, "zone `default`", "rule `abuse`"];
    assert_refused(&refused, &named);
    assert_refused(&refused, &[&format!("ipblock-ctl allow add {address}")]);
    assert_unchanged(scene, address)?;

    // With the address on the allow list it is harmless.
    daemon
        .ctl_through(launcher, block(address, &[]), "")?
        .ok()?;
    let allow = ["allow", "add", address, "--deploy"];
    let allowed = daemon.ctl_through(launcher, allow, "")?;
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert!(check(daemon, &[address])?[0].allowed_by.is_some());

    // Removing it again would cut it off.
    let remove = ["allow", "remove", address, "--deploy"];
    let refused = daemon.ctl_through(launcher, remove, "")?;
    assert_refused(&refused, said);
    assert_eq!(status(daemon)?.revision, 1);

    let forced = [&["--json"], &remove[..], &["--force"]].concat();
    let forced = daemon.ctl_through(launcher, &forced, "")?;
    let deployed: ipblock_api::types::Deployed = serde_json::from_str(&forced.ok()?)?;
    assert_eq!(deployed.revision, 2);
    assert!(deployed.warnings.concat().contains(address), "{deployed:?}");
    let before = crate::answers::counters(daemon)?;
    scene.send(&[marked(address, 999)], 1)?;
    let after = scene.judged(crate::answers::judged(&before.totals) + 1)?;
    assert_eq!(
        after.totals.dropped.packets,
        before.totals.dropped.packets + 1
    );
    assert!(
        daemon.log().contains(&format!("forced: {address}")),
        "{}",
        daemon.log()
    );
    Ok(())
}

#[test]
fn the_ssh_peer_of_the_environment_is_not_cut_off() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let launcher = ["env", "-u", "IPBLOCK_SSH_PEER", SSH];
    is_guarded(&scene, &launcher, PEER, &["your SSH session comes from it"])
}

#[test]
fn the_ssh_peer_of_an_ancestors_environment_is_not_cut_off() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    // As with sudo: the waiting shell has the variable, but its child does not.
    let launcher = [
        "env",
        "-u",
        "IPBLOCK_SSH_PEER",
        SSH,
        "sh",
        "-c",
        "env -u SSH_CONNECTION \"$@\"; exit $?",
        "sh",
    ];
    is_guarded(&scene, &launcher, PEER, &["your SSH session comes from it"])
}

#[test]
fn a_rollback_that_would_cut_the_operator_off_is_refused() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let ssh = ["env", "-u", "IPBLOCK_SSH_PEER", SSH];
    scene.daemon.ctl(block(PEER, &["--deploy"]))?.ok()?;
    apply_forced(&scene.daemon, "")?;
    let refused = scene.daemon.ctl_through(&ssh, "rollback 1", "")?;
    assert_refused(&refused, &[PEER, "your SSH session comes from it"]);
    assert_eq!(status(&scene.daemon)?.revision, 2);
    let dry = scene.daemon.ctl_through(&ssh, "rollback 1 --dry-run", "")?;
    assert_eq!(dry.code, 6, "{dry:?}");
    assert!(dry.stdout.contains("refused without --force"), "{dry:?}");
    let forced = scene.daemon.ctl_through(&ssh, "rollback 1 --force", "")?;
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_eq!(status(&scene.daemon)?.revision, 1);
    Ok(())
}

#[test]
fn a_ban_does_not_cut_the_operator_off() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let ssh = ["env", "-u", "IPBLOCK_SSH_PEER", SSH];
    let ban = ["ban", "192.0.2.0/29", "--for", "1h"];
    let refused = scene.daemon.ctl_through(&ssh, ban, "")?;
    let said = [
        PEER,
        "your SSH session comes from it",
        "the ban of 192.0.2.0/29",
    ];
    assert_refused(&refused, &said);
    assert_unchanged(&scene, PEER)?;

    // Allowed, it may be banned; banned, it must not lose that entry.
    scene.daemon.ctl(["allow", "add", PEER, "--deploy"])?.ok()?;
    scene.daemon.ctl_through(&ssh, ban, "")?.ok()?;
    let remove = ["allow", "remove", PEER, "--deploy"];
    let refused = scene.daemon.ctl_through(&ssh, remove, "")?;
    assert_refused(&refused, &said);
    assert_eq!(status(&scene.daemon)?.revision, 1);
    let forced = [&remove[..], &["--force"]].concat();
    let forced = scene.daemon.ctl_through(&ssh, &forced, "")?;
    assert_eq!(forced.code, 0, "{forced:?}");
    // It is dropped already, so a new end of the ban cuts off no one.
    scene.daemon.ctl_through(&ssh, ban, "")?.ok()?;
    Ok(())
}

#[test]
fn an_override_says_whom_to_spare() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let launcher = ["env", "IPBLOCK_SSH_PEER=2001:db8::2"];
    is_guarded(
        &scene,
        &launcher,
        PEER6,
        &["your SSH session comes from it"],
    )?;
    // With `none`, the environment is ignored.
    let launcher = ["env", "IPBLOCK_SSH_PEER=none", SSH];
    let edit = ["rule", "edit", "abuse", "--add-match", PEER, "--deploy"];
    scene.daemon.ctl_through(&launcher, edit, "")?.ok()?;
    Ok(())
}

/// A connection of the peer to a listener of the host; both ends live as long as the value.
fn connection(pair: &VethPair, to: IpAddr) -> anyhow::Result<(TcpListener, TcpStream, TcpStream)> {
    let listener = pair
        .host
        .netns
        .enter(|| TcpListener::bind(SocketAddr::new(to, 0)))?;
    let address = listener.local_addr()?;
    let client = pair
        .peer
        .netns
        .enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(10)))?;
    let (server, _) = listener.accept()?;
    Ok((listener, client, server))
}

#[test]
fn a_peer_that_is_connected_to_sshd_is_not_cut_off() -> anyhow::Result<()> {
    let root = require_privileged!();
    for family in ["ipv4", "ipv6"] {
        let pair = VethPair::new(root, VethOptions::default())?;
        let (to, peer): (IpAddr, IpAddr) = match family {
            "ipv4" => (pair.host.ipv4.into(), pair.peer.ipv4.into()),
            _ => (pair.host.ipv6.into(), pair.peer.ipv6.into()),
        };
        let (listener, mut client, server) = connection(&pair, to)?;
        let port = listener.local_addr()?.port();
        let daemon = Daemon::in_netns(root, &pair.host.netns)
            .config(format!("[guard]\nssh_ports = [{port}]\n"))
            .start()?;
        let attach = ["attach", &pair.host.interface, "--mode", "native"];
        daemon.ctl(attach)?.ok()?;

        let address = peer.to_string();
        daemon.ctl(block(&address, &[]))?.ok()?;
        let diff = daemon.ctl_json("diff")?;
        let cut = format!("{address} (port {port}: 1 connection)");
        assert_eq!(diff["cut_peers"], serde_json::json!([cut]), "{diff}");
        let warnings = diff["warnings"].to_string();
        assert!(warnings.contains("refused without --force"), "{warnings}");
        let why = format!("connected to sshd on port {port}");
        assert_refused(&daemon.ctl("deploy")?, &[&address, &why, "rule `abuse`"]);
        let now = status(&daemon)?;
        assert_eq!((now.revision, now.staged), (0, 1));

        // The connection still works; after its end, the peer is not protected.
        drop(server);
        client.set_read_timeout(Some(Duration::from_secs(10)))?;
        assert_eq!(client.read(&mut [0; 1])?, 0);
        drop(client);
        daemon.wait_for_json("diff", "the connection to end", |diff| {
            diff["cut_peers"].as_array()?.is_empty().then_some(())
        })?;
        daemon.ctl("deploy")?.ok()?;
    }
    Ok(())
}

#[test]
fn a_connection_to_another_port_is_only_shown_by_diff() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let (listener, _client, _server) = connection(&scene.pair, scene.pair.host.ipv4.into())?;
    let port = listener.local_addr()?.port();
    let ruleset = format!("[[rule]]\nname = \"abuse\"\naction = \"block\"\nmatch = [\"{PEER}\"]\n");
    let dry_run = ["--json", "apply", "--dry-run", "-"];
    let output = scene.daemon.ctl_with_input(dry_run, &ruleset)?;
    assert_eq!(output.code, 6, "{output:?}");
    let cut = format!("{PEER} (port {port}: 1 connection)");
    assert!(output.stdout.contains(&cut), "{output:?}");
    assert!(!output.stdout.contains("refused"), "{output:?}");
    apply(&scene.daemon, &ruleset)?;
    Ok(())
}

#[test]
fn a_default_gateway_is_not_cut_off() -> anyhow::Result<()> {
    let root = require_privileged!();
    let via_peer = |pair: &VethPair| {
        let (peer, peer6) = (pair.peer.ipv4.to_string(), pair.peer.ipv6.to_string());
        let host = &pair.host;
        host.netns
            .run(["ip", "route", "add", "default", "via", &peer])?;
        // In another table, as one of several hops.
        let second = "2001:db8::99";
        host.netns.run([
            "ip", "-6", "route", "add", "default", "table", "100", "nexthop", "via", &peer6,
            "nexthop", "via", second,
        ])?;
        anyhow::Ok(())
    };
    for address in [PEER, PEER6] {
        let scene = scene(root, via_peer, |builder| builder)?;
        is_guarded(&scene, &[], address, &["default gateway of host0"])?;
    }
    Ok(())
}

#[test]
fn an_upstream_resolver_is_not_cut_off() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(
        root,
        |_| Ok(()),
        |builder| builder.resolv_conf("nameserver 198.51.100.53\nnameserver ::1\n"),
    )?;
    let why = "name server in /etc/resolv.conf";
    is_guarded(&scene, &[], "198.51.100.53", &[why])
}

#[test]
fn apply_is_guarded_and_a_dry_run_says_what_would_be_refused() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(
        root,
        |_| Ok(()),
        |builder| builder.resolv_conf("nameserver 198.51.100.53\n"),
    )?;
    let ruleset = "[zone.default]\ndefault = \"drop\"\nallow = [\"192.0.2.0/24\"]\n";
    let dry_run = "apply --dry-run -";
    let output = scene.daemon.ctl_with_input(dry_run, ruleset)?;
    assert_eq!(output.code, 6, "{output:?}");
    assert!(
        output.stdout.contains("198.51.100.53 (name server"),
        "{output:?}"
    );
    let refused = scene.daemon.ctl_with_input("apply -", ruleset)?;
    assert_refused(&refused, &["198.51.100.53", "would drop it by its default"]);
    assert_unchanged(&scene, "198.51.100.53")?;
    let forced = ["apply", "--force", "-"];
    let output = scene.daemon.ctl_with_input(forced, ruleset)?.ok()?;
    assert!(
        output.contains("warning: forced: 198.51.100.53 (name server"),
        "{output}"
    );
    Ok(())
}

#[test]
fn an_interface_is_not_attached_to_a_zone_that_cuts_off() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
    // No interface is in the zone: nothing is cut.
    deploy(&daemon, block(PEER, &[]))?;
    let launcher = ["env", "IPBLOCK_SSH_PEER=192.0.2.2"];
    let attach = ["attach", &pair.host.interface];
    let refused = daemon.ctl_through(&launcher, attach, "")?;
    let said = [PEER, "your SSH session comes from it", "rule `abuse`"];
    assert_refused(&refused, &said);
    assert_refused(&refused, &["ipblock-ctl allow add 192.0.2.2 --deploy"]);
    assert!(status(&daemon)?.zones[0].interfaces.is_empty());

    let forced = [&attach[..], &["--force"]].concat();
    let output = daemon.ctl_through(&launcher, &forced, "")?;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stderr.contains(PEER), "{output:?}");
    // It is cut off already: another attachment changes nothing.
    daemon.ctl_through(&launcher, attach, "")?.ok()?;
    Ok(())
}

#[test]
fn a_zone_that_turns_to_drop_is_guarded_where_it_has_an_interface() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let launcher = ["env", "IPBLOCK_SSH_PEER=192.0.2.2"];
    let zone = |name| {
        let set = ["zone", "set", name, "--default", "drop", "--deploy"];
        daemon.ctl_through(&launcher, set, "")
    };
    deploy(daemon, "allow add 198.51.100.0/24")?;
    // No interface is in this zone.
    zone("lan")?.ok()?;
    let refused = zone("default")?;
    assert_refused(
        &refused,
        &[PEER, "zone `default` would drop it by its default"],
    );
    let rules: Vec<ipblock_api::types::ZoneInfo> = answer(daemon, "zone list")?;
    assert_eq!(rules.len(), 2);
    assert_eq!(status(daemon)?.revision, 2);
    Ok(())
}
