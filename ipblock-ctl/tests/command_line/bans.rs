//! `ban`, `unban` and `bans`.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    failure,
    fake_daemon::{FakeDaemon, answer},
    ipblock_ctl, run, stderr, stdout,
};

fn banned() -> Value {
    json!({"added": 1, "moved": 0, "unchanged": 0, "warnings": ["it passes all the same"],
        "bans": [{"prefix": "192.0.2.7/32", "origin": "manual", "until": null, "change": "added",
            "was": null, "reason": ""}]})
}

fn unbanned() -> Value {
    json!({"removed": 1, "not_banned": ["192.0.2.9/32"], "still_banned": []})
}

#[test]
fn a_ban_sends_its_end_and_tells_what_it_did() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/bans", 200, banned())]);
    let arguments = "ban 192.0.2.7 @feed --permanent --reason scan --v6-prefix 56 --force";
    let assert = run(&daemon, arguments).code(0);
    assert_eq!(stdout(&assert), "banned 192.0.2.7/32 permanently\n");
    assert_eq!(stderr(&assert), "warning: it passes all the same\n");
    assert_eq!(
        daemon.requests()[0].body,
        json!({"addresses": ["192.0.2.7", "@feed"], "expires": "never", "origin": "manual",
            "reason": "scan", "v6_prefix": 56, "shorten": false, "force": true, "wide": false})
    );
    let assert = run(&daemon, "ban 192.0.2.7 --for 2h --json").code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(printed, banned());
    assert_eq!(stderr(&assert), "");
    let sent = &daemon.requests()[1].body;
    assert_eq!(sent["expires"], json!({"after": 7200}));
    assert_eq!(sent["v6_prefix"], Value::Null);
}

#[test]
fn a_ban_without_an_end_is_refused_with_the_choices() {
    let daemon = FakeDaemon::start(Vec::new());
    let assert = run(&daemon, "ban 192.0.2.7").code(2);
    assert_eq!(
        stderr(&assert),
        "error: a ban needs an end\n\
         hint: write --for 2h, --until 2030-12-01, or --permanent\n"
    );
    run(&daemon, "ban 192.0.2.7 --for 2h --permanent").code(2);
    run(&daemon, "ban - 192.0.2.7 --for 2h").code(2);
    assert!(daemon.requests().is_empty());
}

#[test]
fn what_is_not_an_address_is_explained_with_what_may_be_meant() {
    let daemon = FakeDaemon::start(Vec::new());
    for (arguments, part) in [
        ("ban 192.0.2.1 2h", "did you mean --for 2h?"),
        (
            "ban 192.0.2.1 --for 1h --reason ssh scan",
            "quotes around a text of several words",
        ),
        ("unban 192.0.2.1 2h", "ban ADDRESS --for 2h --shorten"),
        (
            "ban DE --for 1h",
            "names of hosts and countries are not resolved",
        ),
        ("ban 192.0.2.1 --for -1s", "a duration is not negative"),
    ] {
        let assert = run(&daemon, arguments).code(2);
        let text = stderr(&assert);
        assert!(text.contains(part), "{arguments:?}: {text}");
        assert!(!text.contains("NAME"), "{arguments:?}: {text}");
    }
    assert!(daemon.requests().is_empty());
}

#[test]
fn a_usage_line_shows_only_what_is_to_be_typed() {
    let daemon = FakeDaemon::start(Vec::new());
    let assert = run(&daemon, "ban").code(2);
    let text = stderr(&assert);
    assert!(text.contains("Usage: ipblock-ctl ban <A>...\n"), "{text}");
    let assert = ipblock_ctl()
        .env("IPBLOCK_BPFFS", "/x")
        .args(["panic-off", "--fro", "1h"])
        .assert()
        .code(2);
    let text = stderr(&assert);
    assert!(!text.contains("--bpffs"), "{text}");
}

#[test]
fn a_mapped_address_is_said_to_be_read_as_ipv4() {
    let unban = || answer("POST", "/v1/unban", 200, unbanned());
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/bans", 200, banned()),
        unban(),
        unban(),
        answer("POST", "/v1/check", 200, json!([])),
    ]);
    let said = "read ::ffff:192.0.2.7 as 192.0.2.7\n";
    let mapped = "::ffff:192.0.2.7";
    for arguments in [
        &["ban", mapped, "--for", "1h"][..],
        &["unban", mapped],
        &["unban", mapped, "--json"],
        &["check", mapped],
        &["convert", mapped],
    ] {
        let assert = run(&daemon, arguments).code(0);
        let is_for_people = !arguments.contains(&"--json");
        let text = stderr(&assert);
        assert_eq!(text.ends_with(said), is_for_people, "{arguments:?}: {text}");
    }
}

#[test]
fn unban_says_what_was_not_banned_and_is_no_error() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/unban", 200, unbanned())]);
    let assert = run(&daemon, "unban 192.0.2.7 192.0.2.9").code(0);
    assert_eq!(
        stdout(&assert),
        "removed 1 ban\n192.0.2.9/32 had no ban of its own\n"
    );
}

#[test]
fn bans_are_sorted_by_any_column() {
    let ban = |prefix: &str, until: Value, reason: &str, author: &str, time: &str| {
        json!({"prefix": prefix, "until": until, "seconds_left": null, "reason": reason,
            "packets": null, "author": author, "time": time})
    };
    let bans = json!([
        ban(
            "192.0.2.7/32",
            Value::Null,
            "b",
            "root",
            "2026-01-02T00:00:00Z"
        ),
        ban(
            "192.0.2.8/32",
            json!("2999-01-02T00:00:00Z"),
            "a",
            "anna",
            "2026-01-03T00:00:00Z"
        ),
        ban(
            "192.0.2.9/32",
            json!("2999-01-01T00:00:00Z"),
            "c",
            "nils",
            "2026-01-01T00:00:00Z"
        ),
    ]);
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/bans", 200, bans)]);
    for (arguments, expected) in [
        (&[][..], "789"),
        (&["--reverse"], "987"),
        (&["--sort", "until"], "987"),
        (&["--sort", "reason"], "879"),
        (&["--sort", "author"], "897"),
        (&["--sort", "time"], "978"),
    ] {
        let assert = run(&daemon, [&["bans"], arguments].concat()).code(0);
        let text = stdout(&assert);
        let order: String = text
            .lines()
            .skip(1)
            .filter_map(|line| line.strip_prefix("192.0.2.")?.chars().next())
            .collect();
        assert_eq!(order, expected, "{arguments:?}\n{text}");
    }
}

#[test]
fn a_stream_is_sent_without_its_bad_lines_which_are_told() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/bans", 200, banned())]);
    let input = "# offenders\n\n192.0.2.7 scan\n10.0.0.1/8\n  2001:db8::/64\tx\r\n@feed";
    let assert = ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(["ban", "-", "--for", "1h"])
        .write_stdin(input)
        .assert()
        .code(2);
    let text = stderr(&assert);
    let note = "line 3: `scan` after the addresses is not kept";
    assert!(text.starts_with(note), "{text}");
    assert!(text.contains("error: line 4: `10.0.0.1/8`: "), "{text}");
    assert!(text.contains("hint: "), "{text}");
    let sent: Vec<Value> = daemon
        .requests()
        .iter()
        .flat_map(|asked| {
            asked.body["addresses"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .collect();
    assert_eq!(sent, ["192.0.2.7", "2001:db8::/64", "@feed"]);
}

#[test]
fn a_refused_batch_is_halved_until_the_bad_line_is_found() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/unban", 422, failure("invalid"))]);
    let assert = ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(["unban", "-"])
        .write_stdin("192.0.2.1\n192.0.2.2\n192.0.2.3\n")
        .assert()
        .code(2);
    let text = stderr(&assert);
    let told: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error:"))
        .collect();
    let expected = [1, 2, 3].map(|line| format!("error: line {line}: it was refused"));
    assert_eq!(told, expected);
}

#[test]
fn lines_that_add_up_to_a_family_are_not_sent() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/bans", 200, banned())]);
    let stream = |force: &[&str]| {
        ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .args([&["ban", "-", "--permanent"], force].concat())
            .write_stdin("0.0.0.0/1\n128.0.0.0/1\n")
            .assert()
    };
    let assert = stream(&[]).code(3);
    assert!(stderr(&assert).contains("lines 1 to 2: together they are 0.0.0.0/0"));
    assert!(daemon.requests().is_empty());
    stream(&["--force"]).code(0);
    assert_eq!(daemon.requests().len(), 1);
}

#[test]
fn an_unreachable_daemon_ends_a_stream_and_names_the_line() {
    let assert = ipblock_ctl()
        .args(["--socket", "/nonexistent/socket", "ban", "-", "--for", "1h"])
        .write_stdin("\n192.0.2.1\n192.0.2.2\n")
        .assert()
        .code(4);
    let text = stderr(&assert);
    assert!(
        text.starts_with("line 2 and all after it were not carried out\n"),
        "{text}"
    );
}

#[test]
fn every_address_of_a_line_is_sent() {
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/bans", 200, banned()),
        answer("POST", "/v1/unban", 200, unbanned()),
    ]);
    for arguments in [&["ban", "-", "--for", "1h"][..], &["unban", "-"]] {
        ipblock_ctl()
            .env("IPBLOCK_SOCKET", daemon.socket())
            .args(arguments)
            .write_stdin("198.51.100.7 203.0.113.0/25 2001:db8:bad::5\n192.0.2.1,192.0.2.2\n")
            .assert()
            .code(0);
    }
    for asked in daemon.requests() {
        let expected = json!([
            "198.51.100.7",
            "203.0.113.0/25",
            "2001:db8:bad::5",
            "192.0.2.1",
            "192.0.2.2"
        ]);
        assert_eq!(asked.body["addresses"], expected);
    }
}

#[test]
fn a_batch_that_was_not_acknowledged_is_sent_again_after_a_restart() {
    let mut daemon = FakeDaemon::start(vec![answer("POST", "/v1/bans", 200, banned())]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
        .args(["ban", "-", "--permanent", "--shorten"])
        .env("IPBLOCK_SOCKET", daemon.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    input.write_all(b"192.0.2.7\n").expect("written");
    let mut shown = [0; 32];
    output.read_exact(&mut shown).expect("an answer");
    daemon.stop();
    input.write_all(b"192.0.2.8\n").expect("written");
    let mut errors = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.ends_with("; retrying\n") {
        line.clear();
        assert!(errors.read_line(&mut line).expect("text") > 0, "no retry");
    }
    // The command waits for a daemon that fails temporarily as for one that is down.
    daemon.start_again(vec![
        answer("POST", "/v1/bans", 500, failure("failed")),
        answer("POST", "/v1/bans", 200, banned()),
    ]);
    drop(input);
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("ipblockd answers again\n"), "{rest}");
    assert_eq!(child.wait().expect("ended").code(), Some(0), "{rest}");
    let sent: Vec<Value> = daemon
        .requests()
        .iter()
        .map(|asked| asked.body["addresses"].clone())
        .collect();
    let expected = [["192.0.2.7"], ["192.0.2.8"], ["192.0.2.8"]];
    assert_eq!(sent, expected.map(|addresses| json!(addresses)));
}

#[test]
fn lines_are_sent_while_the_stream_is_open_and_a_closed_pipe_ends_it() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/bans", 200, banned())]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
        .args(["ban", "-", "--permanent"])
        .env("IPBLOCK_SOCKET", daemon.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    input.write_all(b"192.0.2.7\n").expect("written");
    let mut told = [0; 32];
    output.read_exact(&mut told).expect("an answer");
    assert_eq!(&told, b"banned 192.0.2.7/32 permanently\n");
    drop(output);
    // It may have ended already at this write.
    drop(input.write_all(b"192.0.2.8\n"));
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    drop(input);
}
