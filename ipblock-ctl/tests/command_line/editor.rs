//! `rule edit` with an editor.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use assert_cmd::assert::Assert;
use serde_json::json;

use crate::{
    failure,
    fake_daemon::{self, FakeDaemon, answer},
    ipblock_ctl, staged, stderr,
    terminal::{Ended, Terminal},
};

/// Runs an "editor" that appends a line, with its own directory for temporary files.
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
    let kept = kept_draft(directory.path());
    let shown = kept.display();
    let go_on = format!(
        "      your text is kept in {shown}\n      \
         to go on with it: ipblock-ctl rule edit abuse --from {shown}\n"
    );
    let text = stderr(&assert);
    assert!(text.ends_with(&go_on), "{text}");
    let draft = fs::read_to_string(kept).expect("text");
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

/// Returns the only file in the directory.
fn kept_draft(directory: &Path) -> PathBuf {
    let mut files = fs::read_dir(directory).expect("a directory");
    let file = files.next().expect("a file").expect("a file");
    assert!(files.next().is_none(), "one draft");
    file.path()
}

/// Creates an editor that records its arguments and adds a line.
fn editor_in(directory: &Path, name: &str) -> PathBuf {
    let path = directory.join(name);
    let script = format!(
        "#!/bin/sh\necho \"{name} $*\" >> {}\neval \"file=\\${{$#}}\"\n\
         echo 'note = \"x\"' >> \"$file\"\n",
        directory.join("calls").display()
    );
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    path
}

#[test]
fn visual_comes_before_editor_and_an_editor_may_have_arguments() {
    let directory = tempfile::tempdir().expect("a directory");
    let drafts = tempfile::tempdir().expect("a directory");
    let code = editor_in(directory.path(), "code");
    let other = editor_in(directory.path(), "other");
    let daemon = FakeDaemon::start(vec![
        rule_text(),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
    ]);
    let edit = |visual: &OsStr| {
        ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .env("VISUAL", visual)
            .env("EDITOR", &other)
            .env("TMPDIR", drafts.path())
            .args(["rule", "edit", "abuse"])
            .assert()
            .code(0);
    };
    edit(format!("{} --wait", code.display()).as_ref());
    edit("".as_ref());
    let calls = fs::read_to_string(directory.path().join("calls")).expect("text");
    let calls: Vec<&str> = calls.lines().collect();
    let draft = drafts.path().join("ipblock-rule-abuse-");
    assert_eq!(calls.len(), 2);
    let first = format!("code --wait {}", draft.display());
    assert!(calls[0].starts_with(&first), "{calls:?}");
    let second = format!("other {}", draft.display());
    assert!(calls[1].starts_with(&second), "{calls:?}");
}

#[test]
fn without_an_editor_it_is_vi_and_without_vi_it_says_what_to_set() {
    let directory = tempfile::tempdir().expect("a directory");
    let vi = editor_in(directory.path(), "vi");
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", directory.path().display());
    let daemon = FakeDaemon::start(vec![
        rule_text(),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
    ]);
    let edit = |path: &str| {
        ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .env("PATH", path)
            .args(["rule", "edit", "abuse"])
            .assert()
    };
    edit(&path).code(0);
    let calls = fs::read_to_string(directory.path().join("calls")).expect("text");
    assert!(calls.starts_with("vi "), "{calls}");

    // A directory with a shell and nothing else.
    fs::remove_file(vi).expect("removed");
    let shell = directory.path().join("sh");
    std::os::unix::fs::symlink("/bin/sh", shell).expect("a link");
    let assert = edit(&directory.path().display().to_string()).code(1);
    let text = stderr(&assert);
    assert!(
        text.ends_with(
            "error: the editor `vi` is not there\n\
             hint: set EDITOR, or edit with flags: ipblock-ctl rule edit --help\n"
        ),
        "{text}"
    );
}

#[test]
fn an_empty_text_stages_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = FakeDaemon::start(vec![rule_text()]);
    let empty = "f() { echo > \"$1\"; }; f";
    let assert = edited_rule(&daemon, empty, directory.path()).code(0);
    assert_eq!(
        stderr(&assert),
        "the text is empty: nothing was changed. `ipblock-ctl rule remove abuse` removes the rule\n"
    );
    assert_eq!(daemon.requests().len(), 1);
}

#[test]
fn an_editor_that_fails_after_a_change_keeps_the_text() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = FakeDaemon::start(vec![rule_text()]);
    let failing = "f() { echo x >> \"$1\"; exit 1; }; f";
    let assert = edited_rule(&daemon, failing, directory.path()).code(1);
    let kept = kept_draft(directory.path());
    let text = stderr(&assert);
    let start = format!("your text is kept in {}\n", kept.display());
    assert!(text.starts_with(&start), "{text}");
    assert_eq!(daemon.requests().len(), 1, "nothing was staged");
}

#[test]
fn a_kept_text_is_gone_on_with() {
    let directory = tempfile::tempdir().expect("a directory");
    let kept = directory.path().join("kept.toml");
    fs::write(&kept, "name = \"kept\"\n").expect("written");
    let daemon = FakeDaemon::start(vec![
        rule_text(),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
    ]);
    let run = |arguments: &[&str]| {
        ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .env("EDITOR", APPEND)
            .args(["rule", "edit", "abuse", "--from"])
            .arg(&kept)
            .args(arguments)
            .assert()
    };
    run(&[]).code(0);
    assert_eq!(
        daemon.requests()[1].body["edits"][0],
        json!({"edit": "replace_rule", "name": "abuse",
            "toml": "name = \"kept\"\nnote = \"x\"\n"})
    );
    let assert = run(&["--disable"]).code(2);
    assert!(stderr(&assert).contains("--from opens the editor"));
    assert_eq!(daemon.requests().len(), 2);
}

const PROBLEM: &str = "rule abuse:2:8: note: a text was expected";

/// Edits on a terminal, with a daemon that refuses once, and answers the question.
fn refused_on_a_terminal(keys: &str, directory: &Path) -> (FakeDaemon, Ended) {
    let refusal = json!({"kind": "invalid", "message": PROBLEM, "hint": "write note = \"...\""});
    let daemon = FakeDaemon::start(vec![
        rule_text(),
        answer("POST", "/v1/staged/edits", 422, refusal),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
    ]);
    let environment = [
        ("EDITOR", OsStr::new(APPEND)),
        ("TMPDIR", directory.as_os_str()),
    ];
    let arguments = "rule edit abuse --color never";
    let mut terminal = Terminal::run_with(&daemon, arguments, &environment);
    terminal.answer("Which? [1]", keys);
    (daemon, terminal.end())
}

#[test]
fn after_a_refusal_the_operator_edits_again() {
    for keys in ["1\n", "\n"] {
        let directory = tempfile::tempdir().expect("a directory");
        let (daemon, ended) = refused_on_a_terminal(keys, directory.path());
        assert_eq!(ended.code, Some(0), "{}", ended.screen);
        assert!(ended.screen.contains(PROBLEM), "{}", ended.screen);
        let requests = daemon.requests();
        let last = &requests.last().expect("a request").body["edits"][0];
        let twice = "name = \"abuse\"\nnote = \"x\"\nnote = \"x\"\n";
        assert_eq!(
            last["toml"], twice,
            "the editor had the text of the first time"
        );
        let left = fs::read_dir(directory.path()).expect("a directory").count();
        assert_eq!(left, 0, "the draft is gone");
    }
}

#[test]
fn after_a_refusal_the_operator_stops_and_finds_the_text_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let (daemon, ended) = refused_on_a_terminal("2\n", directory.path());
    assert_eq!(ended.code, Some(3), "{}", ended.screen);
    assert_eq!(daemon.requests().len(), 2);
    let kept = kept_draft(directory.path());
    let screen = ended.written.replace(&kept.display().to_string(), "DRAFT");
    let screen = screen.replace("\r\n", "\n");
    insta::assert_snapshot!(screen, @r#"
    error: rule abuse:2:8: note: a text was expected
    hint: write note = "..."
      1  edit again
      2  stop, and keep the text in DRAFT
    Which? [1] 2
    error: stopped, nothing was staged
    hint: your text is kept in DRAFT
          to go on with it: ipblock-ctl rule edit abuse --from DRAFT
    "#);
}
