//! Who may do what: root, two groups, and nobody else.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use ipblock_tests::{CtlOutput, Daemon, VethOptions, VethPair, binaries, require_privileged};
use tempfile::TempDir;

use crate::{
    answers::{apply, status},
    scenario::{BLOCK, Scene},
};

/// Groups of a machine on which the package is installed.
const GROUPS: &str = "root:x:0:\nipblock:x:64101:\nipblock-view:x:64102:\nstaff:x:64103:\n";

/// A copy of `ipblock-ctl` that everyone can reach.
struct Program {
    path: PathBuf,
    _directory: TempDir,
}

impl Program {
    fn for_everyone() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), everyone())?;
        let path = directory.path().join("ipblock-ctl");
        // By `cp`: a file that this process has open for writing is open in children that other
        // tests fork meanwhile too, and cannot be executed then (ETXTBSY).
        let mut copy = Command::new("cp");
        let copied = copy.arg(&binaries().ipblock_ctl).arg(&path).status()?;
        assert!(copied.success());
        fs::set_permissions(&path, everyone())?;
        Ok(Self {
            path,
            _directory: directory,
        })
    }

    /// Runs it as this user, whose first group is `group`.
    fn run(
        &self,
        daemon: &Daemon,
        group: u32,
        supplementary: &str,
        command: &[&str],
    ) -> anyhow::Result<CtlOutput> {
        let groups = match supplementary {
            "" => "--clear-groups".to_owned(),
            groups => format!("--groups={groups}"),
        };
        let output = Command::new("setpriv")
            .args(["--reuid=64200", &format!("--regid={group}"), &groups])
            .arg(&self.path)
            .arg("--socket")
            .arg(daemon.socket())
            .args(command)
            .env("IPBLOCK_SSH_PEER", "none")
            .output()?;
        Ok(CtlOutput {
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
            code: output.status.code().unwrap_or(-1),
        })
    }
}

fn everyone() -> fs::Permissions {
    fs::Permissions::from_mode(0o755)
}

#[test]
fn members_of_the_groups_may_change_or_look_and_others_nothing() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface))
        .group_file(GROUPS)
        .start()?;
    let scene = Scene::of(daemon, pair)?;
    apply(&scene.daemon, BLOCK)?;
    // The way to the socket is open, so that it is the daemon who refuses.
    let socket = scene.daemon.socket();
    fs::set_permissions(socket.parent().unwrap(), everyone())?;
    let program = Program::for_everyone()?;

    let look: [&[&str]; 3] = [&["status"], &["check", "192.0.2.7"], &["diff"]];
    let change: [&[&str]; 3] = [
        &["rule", "edit", "abuse", "--note", "by a member"],
        &["ban", "192.0.2.7", "--for", "1h"],
        &["discard"],
    ];
    for (group, supplementary, may_look, may_change) in [
        (64101, "", true, true),
        (64103, "64103,64101", true, true),
        (64102, "64101", true, true),
        (64102, "", true, false),
        (64103, "64102", true, false),
        (64103, "64103", false, false),
        (65534, "", false, false),
    ] {
        for (commands, may) in [(look, may_look), (change, may_change)] {
            for command in commands {
                let output = program.run(&scene.daemon, group, supplementary, command)?;
                let who = format!("{group} {supplementary} {command:?}: {output:?}");
                assert_eq!(output.code, if may { 0 } else { 5 }, "{who}");
                let refused = match (may, may_look) {
                    (true, _) => continue,
                    (false, true) => "uid 64200 may look at everything and change nothing",
                    (false, false) => "uid 64200 may not talk to ipblockd",
                };
                assert!(output.stderr.contains(refused), "{who}");
                assert!(
                    output.stderr.contains("as a member of group `ipblock"),
                    "{who}"
                );
                assert!(output.stdout.is_empty(), "{who}");
            }
        }
    }
    let audit = scene.daemon.ctl(&["audit"])?.ok()?;
    assert!(audit.contains("uid 64200"), "{audit}");
    assert_eq!(status(&scene.daemon)?.revision, 1);
    Ok(())
}

#[test]
fn where_the_groups_do_not_exist_root_alone_may() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .group_file("root:x:0:\n")
        .start()?;
    fs::set_permissions(daemon.socket().parent().unwrap(), everyone())?;
    let program = Program::for_everyone()?;
    let output = program.run(&daemon, 64101, "64102", &["status"])?;
    assert_eq!(output.code, 5, "{output:?}");
    Ok(())
}

#[test]
fn panic_off_needs_root() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
    let program = Program::for_everyone()?;
    let output = program.run(&daemon, 64101, "", &["panic-off"])?;
    assert_eq!(output.code, 5, "{output:?}");
    assert!(output.stderr.contains("panic-off needs root"), "{output:?}");
    Ok(())
}
