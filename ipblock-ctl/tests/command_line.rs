//! `ipblock-ctl` as scripts see it: a daemon that gives canned answers, and what the command
//! sends, prints and exits with.

#![expect(
    clippy::expect_used,
    reason = "only test functions are exempt, and these stand beside them"
)]

mod fake_daemon;

use std::{
    fs,
    io::Read as _,
    os::unix::{fs::PermissionsExt as _, net::UnixListener, process::CommandExt as _},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use assert_cmd::assert::Assert;
use fake_daemon::{FakeDaemon, answer};
use serde_json::{Value, json};

/// A command that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// The command, cut off from the environment of the test.
fn ipblock_ctl() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"));
    command
        .timeout(DEADLINE)
        .env_remove("IPBLOCK_SOCKET")
        .env_remove("NO_COLOR")
        .env_remove("VISUAL")
        .env_remove("EDITOR")
        .env("TZ", "UTC");
    command
}

fn run(daemon: &FakeDaemon, arguments: &[&str]) -> Assert {
    ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(arguments)
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
    json!({"revision": 8, "changed": true, "rules": 1, "entries": 2, "build_ms": 3, "switch_ms": 1})
}

fn failure(kind: &str) -> Value {
    json!({"kind": kind, "message": "it was refused", "hint": "do this\nor that"})
}

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

/// As root the command runs as another user, from a place where that user can read it: root may
/// open every socket.
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
        fs::copy(env!("CARGO_BIN_EXE_ipblock-ctl"), &copy).expect("a copy");
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
        let assert = run(&daemon, &["deploy"]).code(code);
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
    let assert = run(&daemon, &["diff"]).code(1);
    assert!(stderr(&assert).contains("answer to GET /v1/diff is not understood"));
    let assert = run(&daemon, &["counters"]).code(1);
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
                "force": false})
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

#[test]
fn staging_says_what_comes_next() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 200, staged(3))]);
    let assert = run(
        &daemon,
        &[
            "rule",
            "add",
            "abuse",
            "--action",
            "block",
            "--match",
            "192.0.2.0/24",
            "@feed",
            "--except",
            "192.0.2.7",
            "--for",
            "2h",
            "--note",
            "ticket 42",
            "--zone",
            "dmz",
        ],
    )
    .code(0);
    assert_eq!(stdout(&assert), "added rule `abuse`\n");
    assert_eq!(
        stderr(&assert),
        "staged (3 edits). next: ipblock-ctl diff, then ipblock-ctl deploy\n"
    );
    assert_eq!(
        daemon.requests()[0].body,
        json!({"force": false, "edits": [{
            "edit": "add_rule", "name": "abuse", "action": "block",
            "match": ["192.0.2.0/24", "@feed"], "except": ["192.0.2.7"],
            "expires": {"after": 7200}, "note": "ticket 42", "alert": false, "disabled": false,
            "zones": ["dmz"],
        }]})
    );
}

#[test]
fn staging_and_deploying_in_one_sends_both() {
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/staged/edits", 200, staged(3)),
        answer("POST", "/v1/deploy", 200, deployed()),
    ]);
    let arguments = [
        "rule",
        "promote",
        "abuse",
        "--deploy",
        "--comment",
        "now",
        "--force",
    ];
    let assert = run(&daemon, &arguments).code(0);
    assert_eq!(
        stdout(&assert),
        "added rule `abuse`\n\
         deployed revision 8: 1 rule, 2 entries (built in 3 ms, switched in 1 ms)\n"
    );
    assert_eq!(
        stderr(&assert),
        "deploys 2 edits that were staged before, too\n"
    );
    let sent = daemon.requests();
    assert_eq!(sent[0].body["force"], json!(true));
    assert_eq!(sent[0].body["edits"][0]["action"], json!("block"));
    assert_eq!(sent[1].body, json!({"comment": "now", "force": true}));

    let assert = run(&daemon, &["rule", "promote", "abuse", "--deploy", "--json"]).code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("one JSON value");
    assert_eq!(printed, deployed());
    assert_eq!(stderr(&assert), "");
}

#[test]
fn a_refused_deploy_says_that_the_edits_stay_staged() {
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/staged/edits", 200, staged(1)),
        answer("POST", "/v1/deploy", 409, failure("conflict")),
    ]);
    let assert = run(&daemon, &["allow", "remove", "192.0.2.1", "--deploy"]).code(3);
    assert!(
        stderr(&assert).contains("      the edits stay staged: "),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn a_second_rule_with_the_same_action_exits_with_3_and_the_choices() {
    let refusal = json!({"kind": "conflict", "message": "rule `block` blocks already",
        "hint": "ipblock-ctl rule edit block --add-match 192.0.2.1"});
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 409, refusal)]);
    let arguments = ["rule", "add", "--action", "block", "--match", "192.0.2.1"];
    let assert = run(&daemon, &arguments).code(3);
    assert_eq!(
        stderr(&assert),
        "error: rule `block` blocks already\n\
         hint: ipblock-ctl rule edit block --add-match 192.0.2.1\n"
    );
}

#[test]
fn json_is_printed_as_the_daemon_sent_it() {
    let zones = json!([{"name": "default", "default": "pass", "malformed": "drop", "allow": [],
        "interfaces": ["eth0"], "state": "deployed"}]);
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/zones", 200, zones.clone())]);
    let assert = run(&daemon, &["zone", "list", "--json"]).code(0);
    assert!(stdout(&assert).starts_with("[\n  {\n    \"name\": \"default\",\n"));
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(printed, zones);
    let assert = run(&daemon, &["zone", "show", "lan"]).code(2);
    assert_eq!(
        stderr(&assert),
        "error: there is no zone `lan`\nhint: the zones are: default\n"
    );
}

#[test]
fn colour_is_off_in_pipes_and_on_when_asked_for() {
    let refusal = || answer("GET", "/v1/diff", 500, failure("failed"));
    let daemon = FakeDaemon::start(vec![refusal()]);
    assert!(!stderr(&run(&daemon, &["diff"]).code(1)).contains('\x1b'));
    let assert = run(&daemon, &["diff", "--color", "always"]).code(1);
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
    let assert = run(&daemon, &["detach", "wan#0"]).code(0);
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
        stdout(&run(&daemon, &["discard"]).code(0)),
        "discarded 2 edits\n"
    );
    assert_eq!(stdout(&run(&daemon, &["export", "--staged"]).code(0)), toml);
}

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
