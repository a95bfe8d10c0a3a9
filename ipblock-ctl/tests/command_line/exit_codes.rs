//! The exit code of each kind of failure.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener, process::CommandExt as _},
    process::Command,
};

use serde_json::json;

use crate::{
    DEADLINE, failure,
    fake_daemon::{FakeDaemon, answer},
    ipblock_ctl, run, stderr, stdout,
};

#[test]
fn a_socket_that_nobody_listens_on_exits_with_4() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = directory.path().join("missing.sock");
    let dead = directory.path().join("dead.sock");
    drop(UnixListener::bind(&dead).expect("a socket"));
    for socket in [missing, dead] {
        let assert = ipblock_ctl()
            .arg("--socket")
            .arg(&socket)
            .arg("status")
            .assert()
            .code(4);
        let text = stderr(&assert);
        let start = format!("error: cannot reach ipblockd at {}: ", socket.display());
        assert!(text.starts_with(&start), "{text}");
        assert!(
            text.contains("\nhint: start the daemon with `systemctl start ipblockd`, or "),
            "{text}"
        );
        assert_eq!(stdout(&assert), "");
    }
}

/// As root the test runs the command as another user, from a directory that this user can read:
/// root may open every socket.
#[test]
fn a_socket_that_may_not_be_opened_exits_with_5() {
    const NOBODY: u32 = 65_534;
    let directory = tempfile::tempdir().expect("a directory");
    let everyone = fs::Permissions::from_mode(0o755);
    fs::set_permissions(directory.path(), everyone).expect("permissions");
    let socket = directory.path().join("closed.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).expect("permissions");
    let mut command = if nix::unistd::geteuid().is_root() {
        let copy = directory.path().join("ipblock-ctl");
        // With `cp`: a file that this process has open for writing is also open in children that
        // other tests fork meanwhile, and cannot be executed then (ETXTBSY).
        let copied = Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_ipblock-ctl"))
            .arg(&copy)
            .status();
        assert!(copied.expect("cp runs").success());
        let mut command = Command::new(copy);
        command.uid(NOBODY).gid(NOBODY);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
    };
    command.arg("--socket").arg(&socket).arg("status");
    let assert = assert_cmd::Command::from_std(command)
        .timeout(DEADLINE)
        .assert()
        .code(5);
    assert_eq!(
        stderr(&assert),
        format!(
            "error: not permitted to open {}\n\
             hint: run the command as root, for example with sudo\n",
            socket.display()
        )
    );
}

#[test]
fn the_kind_of_a_refusal_decides_the_exit_code() {
    for (kind, status, code) in [
        ("failed", 500, 1),
        ("invalid", 422, 2),
        ("not_found", 404, 2),
        ("conflict", 409, 3),
        ("not_permitted", 403, 5),
    ] {
        let daemon = FakeDaemon::start(vec![answer("POST", "/v1/deploy", status, failure(kind))]);
        let assert = run(&daemon, "deploy").code(code);
        assert_eq!(
            stderr(&assert),
            "error: it was refused\nhint: do this\n      or that\n",
            "{kind}"
        );
        assert_eq!(stdout(&assert), "", "{kind}");
    }
}

#[test]
fn an_answer_that_is_not_understood_is_a_failure() {
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/diff", 200, json!({"rules": 3}))]);
    let assert = run(&daemon, "diff").code(1);
    assert!(stderr(&assert).contains("answer to GET /v1/diff is not understood"));
    let assert = run(&daemon, "counters").code(1);
    assert!(stderr(&assert).contains("status 404 Not Found without a reason"));
}

#[test]
fn a_dry_run_that_would_change_something_exits_with_6() {
    let diff = json!({
        "rules": [{"name": "abuse", "change": "added", "detail": []}],
        "addresses": {"newly_blocked": "256", "newly_passed": "0"},
        "entries": {"before": 0, "after": 1}, "warnings": [], "cut_peers": [],
    });
    for (changed, code) in [(true, 6), (false, 0)] {
        let applied = json!({"diff": diff, "changed": changed, "deployed": null});
        let daemon = FakeDaemon::start(vec![answer("POST", "/v1/apply", 200, applied)]);
        ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .args(["apply", "-", "--dry-run", "--comment", "why"])
            .write_stdin("[allow]\n")
            .assert()
            .code(code);
        let sent = daemon.requests();
        assert_eq!(
            sent[0].body,
            json!({"ruleset": "[allow]\n", "file": "<stdin>", "dry_run": true, "comment": "why",
                "confirm_within": null, "force": false, "wide": false})
        );
    }
}

#[test]
fn a_file_that_does_not_exist_is_bad_input() {
    let assert = ipblock_ctl()
        .args(["apply", "/nonexistent/rules.toml"])
        .assert()
        .code(2);
    assert!(
        stderr(&assert).starts_with("error: cannot read /nonexistent/rules.toml: "),
        "{}",
        stderr(&assert)
    );
}
