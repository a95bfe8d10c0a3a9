//! The rights of root, of two groups, and of other users.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    process::Command,
};

use ipblock_tests::{
    Binaries, CtlOutput, Daemon, VethOptions, VethPair, binaries, require_privileged,
};
use tempfile::TempDir;

use crate::{
    answers::{apply, count_of, status},
    scenario::{BLOCK, Scene, marked},
};

/// Groups of a machine on which the package is installed.
const GROUPS: &str = "root:x:0:\nipblock:x:64101:\nipblock-view:x:64102:\nstaff:x:64103:\n";

/// A copy of a program that everyone can reach.
struct Program {
    path: PathBuf,
    _directory: TempDir,
}

impl Program {
    fn for_everyone(program: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        fs::set_permissions(directory.path(), everyone())?;
        let path = directory.path().join("program");
        // By `cp`: a file that this process has open for writing is open in children that other
        // tests fork meanwhile too, and cannot be executed then (ETXTBSY).
        let copied = Command::new("cp").arg(program).arg(&path).status()?;
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
    let scene = Scene::attached_with(require_privileged!(), "native", |daemon| {
        daemon.group_file(GROUPS)
    })?;
    apply(&scene.daemon, BLOCK)?;
    // The path to the socket is accessible, so the daemon itself refuses.
    let socket = scene.daemon.socket();
    fs::set_permissions(socket.parent().unwrap(), everyone())?;
    let program = Program::for_everyone(&binaries().ipblock_ctl)?;

    let look: [&[&str]; 3] = [&["status"], &["check", "192.0.2.7"], &["diff"]];
    let directory = tempfile::tempdir()?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777))?;
    let backup = directory.path().join("backup");
    let change: [&[&str]; 4] = [
        &["rule", "edit", "abuse", "--note", "by a member"],
        &["ban", "192.0.2.7", "--for", "1h"],
        // It only reads, but everything in one file.
        &["backup", backup.to_str().unwrap()],
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
        for (commands, may) in [(&look[..], may_look), (&change[..], may_change)] {
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
    let audit = scene.daemon.ctl("audit")?.ok()?;
    assert!(audit.contains("uid 64200"), "{audit}");
    assert_eq!(status(&scene.daemon)?.revision, 1);
    Ok(())
}

#[test]
fn a_wrong_path_or_method_is_not_found() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
    for route in [
        "GET /v1/nope",
        "GET /v1/lists/a/accept",
        "POST /v1/status",
        "POST /v1/backup",
        "GET /v1/restore",
        "DELETE /v1/check",
    ] {
        let mut stream = UnixStream::connect(daemon.socket())?;
        let head = "HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        write!(stream, "{route} {head}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{route}: {answer}");
        assert!(answer.contains(&format!("no route {route}")), "{answer}");
    }
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
    let program = Program::for_everyone(&binaries().ipblock_ctl)?;
    let output = program.run(&daemon, 64101, "64102", &["status"])?;
    assert_eq!(output.code, 5, "{output:?}");
    Ok(())
}

#[test]
fn panic_off_needs_root() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns).start()?;
    let program = Program::for_everyone(&binaries().ipblock_ctl)?;
    let output = program.run(&daemon, 64101, "", &["panic-off"])?;
    assert_eq!(output.code, 5, "{output:?}");
    assert!(output.stderr.contains("panic-off needs root"), "{output:?}");
    Ok(())
}

/// `CAP_NET_ADMIN`, `CAP_PERFMON` and `CAP_BPF` of include/uapi/linux/capability.h.
const NEEDED: u64 = 1 << 12 | 1 << 38 | 1 << 39;

/// Capabilities of the daemon's threads.
fn assert_has_what_is_needed_alone(daemon: &Daemon) -> anyhow::Result<()> {
    let pid = daemon.pid().unwrap();
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        for (set, expected) in [
            ("CapInh:", 0),
            ("CapPrm:", NEEDED),
            ("CapEff:", NEEDED),
            ("CapAmb:", 0),
        ] {
            let line = status.lines().find_map(|line| line.strip_prefix(set));
            let bits = u64::from_str_radix(line.unwrap().trim(), 16)?;
            assert_eq!(bits, expected, "{set} {bits:x}");
        }
        threads += 1;
    }
    assert!(threads > 1);
    Ok(())
}

fn works(scene: &mut Scene) -> anyhow::Result<()> {
    assert_has_what_is_needed_alone(&scene.daemon)?;
    apply(&scene.daemon, BLOCK)?;
    scene.daemon.ctl("ban 198.51.100.7 --for 1h")?.ok()?;
    let frames = [
        marked("203.0.113.7", 1),
        marked("198.51.100.7", 2),
        marked("192.0.2.7", 3),
    ];
    scene.send(&frames, 5)?;
    scene.judged(15)?;
    scene.daemon.kill()?;
    scene.send(&frames, 5)?;
    scene.daemon.start()?;
    assert_has_what_is_needed_alone(&scene.daemon)?;
    let interface = scene.interface().to_owned();
    scene
        .daemon
        .ctl("rule edit abuse --note again --deploy")?
        .ok()?;
    scene.send(&frames, 5)?;
    let counters = scene.judged(45)?;
    assert_eq!(count_of(&counters, "abuse").packets, 15);
    assert_eq!(counters.bans.packets, 15);
    assert_eq!(scene.receiver.count(3), 15);
    scene.daemon.ctl(["detach", &interface])?.ok()?;
    scene.daemon.ctl(["attach", &interface])?.ok()?;
    assert!(!scene.daemon.log().contains("could not be given up"));
    Ok(())
}

#[test]
fn the_daemon_works_as_its_own_user_with_three_capabilities() -> anyhow::Result<()> {
    let root = require_privileged!();
    let program = Program::for_everyone(&binaries().ipblockd)?;
    let binaries = Binaries {
        ipblockd: program.path.clone(),
        ..binaries().clone()
    };
    let mut scene = Scene::attached_with(root, "native", |daemon| {
        daemon.binaries(binaries).as_user(64_300)
    })?;
    works(&mut scene)
}

#[test]
fn started_by_root_the_daemon_gives_up_all_but_three_capabilities() -> anyhow::Result<()> {
    works(&mut Scene::attached(require_privileged!(), "native")?)
}
