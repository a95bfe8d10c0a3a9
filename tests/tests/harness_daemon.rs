//! The harness runs a daemon as the end-to-end tests need it; tested with scripts in its place.
#![cfg(test)]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use ipblock_tests::{Binaries, Daemon, Netns, binaries, require_privileged};
use tempfile::TempDir;

/// Reports its arguments, creates its socket and ends on SIGTERM.
const DAEMON: &str = r#"#!/bin/sh
trap 'rm "$2"; echo terminated >&2; exit 0' TERM
echo "started with $*" >&2
echo $$ > "$2"
while :; do sleep 0.02; done
"#;

/// Ends at once.
const BROKEN_DAEMON: &str = "#!/bin/sh\necho 'no such zone' >&2\nexit 2\n";

/// Answers while the process that created the socket lives: the socket of a killed one does not
/// count.
const CTL: &str = r#"#!/bin/sh
kill -0 "$(cat "$2" 2>/dev/null)" 2>/dev/null || exit 4
case "$3" in
    --json) echo '{"revision":7}' ;;
    read) cat ;;
    fail) echo 'no such rule' >&2; exit 2 ;;
esac
"#;

/// Writes an executable by way of `cp`: while this process has a file open for writing, a child that
/// another test forks has it open too, and executing it fails with `ETXTBSY`.
fn script(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let (draft, path) = (dir.path().join("draft"), dir.path().join(name));
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    let copied = Command::new("cp").args([&draft, &path]).status().unwrap();
    assert!(copied.success());
    path
}

fn scripts(dir: &TempDir, daemon: &str) -> Binaries {
    Binaries {
        ipblockd: script(dir, "ipblockd", daemon),
        ipblock_ctl: script(dir, "ipblock-ctl", CTL),
    }
}

#[test]
fn a_daemon_is_started_killed_restarted_and_cleared_away() -> anyhow::Result<()> {
    let root = require_privileged!();
    let dir = TempDir::new()?;
    let netns = Arc::new(Netns::new(root)?);
    let mut daemon = Daemon::in_netns(root, &netns)
        .binaries(scripts(&dir, DAEMON))
        .interface("host0=native@default")
        .start()?;
    let pid = daemon.pid().unwrap();
    assert!(daemon.log().contains("--interface host0=native@default"));

    assert_eq!(daemon.ctl_json("status")?["revision"], 7);
    assert_eq!(daemon.ctl_with_input("read", "block")?.ok()?, "block");
    let failed = daemon.ctl("fail")?;
    assert_eq!((failed.code, failed.stderr.trim_end()), (2, "no such rule"));
    assert!(failed.ok().is_err());

    daemon.kill()?;
    assert!(!daemon.log().contains("terminated"));
    daemon.start()?;
    daemon.restart()?;
    assert_ne!(daemon.pid(), Some(pid));
    assert_eq!(daemon.log().matches("started with").count(), 3);
    assert!(daemon.terminate()?.success());
    assert_eq!(daemon.ctl("status")?.code, 4);

    daemon.start()?;
    let process = Path::new("/proc").join(daemon.pid().unwrap().to_string());
    let bpffs = daemon.bpffs().to_owned();
    assert!(process.exists() && bpffs.exists());
    drop(daemon);
    assert!(!process.exists() && !bpffs.exists());
    Ok(())
}

#[test]
fn a_daemon_that_does_not_start_is_reported_with_its_log() -> anyhow::Result<()> {
    let root = require_privileged!();
    let dir = TempDir::new()?;
    let netns = Arc::new(Netns::new(root)?);
    let error = Daemon::in_netns(root, &netns)
        .binaries(scripts(&dir, BROKEN_DAEMON))
        .start()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("exit status: 2") && error.contains("no such zone"),
        "{error}"
    );
    Ok(())
}

#[test]
fn the_workspaces_binaries_are_built_where_the_tests_are() {
    let Binaries {
        ipblockd,
        ipblock_ctl,
    } = binaries();
    assert!(ipblockd.is_file() && ipblock_ctl.is_file());
    assert_eq!(ipblockd.parent(), ipblock_ctl.parent());
    let test = std::env::current_exe().unwrap();
    assert!(test.starts_with(ipblockd.parent().unwrap()));
}
