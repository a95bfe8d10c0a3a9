//! Completion in the shells themselves: the line on a terminal after TAB.

use std::{ffi::OsStr, path::Path, process::Command};

use ipblock_tests::Size;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    fake_daemon::{FakeDaemon, answer},
    terminal::Terminal,
};

/// Wide enough for a line with the path of a socket.
const WIDE: Size = Size(200, 24);
const CLEAR_LINE: &str = "\u{15}";

/// Lines that are completed, and what they become.
const CASES: [(&str, &str); 14] = [
    ("rul", "rule"),
    ("rule edit --add-m", "rule edit --add-match"),
    ("rule add x --action blo", "rule add x --action block"),
    ("rule add x --action=blo", "rule add x --action=block"),
    ("rule show absen", "rule show absent"),
    ("rule show a.b", "rule show a.b_c-d"),
    (
        "rule edit abuse --add-match @offi",
        "rule edit abuse --add-match @office",
    ),
    ("list show offi", "list show office"),
    ("zone show dm", "zone show dmz"),
    ("attach l", "attach lo"),
    ("import f --into abu", "import f --into abuse"),
    ("import f --into @offi", "import f --into @office"),
    ("unban 2001:d", "unban 2001:db8::/32"),
    ("history show 1", "history show 17"),
];

fn rule(name: &str) -> Value {
    json!({"name": name, "action": "block", "enabled": true, "match": [], "except": [],
        "expires": null, "note": "", "zones": [], "alert": false, "entries": 0, "packets": 0,
        "bytes": 0, "excepted": 0, "last_hit": null, "state": "deployed"})
}

fn daemon() -> FakeDaemon {
    let list = json!({"name": "office", "entries": 1, "used_by": [], "state": "deployed"});
    let zone = json!({"name": "dmz", "default": "pass", "malformed": "pass", "allow": [],
        "interfaces": [], "state": "deployed"});
    let ban = json!({"prefix": "2001:db8::/32", "origin": "manual", "until": null,
        "seconds_left": null, "reason": "", "packets": null, "author": "uid 0 (root)",
        "time": "2026-10-01T12:00:00Z"});
    let revision = json!({"revision": 17, "time": "2026-10-01T12:00:00Z", "author": "",
        "comment": "ticket: 42", "rules": 1, "entries": 1, "state": "deployed"});
    FakeDaemon::start(vec![
        answer(
            "GET",
            "/v1/rules*",
            200,
            json!([rule("abuse"), rule("absent"), rule("a.b_c-d")]),
        ),
        answer("GET", "/v1/lists", 200, json!([list])),
        answer("GET", "/v1/zones", 200, json!([zone])),
        answer("GET", "/v1/bans*", 200, json!([ban])),
        answer("GET", "/v1/history", 200, json!([revision])),
    ])
}

/// A shell on a terminal, with the completion script of `ipblock-ctl`.
struct Shell {
    terminal: Terminal,
    _home: TempDir,
}

impl Shell {
    /// Starts it, unless the shell is not installed, which is an error in a complete run.
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn start(command: &[&str], setup: &str, socket: Option<&Path>) -> Option<Self> {
        let shell = command.first().expect("a shell");
        let is_there = Command::new(shell).arg("-c").arg("true").output();
        if is_there.is_err() {
            let complete = std::env::var("IPBLOCK_REQUIRE_PRIVILEGED").is_ok_and(|it| it == "1");
            assert!(!complete, "{shell} is not installed");
            eprintln!("did not run: {shell} is not installed");
            return None;
        }
        let program = Path::new(env!("CARGO_BIN_EXE_ipblock-ctl"));
        let directory = program.parent().expect("a directory");
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", directory.display());
        let home = tempfile::tempdir().expect("a directory");
        let mut environment: Vec<(&str, &OsStr)> = vec![
            ("PATH", path.as_ref()),
            ("HOME", home.path().as_os_str()),
            ("XDG_CONFIG_HOME", home.path().as_os_str()),
            ("XDG_DATA_HOME", home.path().as_os_str()),
            ("PS1", "ready> ".as_ref()),
            ("LC_ALL", "C.UTF-8".as_ref()),
        ];
        if let Some(socket) = socket {
            environment.push(("IPBLOCK_SOCKET", socket.as_os_str()));
        }
        let command: Vec<&OsStr> = command.iter().map(OsStr::new).collect();
        let mut terminal = Terminal::of(WIDE, &command, &environment);
        terminal.press(&format!("{setup}; echo set\\ up\n"));
        terminal.wait_for("the shell to be set up", |screen| {
            screen.contains("\nset up") && screen.trim_end().ends_with("ready>")
        });
        Some(Self {
            terminal,
            _home: home,
        })
    }

    /// Types `line` and TAB, waits until the last line is `expected`, and clears it.
    fn complete(&mut self, line: &str, expected: &str) {
        self.terminal.press(&format!("ipblock-ctl {line}\t"));
        let expected = format!("ready> ipblock-ctl {expected}");
        self.terminal.wait_for(&expected, |screen| {
            let last = screen.trim_end().lines().next_back();
            last.is_some_and(|last| last.trim_end() == expected)
        });
        self.terminal.press(CLEAR_LINE);
        self.terminal.wait_for("an empty line", |screen| {
            screen.trim_end().ends_with("ready>")
        });
    }

    fn end(mut self) {
        self.terminal.press("exit\n");
        self.terminal.end();
    }
}

fn completes(command: &[&str], setup: &str) {
    let daemon = daemon();
    let Some(mut shell) = Shell::start(command, setup, Some(&daemon.socket())) else {
        return;
    };
    for (line, expected) in CASES {
        shell.complete(line, expected);
    }
    shell.end();
    // Of the daemon that the line names.
    let Some(mut shell) = Shell::start(command, setup, None) else {
        return;
    };
    let socket = daemon.socket();
    let line = |rest: &str| format!("--socket {} rule show {rest}", socket.display());
    shell.complete(&line("absen"), &line("absent"));
    shell.end();
}

#[test]
fn a_line_is_completed_in_bash() {
    completes(
        &["bash", "--norc", "--noprofile", "-i"],
        "source <(ipblock-ctl completions bash)",
    );
}

#[test]
fn a_line_is_completed_in_zsh() {
    completes(
        &["zsh", "-f", "-i"],
        "autoload -U compinit; compinit -D -u; source <(ipblock-ctl completions zsh)",
    );
}

#[test]
fn a_line_is_completed_in_fish() {
    completes(
        &["fish", "--no-config", "-i"],
        "function fish_prompt; echo -n 'ready> '; end; set -g fish_autosuggestion_enabled 0; \
         ipblock-ctl completions fish | source",
    );
}
