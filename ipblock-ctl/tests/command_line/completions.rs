//! The completion script, in a real bash.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::fake_daemon::{FakeDaemon, answer};

/// Returns bash's completions of the last of `words`.
fn completed(daemon: &FakeDaemon, words: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_ipblock-ctl"));
    let directory = program.parent().expect("a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let script = "\
source <(ipblock-ctl completions bash)
COMP_WORDS=(\"$@\") COMP_CWORD=$(($# - 1)) COMP_TYPE=9 COMP_LINE=$* COMP_POINT=${#COMP_LINE}
_clap_complete_ipblock_ctl ipblock-ctl \"${@: -1}\" \"${@: -2:1}\"
printf '%s\\n' \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash"])
        .args(words)
        .env("PATH", format!("{}:{path}", directory.display()))
        .env("IPBLOCK_SOCKET", daemon.socket())
        .output()
        .expect("bash");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn rule(name: &str) -> Value {
    json!({"name": name, "action": "block", "enabled": true, "match": [], "except": [],
        "expires": null, "note": "", "zones": [], "alert": false, "entries": 0, "packets": 0, "bytes": 0, "excepted": 0,
        "last_hit": null, "state": "deployed"})
}

#[test]
fn options_complete_behind_a_subcommand() {
    let daemon = FakeDaemon::start(vec![]);
    let offered = completed(&daemon, &["ipblock-ctl", "rule", "edit", "--add-m"]);
    assert_eq!(offered, ["--add-match"]);
    let offered = completed(&daemon, &["ipblock-ctl", "bans", "--s"]);
    assert!(offered.contains(&"--sort".to_owned()), "{offered:?}");
}

#[test]
fn values_complete_behind_an_option() {
    let daemon = FakeDaemon::start(vec![]);
    let words = ["ipblock-ctl", "rule", "add", "x", "--action", ""];
    let offered = completed(&daemon, &words);
    assert_eq!(offered, ["block", "warn"]);
    let offered = completed(&daemon, &["ipblock-ctl", "export", "--format", ""]);
    assert!(offered.contains(&"ipset".to_owned()), "{offered:?}");
}

#[test]
fn names_of_rules_complete() {
    let rules = json!([rule("abuse"), rule("absent"), rule("scan")]);
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/rules*", 200, rules)]);
    for words in [["rule", "edit", "ab"], ["rule", "remove", "ab"]] {
        let offered = completed(&daemon, &[&["ipblock-ctl"][..], &words].concat());
        assert_eq!(offered, ["abuse", "absent"], "{words:?}");
    }
}

#[test]
fn names_of_interfaces_complete() {
    let daemon = FakeDaemon::start(vec![]);
    assert_eq!(completed(&daemon, &["ipblock-ctl", "attach", "l"]), ["lo"]);
}

#[test]
fn a_completion_without_a_daemon_is_silent() {
    let mut daemon = FakeDaemon::start(vec![]);
    daemon.stop();
    let offered = completed(&daemon, &["ipblock-ctl", "rule", "edit", "ab"]);
    assert!(offered.iter().all(String::is_empty), "{offered:?}");
}
