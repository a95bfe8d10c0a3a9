//! Owners of bans: `--origin`, and bans of all addresses.

use serde_json::{Value, json};

use crate::{
    fake_daemon::{FakeDaemon, answer},
    run, stderr, stdout,
    terminal::Terminal,
};

fn unbanned(removed: u64) -> Value {
    json!({"removed": removed, "origins": [{"origin": "fail2ban/sshd", "bans": removed}],
        "bans": [], "not_banned": [], "still_banned": []})
}

const ALL: [&str; 4] = ["unban", "--origin", "fail2ban/sshd", "--all"];

#[test]
fn the_owner_is_sent_with_a_ban_and_with_its_end() {
    let banned = json!({"added": 1, "moved": 0, "unchanged": 0, "warnings": [],
        "bans": [{"prefix": "192.0.2.7/32", "origin": "fail2ban/sshd", "until": null,
            "change": "added", "was": null, "reason": ""}]});
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/bans", 200, banned),
        answer("POST", "/v1/unban", 200, unbanned(1)),
    ]);
    let assert = run(&daemon, "ban 192.0.2.7 --permanent --origin fail2ban/sshd").code(0);
    assert_eq!(
        stdout(&assert),
        "banned 192.0.2.7/32 (fail2ban/sshd) permanently\n"
    );
    let assert = run(&daemon, "unban 192.0.2.7 --origin fail2ban/sshd").code(0);
    assert_eq!(stdout(&assert), "removed 1 ban of origin fail2ban/sshd\n");
    // Off a terminal `--all` asks nothing.
    run(&daemon, ALL).code(0);
    let requests = daemon.requests();
    assert_eq!(requests[0].body["origin"], "fail2ban/sshd");
    let sent = |addresses: Value, all| {
        json!({"addresses": addresses, "inside": false, "all": all, "origin": "fail2ban/sshd",
            "dry_run": false})
    };
    assert_eq!(requests[1].body, sent(json!(["192.0.2.7"]), false));
    assert_eq!(requests[2].body, sent(json!([]), true));
    assert_eq!(requests.len(), 3);
}

#[test]
fn what_is_not_an_origin_is_refused_with_the_rule() {
    let daemon = FakeDaemon::start(Vec::new());
    for origin in ["a,b", "a b", "/sshd", "caf\u{e9}"] {
        let arguments = ["ban", "192.0.2.7", "--for", "1h", "--origin", origin];
        let assert = run(&daemon, arguments).code(2);
        let text = stderr(&assert);
        assert!(
            text.contains("has 1 to 96 letters, digits, `/`, `.`"),
            "{text}"
        );
    }
    for arguments in [
        "unban --all",
        "unban --all 192.0.2.7 --origin a",
        "unban --inside --all --origin a",
        "unban --origin a",
    ] {
        run(&daemon, arguments).code(2);
    }
    assert!(daemon.requests().is_empty());
}

#[test]
fn on_a_terminal_the_number_is_shown_before_all_bans_end() {
    for (count, key, requests) in [
        (20_000, Some("y\n"), 2),
        (20_000, Some("n\n"), 1),
        (0, None, 2),
    ] {
        let daemon = FakeDaemon::start(vec![answer("POST", "/v1/unban", 200, unbanned(count))]);
        let mut terminal = Terminal::run(&daemon, ALL);
        if let Some(key) = key {
            terminal.answer(
                "This ends 20,000 bans of origin fail2ban/sshd. Go on? [y/n]",
                key,
            );
        }
        let ended = terminal.end();
        assert_eq!(ended.code, Some(0), "{}", ended.screen);
        let asked: Vec<Value> = daemon
            .requests()
            .iter()
            .map(|request| request.body["dry_run"].clone())
            .collect();
        assert_eq!(
            asked,
            [json!(true), json!(false)][..requests],
            "{count} {key:?}"
        );
    }
}

#[test]
fn bans_are_filtered_by_the_daemon() {
    let path = "/v1/bans?addresses=192.0.2.7%2C2001%3Adb8%3A%3A%2F32&origin=crowdsec&reason=ssh+scan&by=root";
    let daemon = FakeDaemon::start(vec![answer("GET", path, 200, json!([]))]);
    let arguments = [
        "bans",
        "192.0.2.7",
        "2001:db8::/32",
        "--origin",
        "crowdsec",
        "--reason",
        "ssh scan",
        "--by",
        "root",
    ];
    let assert = run(&daemon, arguments).code(0);
    assert_eq!(
        stdout(&assert),
        "no bans of origin crowdsec made by root with `ssh scan` in the reason at 192.0.2.7 \
         2001:db8::/32\n"
    );
    assert_eq!(daemon.requests().len(), 1);
}
