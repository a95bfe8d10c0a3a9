//! `ipblock-ctl` from the point of view of scripts: with a daemon that gives canned answers, the
//! tests check what the command sends and prints, and its exit code.

#![expect(
    clippy::expect_used,
    reason = "only test functions are exempt, and these stand beside them"
)]

mod alerts;
mod ban_owners;
mod bans;
mod completions;
mod completions_in_shells;
mod editor;
mod endless;
mod exchange;
mod exit_codes;
mod fake_daemon;
mod intake;
mod lists;
mod printing;
mod progress;
mod prompt;
mod ssh_peer;
mod staging;
mod terminal;
mod watch;

use std::time::Duration;

use assert_cmd::assert::Assert;
use fake_daemon::FakeDaemon;
use ipblock_tests::Arguments;
use serde_json::{Value, json};

/// A command that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// Returns the command, without the environment of the test.
fn ipblock_ctl() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"));
    command
        .timeout(DEADLINE)
        .env_remove("IPBLOCK_SOCKET")
        .env("IPBLOCK_SSH_PEER", "none")
        .env_remove("NO_COLOR")
        .env_remove("VISUAL")
        .env_remove("EDITOR")
        .env("TZ", "UTC");
    command
}

fn run(daemon: &FakeDaemon, arguments: impl Arguments) -> Assert {
    ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(arguments.list())
        .assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8")
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("UTF-8")
}

fn staged(number: u64) -> Value {
    json!({"staged": number, "base": 7, "done": ["added rule `abuse`"]})
}

fn deployed() -> Value {
    json!({"revision": 8, "changed": true, "rules": 1, "entries": 2, "build_ms": 3, "switch_ms": 1,
        "warnings": []})
}

fn failure(kind: &str) -> Value {
    json!({"kind": kind, "message": "it was refused", "hint": "do this\nor that"})
}
