//! Standard output, and commands without a daemon.

use std::{
    fs,
    io::Read as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    failure,
    fake_daemon::{FakeDaemon, answer},
    ipblock_ctl, run, stderr, stdout,
};

#[test]
fn json_is_printed_as_the_daemon_sent_it() {
    let zones = json!([{"name": "default", "default": "pass", "malformed": "drop", "allow": [],
        "interfaces": ["eth0"], "state": "deployed"}]);
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/zones", 200, zones.clone())]);
    let assert = run(&daemon, "zone list --json").code(0);
    assert!(stdout(&assert).starts_with("[\n  {\n    \"name\": \"default\",\n"));
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(printed, zones);
    let assert = run(&daemon, "zone show lan").code(2);
    assert_eq!(
        stderr(&assert),
        "error: there is no zone `lan`\nhint: the zones are: default\n"
    );
}

#[test]
fn colour_is_off_in_pipes_and_on_when_asked_for() {
    let refusal = || answer("GET", "/v1/diff", 500, failure("failed"));
    let daemon = FakeDaemon::start(vec![refusal()]);
    assert!(!stderr(&run(&daemon, "diff").code(1)).contains('\x1b'));
    let assert = run(&daemon, "diff --color always").code(1);
    assert!(stderr(&assert).starts_with("\x1b[31merror:\x1b[0m it was refused\n"));
}

#[test]
fn detach_names_the_interface_in_the_path() {
    let daemon = FakeDaemon::start(vec![answer(
        "DELETE",
        "/v1/interfaces/wan%230",
        200,
        Value::Null,
    )]);
    let assert = run(&daemon, "detach wan#0").code(0);
    assert_eq!(stderr(&assert), "wan#0: detached\n");
}

#[test]
fn discard_and_export_print_what_they_got() {
    let nothing = json!({"staged": 0, "base": 7, "done": ["discarded 2 edits"]});
    let toml = "[[rule]]\nname = \"abuse\"\n";
    let daemon = FakeDaemon::start(vec![
        answer("DELETE", "/v1/staged", 200, nothing),
        answer(
            "GET",
            "/v1/ruleset?which=staged",
            200,
            json!({"revision": 7, "ruleset": toml}),
        ),
    ]);
    assert_eq!(
        stdout(&run(&daemon, "discard").code(0)),
        "discarded 2 edits\n"
    );
    assert_eq!(stdout(&run(&daemon, "export --staged").code(0)), toml);
}

#[test]
fn doctor_reports_an_unreachable_daemon_as_an_error() {
    let assert = ipblock_ctl()
        .args(["doctor", "--json", "--socket", "/nonexistent/ipblock.sock"])
        .assert()
        .code(1);
    let findings: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    let daemon = findings
        .as_array()
        .and_then(|findings| findings.iter().find(|finding| finding["check"] == "daemon"))
        .expect("a finding about the daemon");
    assert_eq!(daemon["state"], "error");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let range = "192.0.2.1-192.0.2.254";
    for arguments in [
        &["completions", "bash"][..],
        &["convert", range],
        &["man"],
        &["--help"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        drop(child.stdout.take());
        let mut said = String::new();
        let mut errors = child.stderr.take().expect("a pipe");
        errors.read_to_string(&mut said).expect("UTF-8");
        let status = child.wait().expect("an end");
        assert_eq!(said, "", "{arguments:?}");
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn ranges_are_converted_without_a_daemon() {
    let assert = ipblock_ctl()
        .args(["convert", "192.0.2.1", "192.0.2.10", "--json"])
        .assert()
        .code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(
        printed,
        json!([{
            "input": "192.0.2.1 192.0.2.10",
            "cidrs": ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/30", "192.0.2.8/31",
                "192.0.2.10/32"],
            "addresses": "10",
        }])
    );
    let assert = ipblock_ctl()
        .args(["convert", "192.0.2.9-192.0.2.1"])
        .assert()
        .code(2);
    assert!(
        stderr(&assert).starts_with("error: `192.0.2.9-192.0.2.1`: "),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn lint_names_the_place_of_an_error_and_exits_with_2() {
    let text = "[[rule]]\nname = \"abuse\"\naction = \"block\"\nmatch = [\"192.0.2.1/24\"]\n";
    let assert = ipblock_ctl()
        .args(["lint", "-"])
        .write_stdin(text)
        .assert()
        .code(2);
    assert_eq!(stdout(&assert), "");
    let said = stderr(&assert);
    assert!(said.starts_with("error: <stdin>:4:"), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
    let assert = ipblock_ctl()
        .args(["lint", "-", "--json"])
        .write_stdin(text)
        .assert()
        .code(2);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(printed["errors"][0]["line"], 4);
    assert_eq!(stderr(&assert), "");
}

#[test]
fn a_full_disk_is_an_error() {
    let full = fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
        .args(["completions", "bash"])
        .stdout(full)
        .output()
        .expect("a process");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        said.starts_with("error: cannot write to standard output: "),
        "{said}"
    );
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let directory = tempfile::tempdir().expect("a directory");
    let pages = directory.path().join("man1");
    ipblock_ctl()
        .args(["man", "--dir"])
        .arg(&pages)
        .assert()
        .code(0);
    for page in [
        "ipblock-ctl.1",
        "ipblock-ctl-rule-add.1",
        "ipblock-ctl-zone-set.1",
    ] {
        assert!(pages.join(page).is_file(), "{page}");
    }
}

/// B12: what `awk '{print $4}'` prints must not depend on the content or the environment.
#[test]
fn a_table_in_a_pipe_has_every_column_whatever_columns_says() {
    let revision = |comment: &str, state: &str| {
        json!({"revision": 7, "time": "2026-10-01T12:00:07Z", "author": "uid 0 (root)",
            "comment": comment, "rules": 3, "entries": 1, "state": state})
    };
    let long = "a comment that is longer than what fits into a line of a terminal of 80 columns";
    let revisions = json!([revision(long, "rolled-back"), revision("", "deployed")]);
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/history", 200, revisions)]);
    for columns in ["40", "80", "200"] {
        let output = ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .env("COLUMNS", columns)
            .arg("history")
            .assert()
            .code(0);
        let expected = format!(
            "REV  STATE        TIME                 AUTHOR        RULES  ENTRIES  COMMENT\n\
             {0:>3}  rolled-back  2026-10-01 12:00:07  uid 0 (root)      3        1  {long}\n\
             {0:>3}  deployed     2026-10-01 12:00:07  uid 0 (root)      3        1  -\n",
            7
        );
        assert_eq!(stdout(&output), expected);
    }
}
