//! Attachments: modes, and refusals.

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    programs::{Xdp, xdp::XdpMode},
};
use ipblock_api::types::{InterfaceState, Mode};
use ipblock_common::names;
use ipblock_datapath::object::BPF_OBJECT;
use ipblock_tests::{Bpffs, CtlOutput, require_privileged};

use crate::{
    answers::{GENERIC, NATIVE, OnInterface, apply, interface, program_on, status},
    scenario::{BLOCK, Scene, marked},
};

/// Asserts the exit code and that standard error holds these.
#[track_caller]
fn assert_refused(output: &CtlOutput, code: i32, said: &[&str]) {
    assert_eq!(output.code, code, "{output:?}");
    for text in said {
        assert!(output.stderr.contains(text), "{text:?} in {output:?}");
    }
}

#[test]
fn the_mode_that_was_asked_for_is_the_mode_that_is_used() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let name = scene.interface();
    apply(&scene.daemon, BLOCK)?;
    for (asked, mode, kernel) in [
        ("native", Some(Mode::Native), NATIVE),
        ("generic", Some(Mode::Generic), GENERIC),
        ("auto", Some(Mode::Native), NATIVE),
    ] {
        scene.daemon.ctl(["attach", name, "--mode", asked])?.ok()?;
        let shown = interface(&scene.daemon, name)?;
        assert_eq!((shown.mode, shown.state), (mode, InterfaceState::Attached));
        assert_eq!(shown.detail, None);
        let on = program_on(&scene.pair.host.netns, name)?;
        assert_eq!(on.map(|on| on.mode), Some(kernel), "{asked}");
        scene.daemon.ctl(["detach", name])?.ok()?;
    }
    Ok(())
}

#[test]
fn auto_falls_back_to_generic_mode_and_says_why() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    // The loopback device's driver knows no XDP.
    let native = scene.daemon.ctl("attach lo --mode native")?;
    assert_refused(&native, 1, &["`lo`", "native mode", "--mode generic"]);
    assert_eq!(program_on(&scene.pair.host.netns, "lo")?, None);
    assert!(interface(&scene.daemon, "lo").is_err());

    scene.daemon.ctl("attach lo")?.ok()?;
    let shown = interface(&scene.daemon, "lo")?;
    assert_eq!(
        (shown.mode, shown.state),
        (Some(Mode::Generic), InterfaceState::Attached)
    );
    let detail = shown.detail.unwrap_or_default();
    assert!(detail.starts_with("native mode: "), "{detail}");
    Ok(())
}

#[test]
fn changing_the_mode_of_an_attached_interface_is_refused() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let name = scene.interface();
    let before = program_on(&scene.pair.host.netns, name)?;
    let output = scene.daemon.ctl(["attach", name, "--mode", "generic"])?;
    assert_refused(&output, 3, &["attached in native mode already", "detach"]);
    assert_eq!(program_on(&scene.pair.host.netns, name)?, before);
    Ok(())
}

#[test]
fn an_unknown_interface_is_refused() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let output = scene.daemon.ctl("attach nope0")?;
    assert_refused(&output, 2, &["there is no interface `nope0`"]);
    assert!(interface(&scene.daemon, "nope0").is_err());
    let output = scene.daemon.ctl("detach nope0")?;
    assert_refused(&output, 2, &["`nope0` is not attached"]);
    let output = scene
        .daemon
        .ctl(["attach", scene.interface(), "--zone", "nope"])?;
    assert_refused(&output, 2, &["there is no deployed zone `nope`"]);
    assert_eq!(program_on(&scene.pair.host.netns, scene.interface())?, None);
    Ok(())
}

#[test]
fn an_interface_without_ethernet_frames_is_refused() -> anyhow::Result<()> {
    let root = require_privileged!();
    if !Path::new("/dev/net/tun").exists() {
        println!("NOT RUN: this kernel has no tun devices (no /dev/net/tun)");
        return Ok(());
    }
    let scene = Scene::detached(root)?;
    let netns = &scene.pair.host.netns;
    netns.run(["ip", "tuntap", "add", "dev", "tun7", "mode", "tun"])?;
    let output = scene.daemon.ctl("attach tun7")?;
    assert_refused(&output, 2, &["`tun7` carries no Ethernet frames"]);
    assert_eq!(program_on(netns, "tun7")?, None);
    assert!(interface(&scene.daemon, "tun7").is_err());
    Ok(())
}

/// A program that is not the daemon's, although it looks like one.
fn foreign_program() -> anyhow::Result<Ebpf> {
    let mut object = EbpfLoader::new().load(BPF_OBJECT)?;
    program_of(&mut object).load()?;
    Ok(object)
}

fn program_of(object: &mut Ebpf) -> &mut Xdp {
    let program = object.program_mut(names::PROGRAM).unwrap();
    program.try_into().unwrap()
}

fn assert_foreign_stays(scene: &Scene, foreign: OnInterface) -> anyhow::Result<()> {
    let name = scene.interface();
    for mode in ["auto", "native", "generic"] {
        let output = scene.daemon.ctl(["attach", name, "--mode", mode])?;
        // Its name requires a capability that the daemon has dropped.
        let said = format!(
            "already runs XDP program {}, which is not ipblock's",
            foreign.program
        );
        assert_refused(&output, 3, &[&said, "hint: "]);
        assert_eq!(
            program_on(&scene.pair.host.netns, name)?,
            Some(foreign),
            "{mode}"
        );
    }
    assert!(interface(&scene.daemon, name).is_err());
    let links = scene.daemon.bpffs().join("ipblock/links");
    assert_eq!(links.read_dir()?.count(), 0);
    Ok(())
}

#[test]
fn a_foreign_program_on_a_link_is_never_replaced() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let mut object = foreign_program()?;
    let program = program_of(&mut object);
    let netns = &scene.pair.host.netns;
    netns.enter(|| program.attach(scene.interface(), XdpMode::Driver))?;
    let foreign = OnInterface {
        mode: NATIVE,
        program: program.info()?.id().into(),
    };
    assert_eq!(program_on(netns, scene.interface())?, Some(foreign));
    assert_foreign_stays(&scene, foreign)
}

#[test]
fn a_foreign_program_without_a_link_is_never_replaced() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::detached(root)?;
    let netns = &scene.pair.host.netns;
    let mut object = foreign_program()?;
    let program = program_of(&mut object);
    let bpffs = Bpffs::mount(root)?;
    let pin = bpffs.path().join("foreign");
    program.pin(&pin)?;
    let pin = pin.to_str().unwrap();
    for (keyword, mode) in [("xdpdrv", NATIVE), ("xdpgeneric", GENERIC)] {
        let on_device = ["ip", "link", "set", "dev", scene.interface(), keyword];
        netns.run(on_device.iter().chain(&["pinned", pin]))?;
        let foreign = OnInterface {
            mode,
            program: program.info()?.id().into(),
        };
        assert_foreign_stays(&scene, foreign)?;
        netns.run(on_device.iter().chain(&["off"]))?;
    }
    // Once it has gone there is nothing in the way.
    scene.daemon.ctl(["attach", scene.interface()])?.ok()?;
    Ok(())
}

#[test]
fn a_foreign_program_stays_when_the_daemon_starts_and_is_named_in_the_status() -> anyhow::Result<()>
{
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let name = scene.interface().to_owned();
    scene.daemon.terminate()?;
    std::fs::remove_file(scene.daemon.bpffs().join("ipblock/links").join(&name))?;
    let netns = std::sync::Arc::clone(&scene.pair.host.netns);
    let mut object = foreign_program()?;
    let program = program_of(&mut object);
    netns.enter(|| program.attach(&name, XdpMode::Driver))?;
    let foreign = program_on(&netns, &name)?;
    scene.daemon.start()?;
    assert_eq!(program_on(&netns, &name)?, foreign);
    let shown = interface(&scene.daemon, &name)?;
    assert_eq!(shown.state, InterfaceState::Failed);
    let id = format!("XDP program {}", program.info()?.id());
    assert!(shown.detail.unwrap_or_default().contains(&id));
    let problems = status(&scene.daemon)?.problems;
    assert!(problems.iter().any(|problem| problem.contains(&id)));
    Ok(())
}

#[test]
fn after_detach_everything_passes_again() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    scene.send(&[marked("203.0.113.7", 1)], 5)?;
    let counters = scene.judged(5)?;
    assert_eq!(counters.totals.dropped.packets, 5);
    scene.daemon.ctl(["detach", scene.interface()])?.ok()?;
    assert_eq!(program_on(&scene.pair.host.netns, scene.interface())?, None);
    assert!(interface(&scene.daemon, scene.interface()).is_err());
    scene.send(&[marked("203.0.113.7", 2)], 5)?;
    let receiver = &scene.receiver;
    receiver.wait_for_count(2, 5, ipblock_tests::DEADLINE)?;
    assert_eq!(receiver.counts(), [(2, 5)].into());
    // It is forgotten, and what was counted stays.
    let counters = crate::answers::counters(&scene.daemon)?;
    assert_eq!(counters.totals.dropped.packets, 5);
    Ok(())
}
