//! Stacked devices: the kernel accepts programs only from the lowest to the highest. In whatever
//! order they appear, both are filtered and no packet of a blocked source passes.

use std::{fs, sync::Arc};

use aya::{Ebpf, EbpfLoader, programs::Xdp};
use ipblock_api::types::InterfaceState;
use ipblock_common::names;
use ipblock_datapath::object::BPF_OBJECT;
use ipblock_tests::{
    Bpffs, DEADLINE, Daemon, FrameSender, Netns, VethOptions, VethPair, report_not_run,
    require_privileged, wait_for,
};

use crate::{
    answers::{GENERIC, NATIVE, OnInterface, apply, interface, program_on},
    bridged::{BLOCKED, BRIDGE, BlockedFlood, Bridged, OTHER, drain, to_bridge},
    scenario::BLOCK,
};

#[test]
fn a_bridge_is_attached_after_its_ports_when_the_machine_starts() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(mut bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    bridged.attach("host0")?;
    bridged.attach(BRIDGE)?;
    bridged.assert_crosses_filtered(1)?;
    bridged.reboot(&["host0", BRIDGE])?;
    bridged.wait_until_attached(&["host0", BRIDGE])?;
    bridged.assert_crosses_filtered(3)
}

#[test]
fn a_port_that_is_made_anew_below_a_filtered_bridge_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(mut bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    bridged.attach("host0")?;
    bridged.attach(BRIDGE)?;
    for round in 0..3 {
        bridged.host.run(["ip", "link", "delete", "host0"])?;
        bridged.ports.retain(|port| port.host.interface != "host0");
        bridged.add_port(0)?;
        bridged.wait_until_attached(&["host0", BRIDGE])?;
        assert_eq!(
            program_on(&bridged.host, "host0")?.map(|on| on.mode),
            Some(NATIVE)
        );
        assert_eq!(
            program_on(&bridged.host, BRIDGE)?.map(|on| on.mode),
            Some(GENERIC)
        );
        bridged.assert_crosses_filtered(10 * round + 1)?;
    }
    Ok(())
}

/// The bridge has no filter for some milliseconds each time. The flood arrives on its other port,
/// which has no filter.
#[test]
fn no_packet_of_a_blocked_source_passes_a_bridge_while_a_port_is_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    let socket = bridged.listen()?;
    bridged.attach(BRIDGE)?;
    let sender = FrameSender::new(&bridged.peer, "peer1")?;
    let flood = BlockedFlood::start(&bridged)?;
    let mut passed = 0;
    for _ in 0..10 {
        bridged.attach("host0")?;
        passed += drain(&socket)?;
        bridged.daemon.ctl("detach host0")?.ok()?;
    }
    let sent = flood.stop()?;
    println!("{sent} packets of a blocked source were sent, {passed} passed");
    assert!(sent > 10_000, "{sent}");
    let log = bridged.daemon.log();
    assert!(log.contains("attached below filtered devices"), "{log}");
    if log.contains("this kernel cannot hold them") {
        report_not_run("holding a bridge: this kernel is older than 6.6, packets may pass");
    } else {
        assert_eq!(passed, 0);
    }
    // Packets that could pass: others do, and the blocked one does without the filter.
    sender.send(&to_bridge(OTHER))?;
    wait_for(DEADLINE, "another source to pass", || {
        (drain(&socket).ok()? == 1).then_some(())
    })?;
    bridged.daemon.ctl(["detach", BRIDGE])?.ok()?;
    wait_for(DEADLINE, "the blocked source to pass", || {
        sender.send(&to_bridge(BLOCKED)).ok()?;
        (drain(&socket).ok()? > 0).then_some(())
    })
}

fn foreign_program() -> anyhow::Result<Ebpf> {
    let mut object = EbpfLoader::new().load(BPF_OBJECT)?;
    program_of(&mut object).load()?;
    Ok(object)
}

fn program_of(object: &mut Ebpf) -> &mut Xdp {
    let program = object.program_mut(names::PROGRAM).unwrap();
    program.try_into().unwrap()
}

#[test]
fn a_foreign_program_on_the_bridge_is_named_and_stays() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(bridged) = Bridged::new(root)? else {
        return Ok(());
    };
    let mut object = foreign_program()?;
    let program = program_of(&mut object);
    let bpffs = Bpffs::mount(root)?;
    let pin = bpffs.path().join("foreign");
    program.pin(&pin)?;
    let pin = pin.to_str().unwrap();
    let on_bridge = ["ip", "link", "set", "dev", BRIDGE, "xdpgeneric"];
    bridged.host.run(on_bridge.iter().chain(&["pinned", pin]))?;
    let foreign = Some(OnInterface {
        mode: GENERIC,
        program: program.info()?.id().into(),
    });
    let output = bridged.daemon.ctl("attach host0")?;
    assert_eq!(output.code, 3, "{output:?}");
    for said in [
        "`br0` above it runs XDP program",
        "not ipblock's",
        "ip link set dev br0 xdpgeneric off",
    ] {
        assert!(output.stderr.contains(said), "{said}: {output:?}");
    }
    assert_eq!(program_on(&bridged.host, BRIDGE)?, foreign);
    assert_eq!(program_on(&bridged.host, "host0")?, None);
    // The advice in the hint works.
    bridged.host.run(on_bridge.iter().chain(&["off"]))?;
    bridged.attach("host0")
}

/// Every kind of stacked device. Some kernels refuse a program below some of them, others do not:
/// in the end both are filtered.
#[test]
fn a_device_is_attached_below_whatever_lies_on_it() -> anyhow::Result<()> {
    let root = require_privileged!();
    for (kind, arguments) in [
        ("macvlan", &["mode", "bridge"][..]),
        ("vlan", &["id", "5"]),
        ("ipvlan", &[]),
        ("bond", &["mode", "active-backup"]),
    ] {
        let host = Arc::new(Netns::new(root)?);
        let peer = Arc::new(Netns::new(root)?);
        let _pair = VethPair::between(Arc::clone(&host), peer, VethOptions::default())?;
        let on: &[&str] = if kind == "bond" {
            &[]
        } else {
            &["link", "host0"]
        };
        let add = [
            &["ip", "link", "add"],
            on,
            &["name", "upper0", "type", kind],
            arguments,
        ]
        .concat();
        if let Err(error) = host.run(add) {
            report_not_run(&format!("a program below a {kind}: {error:#}"));
            continue;
        }
        if kind == "bond" {
            host.run(["ip", "link", "set", "host0", "down"])?;
            host.run(["ip", "link", "set", "host0", "master", "upper0"])?;
        }
        host.run(["ip", "link", "set", "upper0", "up"])?;
        let mut daemon = Daemon::in_netns(root, &host).start()?;
        apply(&daemon, BLOCK)?;
        daemon.ctl("attach upper0 --mode generic")?.ok()?;
        daemon.ctl("attach host0")?.ok()?;
        let assert_both = |daemon: &Daemon| -> anyhow::Result<()> {
            for name in ["upper0", "host0"] {
                let shown = interface(daemon, name)?;
                assert_eq!(shown.state, InterfaceState::Attached, "{kind}: {shown:?}");
                assert!(program_on(&host, name)?.is_some(), "{kind}: {name}");
            }
            Ok(())
        };
        assert_both(&daemon)?;
        daemon.terminate()?;
        fs::remove_dir_all(daemon.bpffs().join("ipblock"))?;
        for name in ["upper0", "host0"] {
            wait_for(DEADLINE, "nothing to be attached", || {
                program_on(&host, name).ok()?.is_none().then_some(())
            })?;
        }
        daemon.start()?;
        assert_both(&daemon)?;
    }
    Ok(())
}
