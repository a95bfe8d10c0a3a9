//! `rule edit` with an editor.

use std::{fs, path::Path};

use assert_cmd::assert::Assert;
use serde_json::json;

use crate::{
    failure,
    fake_daemon::{self, FakeDaemon, answer},
    ipblock_ctl, staged, stderr,
};

/// An "editor" that appends a line, under a directory for temporary files of its own.
fn edited_rule(daemon: &FakeDaemon, editor: &str, directory: &Path) -> Assert {
    ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .env("EDITOR", editor)
        .env("TMPDIR", directory)
        .args(["rule", "edit", "abuse"])
        .assert()
}

const APPEND: &str = "f() { printf 'note = \"x\"\\n' >> \"$1\"; }; f";

fn rule_text() -> fake_daemon::Answer {
    let toml = json!({"toml": "name = \"abuse\"\n"});
    answer("GET", "/v1/rules/abuse/toml", 200, toml)
}

#[test]
fn a_rule_is_edited_as_text() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = FakeDaemon::start(vec![
        rule_text(),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
    ]);
    edited_rule(&daemon, APPEND, directory.path()).code(0);
    assert_eq!(
        daemon.requests()[1].body["edits"][0],
        json!({"edit": "replace_rule", "name": "abuse",
            "toml": "name = \"abuse\"\nnote = \"x\"\n"})
    );
    let left = fs::read_dir(directory.path()).expect("a directory").count();
    assert_eq!(left, 0, "the draft is gone");
}

#[test]
fn an_unchanged_rule_is_not_sent() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = FakeDaemon::start(vec![rule_text()]);
    let assert = edited_rule(&daemon, "true", directory.path()).code(0);
    assert_eq!(stderr(&assert), "nothing was changed\n");
    assert_eq!(daemon.requests().len(), 1);
}

#[test]
fn a_refused_text_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = FakeDaemon::start(vec![
        rule_text(),
        answer("POST", "/v1/staged/edits", 422, failure("invalid")),
    ]);
    let assert = edited_rule(&daemon, APPEND, directory.path()).code(2);
    let kept = directory.path().join("ipblock-rule-abuse-");
    let text = stderr(&assert);
    assert!(
        text.contains(&format!("      your text is kept in {}", kept.display())),
        "{text}"
    );
    let entry = fs::read_dir(directory.path())
        .expect("a directory")
        .next()
        .expect("a file")
        .expect("a file");
    let draft = fs::read_to_string(entry.path()).expect("text");
    assert_eq!(draft, "name = \"abuse\"\nnote = \"x\"\n");
}

#[test]
fn an_editor_that_fails_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = FakeDaemon::start(vec![rule_text()]);
    let assert = edited_rule(&daemon, "false", directory.path()).code(1);
    assert!(
        stderr(&assert).starts_with("error: the editor `false` ended with exit status: 1\n"),
        "{}",
        stderr(&assert)
    );
}
