//! Daemons that do not start, and clients without a daemon.

use std::{
    path::Path,
    process::{Command, Output},
};

use ipblock_api::types::Reason;
use ipblock_tests::{Daemon, binaries, require_privileged};

use crate::{
    answers::{check, pinned_generations, program_on, status},
    scenario::{BLOCK, Scene},
};

/// Tries to start another daemon next to `daemon`; it must end by itself.
fn second_daemon(
    daemon: &Daemon,
    socket: &Path,
    state_dir: &Path,
    bpffs: &Path,
) -> anyhow::Result<Output> {
    let log = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let output = Command::new("timeout")
        .arg("20")
        .arg(&binaries().ipblockd)
        .arg("--socket")
        .arg(socket)
        .arg("--state-dir")
        .arg(state_dir)
        .arg("--bpffs")
        .arg(bpffs)
        .output()?;
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(daemon.pid().is_some());
    Ok(output)
}

#[track_caller]
fn assert_said(output: &Output, said: &[&str]) {
    let log = String::from_utf8_lossy(&output.stderr);
    for text in said {
        assert!(log.contains(text), "{text:?} in\n{log}");
    }
}

#[test]
fn a_second_daemon_on_the_same_state_directory_refuses_and_names_the_first() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    let generations = pinned_generations(daemon)?;
    let on_interface = program_on(&scene.pair.host.netns, scene.interface())?;
    let elsewhere = tempfile::tempdir()?;
    let socket = elsewhere.path().join("socket");
    let output = second_daemon(daemon, &socket, &daemon.state_dir(), daemon.bpffs())?;
    let first = format!(
        "in use by another ipblockd, process {}",
        daemon.pid().unwrap()
    );
    assert_said(&output, &[&first, "hint: "]);
    assert!(!socket.exists());
    assert_eq!(status(daemon)?.revision, 1);
    assert_eq!(pinned_generations(daemon)?, generations);
    let on_now = program_on(&scene.pair.host.netns, scene.interface())?;
    assert_eq!(on_now, on_interface);
    Ok(())
}

/// A second daemon with another state directory ends and leaves the pins unchanged.
fn assert_leaves_pins_alone(daemon: &Daemon, state_dir: &Path, said: &str) -> anyhow::Result<()> {
    let generations = pinned_generations(daemon)?;
    let socket = state_dir.join("socket");
    let output = second_daemon(daemon, &socket, state_dir, daemon.bpffs())?;
    assert_said(&output, &[said, "hint: "]);
    assert_eq!(pinned_generations(daemon)?, generations);
    Ok(())
}

#[test]
fn a_daemon_with_another_state_directory_leaves_what_is_pinned_alone() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let elsewhere = tempfile::tempdir()?;
    let said = "made from another state directory";
    assert_leaves_pins_alone(&scene.daemon, elsewhere.path(), said)
}

#[test]
fn a_daemon_on_a_copy_of_the_store_does_not_take_a_live_filter_over() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    let elsewhere = tempfile::tempdir()?;
    let copy = elsewhere.path().join("ipblock.db");
    daemon.ctl(["backup", copy.to_str().unwrap()])?.ok()?;
    daemon.ctl("ban 198.51.100.7 --for 1h")?.ok()?;
    let said = "another ipblockd looks after the filter";
    assert_leaves_pins_alone(daemon, elsewhere.path(), said)?;
    for answer in check(daemon, &["198.51.100.7"])? {
        assert!(
            answer.kernel_agrees == Some(true) && answer.reason == Reason::Ban,
            "{answer:?}"
        );
    }
    Ok(())
}

#[test]
fn a_daemon_without_a_bpffs_says_how_to_mount_one() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let elsewhere = tempfile::tempdir()?;
    let socket = elsewhere.path().join("socket");
    let output = second_daemon(&scene.daemon, &socket, elsewhere.path(), elsewhere.path())?;
    assert_said(
        &output,
        &["it is not a bpffs mount", "mount -t bpf -o mode=700 bpf"],
    );
    Ok(())
}

#[test]
fn without_a_daemon_the_exit_code_is_4() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    scene.daemon.terminate()?;
    for command in [&["status"][..], &["deploy"], &["check", "192.0.2.1"]] {
        let output = scene.daemon.ctl(command)?;
        assert_eq!(output.code, 4, "{output:?}");
        assert!(
            output.stderr.contains("cannot reach ipblockd"),
            "{output:?}"
        );
        assert!(output.stderr.contains("hint: "), "{output:?}");
    }
    // A killed one leaves its socket behind.
    scene.daemon.start()?;
    scene.daemon.kill()?;
    assert!(scene.daemon.socket().exists());
    assert_eq!(scene.daemon.ctl("status")?.code, 4);
    Ok(())
}
