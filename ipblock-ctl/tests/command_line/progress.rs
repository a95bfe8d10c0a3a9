//! The progress display on a terminal.

use std::{fs, time::Duration};

use serde_json::{Value, json};

use crate::{
    deployed,
    fake_daemon::{FakeDaemon, answer},
    run, staged, stderr,
    terminal::Terminal,
};

/// Long enough to show progress.
const LATE: Duration = Duration::from_millis(900);

/// Whether the spinner turns: one of two successive marks.
fn spins(written: &str, what: &str) -> bool {
    written.contains(&format!(" {what} 0s"))
}

fn applied() -> Value {
    json!({"diff": {"rules": [], "other": [], "addresses": {"newly_blocked": "0",
        "newly_passed": "0"}, "entries": {"before": 0, "after": 0}, "warnings": [],
        "cut_peers": []}, "changed": true, "deployed": deployed()})
}

fn late_daemon(delay: Duration) -> FakeDaemon {
    let ruleset = json!({"revision": 7, "ruleset": "# empty\n"});
    FakeDaemon::start(vec![
        answer("POST", "/v1/deploy", 200, deployed()).after(delay),
        answer("POST", "/v1/apply", 200, applied()).after(delay),
        answer(
            "POST",
            "/v1/restore?dry_run=false&force=false&wide=false",
            200,
            applied(),
        )
        .after(delay),
        answer("POST", "/v1/rollback", 200, applied()).after(delay),
        answer("POST", "/v1/staged/edits", 200, staged(1)).after(delay),
        answer("GET", "/v1/ruleset?which=deployed", 200, ruleset).after(delay),
        answer("GET", "/v1/backup", 200, json!("a database")).after(delay),
    ])
}

#[test]
fn long_work_shows_a_spinner_that_is_gone_afterwards() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("rules.toml");
    fs::write(&file, "# empty\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let backup = directory.path().join("backup.db");
    let backup = backup.to_str().expect("UTF-8");
    for (what, arguments) in [
        ("deploying", &["deploy"][..]),
        ("deploying", &["apply", file]),
        ("restoring", &["restore", file]),
        ("deploying", &["rollback", "3"]),
        ("staging", &["rule", "remove", "abuse"]),
        ("exporting", &["export"]),
        ("fetching the backup", &["backup", backup]),
    ] {
        let ended = Terminal::run(&late_daemon(LATE), arguments).end();
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.screen);
        assert!(
            spins(&ended.written, what),
            "{arguments:?}: {:?}",
            ended.written
        );
        assert!(
            !ended.screen.contains(what),
            "{arguments:?}: {}",
            ended.screen
        );
        assert!(
            !ended.screen.starts_with('\n'),
            "{arguments:?}: {}",
            ended.screen
        );
    }
}

#[test]
fn work_that_is_done_at_once_shows_no_spinner() {
    let ended = Terminal::run(&late_daemon(Duration::ZERO), ["deploy", "--color", "never"]).end();
    assert_eq!(
        ended.written,
        "deployed revision 8: 1 rule, 2 entries (built in 3 ms, switched in 1 ms)\r\n"
    );
}

#[test]
fn beside_json_and_off_a_terminal_nothing_spins() {
    let daemon = late_daemon(LATE);
    let ended = Terminal::run(&daemon, "deploy --json").end();
    let printed: Value = serde_json::from_str(&ended.written).expect("JSON and nothing else");
    assert_eq!(printed, deployed());
    assert_eq!(stderr(&run(&daemon, "deploy").code(0)), "");
}
