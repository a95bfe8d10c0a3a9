//! Named lists and the exceptions of all rules.

use serde_json::{Value, json};

use crate::{
    failure,
    fake_daemon::{FakeDaemon, answer},
    run, staged, stderr, stdout,
};

/// Returns the edits that `arguments` stage.
fn edits(arguments: &[&str]) -> Value {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 200, staged(1))]);
    let assert = run(&daemon, arguments).code(0);
    assert!(stderr(&assert).starts_with("staged (1 edit)."));
    let sent = daemon.requests();
    let first = sent.first().expect("a request");
    first.body.get("edits").cloned().expect("edits")
}

/// Returns the first column of a table, without the title.
fn first_column(table: &str) -> Vec<&str> {
    let rows = table.lines().skip(1);
    rows.filter_map(|row| row.split_whitespace().next())
        .collect()
}

#[test]
fn exceptions_are_staged_with_their_note() {
    assert_eq!(
        edits(&[
            "exception",
            "add",
            "abuse",
            "192.0.2.7",
            "@office",
            "--note",
            "vip"
        ]),
        json!([{"edit": "add_exception", "rule": "abuse",
                "addresses": ["192.0.2.7", "@office"], "note": "vip"}])
    );
    assert_eq!(
        edits(&["exception", "edit", "abuse", "192.0.2.7", "192.0.2.8/31"]),
        json!([{"edit": "edit_exception", "rule": "abuse",
                "old": "192.0.2.7", "new": "192.0.2.8/31"}])
    );
    assert_eq!(
        edits(&["exception", "remove", "abuse", "192.0.2.7", "2001:db8::"]),
        json!([{"edit": "remove_exception", "rule": "abuse",
                "addresses": ["192.0.2.7", "2001:db8::"]}])
    );
}

#[test]
fn lists_are_staged_by_hand_and_from_files() {
    assert_eq!(
        edits(&[
            "list",
            "add",
            "@office",
            "192.0.2.1-192.0.2.9",
            "--note",
            "desk"
        ]),
        json!([{"edit": "add_to_list", "list": "office",
                "addresses": ["192.0.2.1-192.0.2.9"], "note": "desk"}])
    );
    assert_eq!(
        edits(&["list", "remove", "office", "192.0.2.1"]),
        json!([{"edit": "remove_from_list", "list": "office", "addresses": ["192.0.2.1"]}])
    );
    assert_eq!(
        edits(&["list", "remove", "office"]),
        json!([{"edit": "remove_list", "list": "office"}])
    );
    assert_eq!(
        edits(&["list", "set", "office", "192.0.2.1", "192.0.2.2"]),
        json!([{"edit": "set_list", "list": "office",
                "addresses": ["192.0.2.1", "192.0.2.2"], "note": "", "file": null}])
    );
    assert_eq!(
        edits(&["list", "set", "drop", "--file", "spamhaus/drop.txt"]),
        json!([{"edit": "set_list", "list": "drop", "addresses": null, "note": "",
                "file": "spamhaus/drop.txt"}])
    );
}

fn exceptions() -> Value {
    json!([
        {"rule": "b", "address": "192.0.2.10/32", "note": "y", "state": "deployed"},
        {"rule": "a", "address": "@office", "note": "", "state": "added"},
        {"rule": "a", "address": "192.0.2.9/32", "note": "x", "state": "deployed"},
        {"rule": "b", "address": "2001:db8::/64", "note": "", "state": "deployed"},
    ])
}

#[test]
fn exceptions_are_sorted_by_every_column_either_way() {
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/exceptions", 200, exceptions())]);
    let sorted = |arguments: &[&str]| {
        let all = [&["exception", "list", "--json"], arguments].concat();
        let printed: Value =
            serde_json::from_str(&stdout(&run(&daemon, &all).code(0))).expect("JSON");
        let addresses = printed.as_array().expect("an array").iter();
        let addresses: Vec<_> = addresses
            .map(|one| one["address"].as_str().unwrap_or_default().to_owned())
            .collect();
        addresses.join(" ")
    };
    assert_eq!(
        sorted(&["--sort", "address"]),
        "192.0.2.9/32 192.0.2.10/32 2001:db8::/64 @office"
    );
    assert_eq!(
        sorted(&["--sort", "address", "--reverse"]),
        "@office 2001:db8::/64 192.0.2.10/32 192.0.2.9/32"
    );
    assert_eq!(
        sorted(&["--sort", "rule"]),
        "@office 192.0.2.9/32 192.0.2.10/32 2001:db8::/64"
    );
    assert_eq!(
        sorted(&["--sort", "note"]),
        "192.0.2.9/32 192.0.2.10/32 @office 2001:db8::/64"
    );
    assert!(sorted(&["--sort", "state"]).starts_with("@office "));
    assert_eq!(sorted(&["--rule", "a"]), "@office 192.0.2.9/32");
}

#[test]
fn a_rule_without_exceptions_is_not_a_rule_that_does_not_exist() {
    let rule = json!({"name": "c", "action": "block", "enabled": true, "match": [], "except": [],
        "expires": null, "note": "", "alert": false, "zones": [], "entries": 0, "packets": 0,
        "bytes": 0, "excepted": 0, "last_hit": null, "state": "deployed"});
    let daemon = FakeDaemon::start(vec![
        answer("GET", "/v1/exceptions", 200, exceptions()),
        answer("GET", "/v1/rules/c?elements=0", 200, rule),
        answer("GET", "/v1/rules/d?elements=0", 404, failure("not_found")),
    ]);
    let assert = run(&daemon, "exception list --rule c").code(0);
    assert_eq!(stdout(&assert), "no exceptions\n");
    let assert = run(&daemon, "exception list --rule d").code(2);
    assert!(stderr(&assert).starts_with("error: it was refused\n"));
}

#[test]
fn allow_entries_are_sorted_by_number() {
    let entry = |address: &str, zone: Option<&str>, note: &str| json!({"address": address, "zone": zone, "note": note, "state": "deployed"});
    let entries = json!([
        entry("192.0.2.10/32", None, "b"),
        entry("2001:db8::/64", Some("dmz"), "a"),
        entry("192.0.2.9/32", Some("dmz"), ""),
    ]);
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/allow", 200, entries)]);
    for (arguments, expected) in [
        (
            "--sort address",
            ["192.0.2.9/32", "192.0.2.10/32", "2001:db8::/64"],
        ),
        (
            "--sort note",
            ["2001:db8::/64", "192.0.2.10/32", "192.0.2.9/32"],
        ),
        (
            "--sort zone --reverse",
            ["192.0.2.9/32", "2001:db8::/64", "192.0.2.10/32"],
        ),
    ] {
        let all = format!("allow list {arguments}");
        let table = stdout(&run(&daemon, &all).code(0));
        let shown: Vec<_> = table
            .lines()
            .skip(1)
            .filter_map(|row| row.split_whitespace().next())
            .collect();
        assert_eq!(shown, expected, "{arguments:?}");
    }
}

#[test]
fn lists_are_sorted_by_their_columns_and_shown() {
    let list = |name: &str, file: Option<&str>, entries: u64, state: &str| json!({"name": name, "file": file, "entries": entries, "used_by": [], "state": state});
    let lists = json!([
        list("a", None, 5, "deployed"),
        list("b", Some("b.txt"), 70, "added"),
    ]);
    let content = json!({"name": "a", "file": null, "used_by": ["rule abuse"],
        "entries": [{"address": "192.0.2.1/32", "note": "desk"}], "problem": null,
        "state": "deployed", "total": 1, "last_read": null});
    let daemon = FakeDaemon::start(vec![
        answer("GET", "/v1/lists", 200, lists),
        answer("GET", "/v1/lists/a", 200, content.clone()),
        answer("GET", "/v1/lists/c", 404, failure("not_found")),
    ]);
    let table = stdout(&run(&daemon, "list list").code(0));
    // Two lists with titles; off a terminal a word in each row replaces the legend.
    assert_eq!(table.lines().count(), 3, "{table}");
    for key in ["entries", "file", "state"] {
        let table = stdout(&run(&daemon, ["list", "list", "--sort", key]).code(0));
        assert_eq!(first_column(&table).first(), Some(&"b"), "{key}: {table}");
    }
    let shown = stdout(&run(&daemon, "list show @a").code(0));
    assert_eq!(
        shown,
        "list a: 1 entry, kept by hand\nused by rule abuse\n\
         ADDRESS       NOTE\n192.0.2.1/32  desk\n"
    );
    let shown = stdout(&run(&daemon, "list show a --json").code(0));
    assert_eq!(serde_json::from_str::<Value>(&shown).ok(), Some(content));
    run(&daemon, "list show c").code(2);
}
