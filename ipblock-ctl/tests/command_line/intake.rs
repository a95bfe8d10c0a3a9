//! Files that are read with options, entries that become bans, and addresses in any text.

use serde_json::{Value, json};

use crate::{
    fake_daemon::{FakeDaemon, answer},
    ipblock_ctl, run, staged, stderr, stdout,
};

fn daemon() -> FakeDaemon {
    let banned = json!({"added": 1, "moved": 0, "unchanged": 0, "warnings": [], "bans": []});
    let checked = json!([{"address": "192.0.2.7", "zone": "default", "verdict": "block",
        "reason": "ban", "rules": [], "kernel_agrees": true}]);
    FakeDaemon::start(vec![
        answer("POST", "/v1/bans", 200, banned),
        answer("POST", "/v1/check", 200, checked),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
        answer(
            "POST",
            "/v1/unban",
            200,
            json!({"removed": 1, "not_banned": [], "still_banned": [], "more_still_banned": 0,
                "origins": [], "bans": []}),
        ),
    ])
}

/// Runs a command with this on standard input.
fn with_input(daemon: &FakeDaemon, input: &str, arguments: &[&str]) -> assert_cmd::assert::Assert {
    ipblock_ctl()
        .env("IPBLOCK_SOCKET", daemon.socket())
        .args(arguments)
        .write_stdin(input)
        .assert()
}

/// Returns the requests for bans: end, reason and addresses.
fn bans(daemon: &FakeDaemon) -> Vec<(Value, Value, Value)> {
    let sent = daemon.requests();
    let bans = sent.iter().filter(|asked| asked.path == "/v1/bans");
    bans.map(|asked| {
        let part = |key: &str| asked.body.get(key).cloned().expect("a field");
        (part("expires"), part("reason"), part("addresses"))
    })
    .collect()
}

#[test]
fn entries_become_bans_until_their_ends() {
    let daemon = daemon();
    let input = "ip,expires,note\n192.0.2.1,2090-01-01T00:00:00Z,ssh\n192.0.2.2,never,\n\
                 192.0.2.3,2020-01-01T00:00:00Z,\n192.0.2.4,2090-01-01T00:00:00Z,ssh\n";
    let arguments = ["import", "-", "--as-bans", "--origin", "old-host"];
    let assert = with_input(&daemon, input, &arguments).code(0);
    assert_eq!(
        stdout(&assert),
        "<stdin> (csv): 4 entries read, 4 prefixes, 4 addresses\n\
         3 prefixes banned: 2 new, 0 changed, 0 as before; 2 until an end, 1 permanently; left out \
         because it is past its end: 1 prefix\n"
    );
    assert_eq!(
        bans(&daemon),
        [
            (json!("never"), json!(""), json!(["192.0.2.2"])),
            (
                json!({"at": "2090-01-01T00:00:00Z"}),
                json!("ssh"),
                json!(["192.0.2.1", "192.0.2.4"])
            ),
        ]
    );
    assert_eq!(daemon.requests()[0].body["origin"], "old-host");
}

#[test]
fn bans_without_an_end_or_with_an_unclear_one_are_refused_whole() {
    let daemon = daemon();
    for (input, said) in [
        ("192.0.2.1\n", "1 prefix has no end; nothing is banned"),
        (
            "ip,expires\n192.0.2.1,1h\n192.0.2.2,2030-01-01\n",
            "1 prefix has an end that cannot be read, such as 192.0.2.2/32",
        ),
        (
            "192.0.2.1 until 2090-01-01T00:00:00Z\n192.0.2.1/24\n",
            "nothing is banned",
        ),
    ] {
        let assert = with_input(&daemon, input, &["import", "-", "--as-bans"]).code(2);
        assert!(stderr(&assert).contains(said), "{}", stderr(&assert));
    }
    let arguments = ["import", "-", "--into", "abuse", "--for", "1h"];
    let assert = with_input(&daemon, "192.0.2.1\n", &arguments).code(2);
    assert!(
        stderr(&assert).contains("write --as-bans"),
        "{}",
        stderr(&assert)
    );
    let arguments = ["import", "-", "--into", "abuse", "--as-bans"];
    with_input(&daemon, "192.0.2.1\n", &arguments).code(2);
    assert!(daemon.requests().is_empty());
}

#[test]
fn many_bans_are_sent_in_batches() {
    let daemon = daemon();
    let lines: Vec<String> = (0..12_000)
        .map(|n| format!("10.0.{}.{}\n", n / 256, n % 256))
        .collect();
    let arguments = [
        "import",
        "-",
        "--as-bans",
        "--permanent",
        "--reason",
        "all",
        "--wide",
    ];
    with_input(&daemon, &lines.concat(), &arguments).code(0);
    let sizes: Vec<usize> = bans(&daemon)
        .iter()
        .map(|(_, reason, addresses)| {
            assert_eq!(reason, "all");
            addresses.as_array().expect("an array").len()
        })
        .collect();
    assert_eq!(sizes, [5_000, 5_000, 2_000]);
    assert!(
        daemon
            .requests()
            .iter()
            .all(|asked| asked.body["wide"] == true)
    );
}

const REPORT: &str =
    "Abuse from 192[.]0[.]2[.]7 (port 22),\nnginx 1.2.3.4.5, http://198.51.100.9/x\n";

#[test]
fn what_is_found_in_a_text_is_shown_before_it_is_used() {
    let daemon = daemon();
    let arguments = ["import", "-", "--extract", "--into", "@reported"];
    let assert = with_input(&daemon, REPORT, &arguments).code(3);
    insta::assert_snapshot!("extract-dry-run", stderr(&assert));
    let sent = daemon.requests();
    assert!(sent.iter().all(|asked| asked.path == "/v1/check"));
    assert_eq!(
        sent[0].body["addresses"],
        json!(["192.0.2.7", "198.51.100.9"])
    );

    let arguments = ["import", "-", "--extract", "--column", "2", "--into", "@a"];
    let assert = with_input(&daemon, REPORT, &arguments).code(2);
    assert!(stderr(&assert).contains("--column has no effect with --extract"));

    let arguments = ["import", "-", "--extract", "--yes", "--into", "@reported"];
    let assert = with_input(&daemon, REPORT, &arguments).code(0);
    assert!(stdout(&assert).starts_with("<stdin> (text): 3 entries read, 2 prefixes"));
    let sent = daemon.requests();
    let edit = &sent.last().expect("a request").body["edits"][0];
    assert_eq!(edit["addresses"], json!(["192.0.2.7", "198.51.100.9"]));
}

#[test]
fn addresses_in_a_text_are_banned_only_with_yes() {
    let daemon = daemon();
    let arguments = ["ban", "-", "--for", "1h", "--extract"];
    let assert = with_input(&daemon, REPORT, &arguments).code(3);
    assert!(stderr(&assert).contains("found 2 prefixes:\n  192.0.2.7\n"));
    assert!(stderr(&assert).contains("not taken: line 2: `1.2.3.4.5`"));
    assert_eq!(bans(&daemon), []);
    let arguments = ["ban", "-", "--for", "1h", "--extract", "--yes"];
    with_input(&daemon, REPORT, &arguments).code(0);
    let sent: Vec<Value> = bans(&daemon)
        .into_iter()
        .flat_map(|(_, _, addresses)| addresses.as_array().cloned().expect("an array"))
        .collect();
    assert_eq!(sent, [json!("192.0.2.7"), json!("198.51.100.9")]);
    with_input(&daemon, REPORT, &["unban", "-", "--extract"]).code(0);
    let assert = run(&daemon, "ban 192.0.2.7 --for 1h --extract").code(2);
    assert!(stderr(&assert).contains("--extract reads standard input"));
}

#[test]
fn a_stream_shows_the_first_refused_lines_and_all_where_asked() {
    let daemon = daemon();
    let lines: Vec<String> = (0..25).map(|n| format!("192.0.2.{n}/24\n")).collect();
    let input = format!("{}192.0.2.7\n", lines.concat());
    let assert = with_input(&daemon, &input, &["ban", "-", "--for", "1h"]).code(2);
    let text = stderr(&assert);
    assert_eq!(text.matches("host bits set").count(), 20, "{text}");
    assert!(
        text.ends_with("and 4 more were refused; --all shows them\n"),
        "{text}"
    );
    let assert = with_input(&daemon, &input, &["ban", "-", "--for", "1h", "--all"]).code(2);
    let text = stderr(&assert);
    assert_eq!(text.matches("host bits set").count(), 24, "{text}");
    assert!(!text.contains("more were refused"), "{text}");
}

#[test]
fn a_list_follows_its_file_as_it_is_told() {
    let daemon = daemon();
    let arguments = [
        "list",
        "set",
        "au",
        "--file",
        "a.csv.gz",
        "--column",
        "1-2",
        "--where",
        "3=AU",
        "--where",
        "3=NZ",
        "--delimiter",
        "tab",
    ];
    run(&daemon, arguments).code(0);
    assert_eq!(
        daemon.requests()[0].body["edits"][0],
        json!({"edit": "set_list", "list": "au", "addresses": null, "note": "",
            "file": "a.csv.gz", "column": "1-2", "delimiter": "tab", "where": ["3=AU", "3=NZ"]})
    );
    for (option, said) in [
        ("--delimiter=ab", "write one ASCII character"),
        ("--column=0", "columns have the numbers 1 to"),
        ("--where=CN", "write COLUMN=VALUE"),
    ] {
        let assert = run(&daemon, ["import", "f", "--into", "a", option]).code(2);
        assert!(stderr(&assert).contains(said), "{}", stderr(&assert));
    }
}

#[test]
fn addresses_to_stage_come_from_standard_input_too() {
    let daemon = daemon();
    let input = "192.0.2.1, 198.51.100.0/24 # office\n\n2001:db8::1\n";
    let wanted = json!(["192.0.2.1", "198.51.100.0/24", "2001:db8::1"]);
    for (arguments, key) in [
        (&["list", "add", "office", "-"][..], "addresses"),
        (&["list", "set", "office", "-"], "addresses"),
        (&["allow", "add", "-"], "addresses"),
        (&["exception", "add", "abuse", "-"], "addresses"),
        (
            &["rule", "add", "x", "--action", "block", "--match", "-"],
            "match",
        ),
    ] {
        with_input(&daemon, input, arguments).code(0);
        let sent = daemon.requests();
        let edit = &sent.last().expect("a request").body["edits"][0];
        assert_eq!(edit[key], wanted, "{arguments:?}");
        let before = sent.len();
        let assert = with_input(&daemon, "192.0.2.1\n192.0.2.1/24\n", arguments).code(2);
        let text = stderr(&assert);
        assert!(
            text.contains("line 2: `192.0.2.1/24`: host bits set"),
            "{text}"
        );
        assert!(text.contains("nothing is staged"), "{text}");
        with_input(&daemon, "# nothing\n", arguments).code(2);
        assert_eq!(daemon.requests().len(), before);
    }
}
