//! `doctor` on real devices: its findings are true and useful.

use ipblock_tests::{Daemon, Netns, VethOptions, VethPair, report_not_run, require_privileged};
use serde_json::Value;

use crate::{
    answers::apply,
    scenario::{BLOCK, Scene},
};

/// What `doctor` says with an environment that names the daemon's bpffs, as (check, state, detail,
/// advice).
fn findings(daemon: &Daemon, netns: &Netns) -> anyhow::Result<Vec<[String; 4]>> {
    let bpffs = format!("IPBLOCK_BPFFS={}", daemon.bpffs().display());
    let launcher = ["ip", "netns", "exec", netns.name(), "env", &bpffs];
    let output = daemon.ctl_through(&launcher, "--json doctor", "")?;
    assert!(matches!(output.code, 0 | 1), "{output:?}");
    let findings: Vec<Value> = serde_json::from_str(&output.stdout)?;
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    Ok(findings
        .iter()
        .map(|finding| ["check", "state", "detail", "advice"].map(|key| text(finding, key)))
        .collect())
}

/// The findings of one check, without those that are ok.
fn about<'a>(findings: &'a [[String; 4]], check: &str) -> Vec<&'a [String; 4]> {
    findings.iter().filter(|[name, ..]| name == check).collect()
}

#[track_caller]
fn assert_says(findings: &[[String; 4]], state: &str, detail: &str, advice: &str) {
    let found = findings
        .iter()
        .any(|[_, is, says, tells]| is == state && says.contains(detail) && tells.contains(advice));
    assert!(found, "{state}, {detail}, {advice}: {findings:#?}");
}

#[test]
fn the_daemon_says_where_it_pins_and_no_other_filter_is_looked_at() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    apply(&scene.daemon, BLOCK)?;
    let netns = scene.pair.host.netns.name();
    let doctor = || {
        let launcher = ["ip", "netns", "exec", netns, "env", "-u", "IPBLOCK_BPFFS"];
        scene.daemon.ctl_through(&launcher, "doctor", "")
    };
    let output = doctor()?;
    let bpffs = format!("mounted at {}", scene.daemon.bpffs().display());
    assert!(output.stdout.contains(&bpffs), "{output:?}");
    assert!(
        output.stdout.contains("native mode, ipblock's"),
        "{output:?}"
    );
    let Scene {
        mut daemon, pair, ..
    } = scene;
    daemon.terminate()?;
    let launcher = ["ip", "netns", "exec", pair.host.netns.name()];
    let output = daemon.ctl_through(&launcher, "doctor", "")?;
    assert!(output.stdout.contains("not looked at"), "{output:?}");
    assert!(output.stdout.contains("perhaps ipblock's"), "{output:?}");
    Ok(())
}

#[test]
fn a_host_that_is_well_has_a_line_for_everything() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    apply(&scene.daemon, BLOCK)?;
    let found = findings(&scene.daemon, &scene.pair.host.netns)?;
    let interface = scene.interface();
    for check in [
        "kernel",
        "bpffs",
        "capabilities",
        "clock",
        "XDP programs",
        "interfaces",
        "daemon",
        "capacity",
        "memory",
    ] {
        assert!(!about(&found, check).is_empty(), "{check}: {found:#?}");
    }
    let bpffs = scene.daemon.bpffs().display().to_string();
    assert_says(&found, "ok", &format!("mounted at {bpffs}"), "");
    assert_says(&found, "ok", "native mode, ipblock's", "");
    assert_says(
        &found,
        "ok",
        &format!("filtered in native mode: {interface} (veth)"),
        "",
    );
    assert_says(
        &found,
        "ok",
        "1 of 4000000 entries in zone default, 0 of 1000000 bans",
        "",
    );
    assert_says(&found, "ok", "a deploy like the last one takes up to", "");
    // The clock is the machine's.
    let odd: Vec<_> = found
        .iter()
        .filter(|[check, state, ..]| state != "ok" && check != "clock")
        .collect();
    assert!(odd.is_empty(), "{odd:#?}");
    Ok(())
}

#[test]
fn another_program_on_an_interface_is_somebody_elses() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::attached(root, "generic")?;
    let stranger = Daemon::in_netns(root, &scene.pair.host.netns).start()?;
    // The pins of another daemon are elsewhere: what they hold is foreign here.
    let found = findings(&stranger, &scene.pair.host.netns)?;
    assert_says(
        &found,
        "warning",
        "not one that is pinned under",
        "bpftool prog show id",
    );
    assert_says(&found, "ok", "none is filtered", "");
    let found = findings(&scene.daemon, &scene.pair.host.netns)?;
    let detail = "is in generic mode although veth can do native XDP";
    let detail_before_6_3 = "is in generic mode, which costs several times as much";
    let told = found
        .iter()
        .any(|[_, _, says, _]| says.contains(detail) || says.contains(detail_before_6_3));
    assert!(told, "{found:#?}");
    Ok(())
}

/// Makes a device, or says that this kernel has none of its kind.
fn add_link(netns: &Netns, arguments: &[&str]) -> bool {
    let command = [&["ip", "link", "add"], arguments].concat();
    match netns.run(&command) {
        Ok(_) => true,
        Err(error) => {
            report_not_run(&format!(
                "doctor on a device of `ip link add {}`, judged by made-up ones alone: {error:#}",
                arguments.join(" ")
            ));
            false
        }
    }
}

#[test]
fn devices_over_and_under_others_are_told_apart() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let (netns, interface) = (&pair.host.netns, pair.host.interface.as_str());
    let mut filtered = vec![interface.to_owned()];
    let vlan = format!("{interface}.5");
    let has_vlan = add_link(
        netns,
        &["link", interface, "name", &vlan, "type", "vlan", "id", "5"],
    );
    if has_vlan {
        netns.run(["ip", "link", "set", &vlan, "up"])?;
        filtered.push(vlan.clone());
    }
    let has_bridge = add_link(netns, &["name", "br0", "type", "bridge"]);
    if has_bridge {
        netns.run([
            "ip", "link", "add", "port0", "type", "veth", "peer", "name", "port1",
        ])?;
        netns.run(["ip", "link", "set", "port0", "master", "br0", "up"])?;
        netns.run(["ip", "link", "set", "br0", "up"])?;
        filtered.push("br0".to_owned());
    }
    let has_bond = add_link(netns, &["name", "bond0", "type", "bond"]);
    if has_bond {
        netns.run([
            "ip", "link", "add", "slave0", "type", "veth", "peer", "name", "slave1",
        ])?;
        for member in ["slave0", "slave1"] {
            netns.run(["ip", "link", "set", member, "master", "bond0"])?;
            netns.run(["ip", "link", "set", member, "up"])?;
        }
        filtered.push("slave0".to_owned());
    }
    let tunnel = [
        "name",
        "ipip7",
        "type",
        "ipip",
        "local",
        "192.0.2.1",
        "remote",
        "192.0.2.2",
    ];
    let has_tunnel = add_link(netns, &tunnel);
    if has_tunnel {
        netns.run(["ip", "link", "set", "ipip7", "up"])?;
    }
    let mut builder = Daemon::in_netns(root, netns);
    for interface in &filtered {
        builder = builder.interface(interface);
    }
    let daemon = builder.start()?;
    apply(&daemon, BLOCK)?;
    let found = findings(&daemon, netns)?;
    let found: Vec<_> = about(&found, "interfaces").into_iter().cloned().collect();
    if has_vlan {
        let detail = format!("{vlan} and {interface} below it are filtered");
        assert_says(&found, "warning", &detail, &format!("detach {vlan}"));
    }
    if has_bridge {
        assert_says(&found, "warning", "br0 is a bridge", "attach its ports");
        assert_says(&found, "warning", "br0 is a bridge", "port0");
    }
    if has_bond {
        assert_says(
            &found,
            "warning",
            "of bond bond0 slave0 is filtered, and not slave1",
            "bond0",
        );
    }
    if has_tunnel {
        assert_says(&found, "ok", "ipip7 (ipip)", "");
    }
    Ok(())
}

#[test]
fn a_renamed_interface_is_told_with_both_names() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    apply(&scene.daemon, BLOCK)?;
    let netns = &scene.pair.host.netns;
    let name = scene.interface();
    for command in [
        ["ip", "link", "set", name, "down"].as_slice(),
        &["ip", "link", "set", name, "name", "ens9"],
        &["ip", "link", "set", "ens9", "up"],
    ] {
        netns.run(command)?;
    }
    let found = findings(&scene.daemon, netns)?;
    assert_says(&found, "ok", "ens9: program", "");
    assert_says(
        &found,
        "warning",
        &format!("ens9: it was attached as {name} and then renamed"),
        "`ipblock-ctl attach ens9`",
    );
    let away = Netns::new(require_privileged!())?;
    netns.run(["ip", "link", "set", "ens9", "netns", away.name()])?;
    let found = findings(&scene.daemon, netns)?;
    assert_says(
        &found,
        "warning",
        &format!("the device that was attached as {name} is in another network namespace"),
        &format!("`ipblock-ctl detach {name} --moved`"),
    );
    assert_says(&found, "ok", "none is filtered", "");
    Ok(())
}

#[test]
fn macvlans_on_a_native_parent_are_told() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let (netns, name) = (&scene.pair.host.netns, scene.interface());
    let macvlan = [
        "link", name, "name", "mv0", "type", "macvlan", "mode", "bridge",
    ];
    if add_link(netns, &macvlan) {
        let found = findings(&scene.daemon, netns)?;
        let detail = format!("{name} is in native mode: what macvlans on it send each other");
        let advice = format!("`ipblock-ctl attach {name} --mode generic`");
        assert_says(&found, "warning", &detail, &advice);
    }
    Ok(())
}
