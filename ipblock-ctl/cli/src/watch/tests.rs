//! The live view without a terminal: the effect of keys and answers, and its appearance.

use std::time::Duration;

use ipblock_output::View;
use jiff::Timestamp;
use ratatui::{
    Terminal,
    backend::TestBackend,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    NEW_ALERTS,
    draw::draw,
    model::{Answers, Flow, Model, Pane},
};

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("as documented")
}

fn now() -> Timestamp {
    "2026-10-01T12:00:00Z".parse().expect("a time")
}

fn rule(name: &str, action: &str, packets: u64, last_hit: Option<&str>) -> Value {
    json!({"name": name, "action": action, "packets": packets, "bytes": packets * 60,
        "excepted": 0, "last_hit": last_hit})
}

fn totals(passed: u64, warned: u64, dropped: u64) -> Value {
    let count = |packets: u64| json!({"packets": packets, "bytes": packets * 60});
    json!({"passed": count(passed), "dropped": count(dropped), "warned": count(warned),
        "allowed": count(0), "non_ip": count(0), "malformed": count(0)})
}

fn zone(name: &str, totals: &Value) -> Value {
    json!({"name": name, "default": "pass", "generation": 9, "interfaces": [],
        "entries": {"ipv4": 1, "ipv6": 0, "capacity": 100}, "totals": totals})
}

fn alert(id: u64, source: &str, rule: &str) -> Value {
    json!({"id": id, "time": format!("2026-10-01T11:59:{:02}Z", id % 60), "kind": "first",
        "zone": "default", "interface": "eth0", "rule": rule, "rules": [rule], "action": "warn",
        "source": source, "destination": "192.0.2.10", "protocol": "tcp", "destination_port": 22,
        "packets": 1})
}

/// One round of answers, `second` seconds after the start. Each rule and zone has its own rate.
fn look(second: u64) -> Answers {
    let status = json!({"version": "0.1.0", "pid": 1234, "revision": 7, "staged": 2,
        "confirm_deadline": null, "bans": 1234, "problems": [], "object_sha256": "",
        "zones": [zone("default", &totals(10_000 * second, 50 * second, 200 * second)),
            zone("dmz", &totals(0, 0, 0))]});
    let counters = json!({
        "rules": [
            rule("abuse", "block", 9_000_000 + 200 * second, Some("2026-10-01T11:59:59Z")),
            rule("scanners", "warn", 50 * second, Some("2026-10-01T11:58:00Z")),
            rule("customer-4711-suspicious", "warn", 777, None),
        ],
        "bans": {"packets": 0, "bytes": 0}, "allow": {"packets": 0, "bytes": 0},
        "totals": totals(0, 0, 0)});
    let hit = |source: &str, rules: &[&str], packets: u64, banned: bool| {
        json!({"source": source, "rules": rules, "banned": banned, "packets": packets,
            "bytes": packets * 60, "last_hit": "2026-10-01T11:59:48Z"})
    };
    let ban = |prefix: &str, left: u64, reason: &str| {
        json!({"prefix": prefix, "until": "2026-10-01T12:00:59Z", "seconds_left": left,
            "reason": reason, "packets": null, "author": "root", "time": "2026-10-01T11:00:00Z"})
    };
    let at = Duration::from_secs(second);
    Answers {
        status: read(status),
        status_at: at,
        counters: read(counters),
        counters_at: at,
        top: read(json!([
            hit("203.0.113.7", &["scanners"], 1_234_567, false),
            hit(
                "2001:db8:85a3:8d3:1319:8a2e:370:7348",
                &["abuse"],
                4321,
                false
            ),
            hit("198.51.100.77", &[], 42, true),
        ])),
        alerts: read(json!({"alerts": [alert(41, "203.0.113.7", "scanners"),
            alert(42, "2001:db8::7", "customer-4711-suspicious")], "last": 42})),
        alerts_follow: false,
        bans: read(json!([
            ban("192.0.2.7/32", 90, "ssh scan"),
            ban("2001:db8::/64", 7200, "")
        ])),
    }
}

fn model() -> Model {
    let mut model = Model::new(look(10));
    for second in 11..=14 {
        model.take(look(second));
    }
    model
}

fn press(model: &mut Model, keys: &str) {
    for key in keys.chars() {
        assert_eq!(code(model, KeyCode::Char(key)), Flow::GoOn, "{key}");
    }
}

fn code(model: &mut Model, code: KeyCode) -> Flow {
    model.press(KeyEvent::new(code, KeyModifiers::NONE))
}

fn rules(model: &Model) -> Vec<&str> {
    let rules = model.sorted_rules().into_iter();
    rules.map(|rule| rule.name.as_str()).collect()
}

fn screen(model: &mut Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("no I/O");
    let view = View::plain(now());
    let at = Duration::from_secs(14);
    let picture = terminal.draw(|frame| draw(frame, model, at, &view));
    let buffer = picture.expect("no I/O").buffer;
    let rows = buffer.content().chunks(usize::from(width.max(1)));
    let rows = rows.map(|row| {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        row.trim_end().to_owned() + "\n"
    });
    rows.collect()
}

#[test]
fn rules_are_sorted_by_each_column_in_turn() {
    let mut model = model();
    let suspicious = "customer-4711-suspicious";
    assert_eq!(rules(&model), ["abuse", "scanners", suspicious]);
    assert_eq!(model.sort.word(), "rate");
    press(&mut model, "s");
    assert_eq!(model.sort.word(), "packets");
    assert_eq!(rules(&model), ["abuse", suspicious, "scanners"]);
    press(&mut model, "s");
    assert_eq!(model.sort.word(), "last hit");
    assert_eq!(rules(&model), ["abuse", "scanners", suspicious]);
    press(&mut model, "s");
    assert_eq!(model.sort.word(), "name");
    assert_eq!(rules(&model), ["abuse", suspicious, "scanners"]);
    press(&mut model, "s");
    assert_eq!(model.sort.word(), "rate");
}

#[test]
fn a_filter_leaves_what_holds_its_text_and_escape_takes_it_away() {
    let mut model = model();
    press(&mut model, "/SCANq");
    assert!(rules(&model).is_empty(), "a key is a letter here");
    code(&mut model, KeyCode::Backspace);
    assert_eq!(rules(&model), ["scanners"]);
    assert_eq!(model.sources().len(), 1);
    assert_eq!(model.alerts().len(), 1);
    assert_eq!(model.bans(Duration::ZERO).len(), 1, "by its reason");
    code(&mut model, KeyCode::Enter);
    assert_eq!(rules(&model), ["scanners"]);
    assert_eq!(code(&mut model, KeyCode::Esc), Flow::GoOn);
    assert_eq!(rules(&model).len(), 3);
    assert_eq!(code(&mut model, KeyCode::Esc), Flow::Quit);
}

#[test]
fn sources_are_found_by_address_and_by_being_banned() {
    let mut model = model();
    press(&mut model, "/2001:db8");
    assert_eq!(model.sources().len(), 1);
    assert_eq!(model.alerts().len(), 1);
    assert_eq!(model.bans(Duration::ZERO).len(), 1);
    code(&mut model, KeyCode::Esc);
    press(&mut model, "/(ban");
    assert_eq!(model.sources()[0].source.to_string(), "198.51.100.77");
}

#[test]
fn keys_that_quit_do_so_where_they_are_no_letters() {
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "/", "?"] {
        let mut model = model();
        press(&mut model, keys);
        assert_eq!(model.press(control_c), Flow::Quit, "after `{keys}`");
    }
    let mut model = model();
    press(&mut model, "?");
    assert_eq!(
        code(&mut model, KeyCode::Esc),
        Flow::GoOn,
        "leaves the help"
    );
    assert_eq!(code(&mut model, KeyCode::Char('q')), Flow::Quit);
}

#[test]
fn tab_and_arrows_go_round_the_panes() {
    let mut model = model();
    let mut seen = vec![model.focus];
    for _ in 0..5 {
        code(&mut model, KeyCode::Tab);
        seen.push(model.focus);
    }
    let round = [
        Pane::Rules,
        Pane::Sources,
        Pane::Bans,
        Pane::Alerts,
        Pane::Zones,
        Pane::Rules,
    ];
    assert_eq!(seen, round);
    code(&mut model, KeyCode::Left);
    assert_eq!(model.focus, Pane::Zones);
    code(&mut model, KeyCode::Right);
    assert_eq!(model.focus, Pane::Rules);
}

#[test]
fn scrolling_ends_at_the_last_line_and_comes_back_at_once() {
    let mut model = model();
    press(&mut model, "jjjjjjjj");
    assert_eq!(model.first_line(Pane::Rules, 10, 4), 6);
    press(&mut model, "k");
    assert_eq!(model.first_line(Pane::Rules, 10, 4), 5);
    press(&mut model, "G");
    assert_eq!(model.first_line(Pane::Rules, 10, 4), 6);
    press(&mut model, "jg");
    assert_eq!(model.first_line(Pane::Rules, 10, 4), 0);
    assert_eq!(model.first_line(Pane::Alerts, 10, 4), 0);
}

/// On a terminal that is too small nothing is drawn, so no drawing corrects the position.
#[test]
fn scrolling_on_from_the_last_line_before_it_is_drawn_stays_there() {
    let mut model = model();
    press(&mut model, "Gj");
    assert_eq!(model.first_line(Pane::Rules, 10, 4), 6);
    press(&mut model, "G");
    assert_eq!(code(&mut model, KeyCode::PageDown), Flow::GoOn);
    assert_eq!(model.first_line(Pane::Rules, 10, 4), 6);
}

#[test]
fn new_alerts_come_on_top_and_what_is_kept_is_bounded() {
    let mut model = model();
    assert_eq!(model.after(), Some(42));
    let mut next = look(15);
    next.alerts = read(json!({"alerts": [alert(43, "192.0.2.9", "abuse")], "last": 50}));
    next.alerts_follow = true;
    model.take(next);
    let sources =
        |model: &Model| -> Vec<u64> { model.alerts().into_iter().map(|alert| alert.id).collect() };
    assert_eq!(sources(&model), [43, 42, 41]);
    assert_eq!(model.after(), Some(50));
    // More than can be read one by one: the next round restarts with the newest.
    let mut flood = look(16);
    let alerts: Vec<Value> = (100..100 + u64::from(NEW_ALERTS))
        .map(|id| alert(id, "192.0.2.9", "abuse"))
        .collect();
    flood.alerts = read(json!({"alerts": alerts, "last": 1099}));
    flood.alerts_follow = true;
    model.take(flood);
    assert_eq!(model.alerts().len(), 200);
    assert_eq!(sources(&model)[0], 1099);
    assert_eq!(model.after(), None);
    model.take(look(17));
    assert_eq!(sources(&model), [42, 41]);
    assert_eq!(model.after(), Some(42));
}

#[test]
fn rates_go_on_over_a_daemon_that_was_away() {
    let mut model = model();
    model.problem = Some("away".to_owned());
    model.take(look(24));
    assert_eq!(model.problem, None);
    let rate = model.rules.rate("abuse").expect("known");
    assert!((rate.packets - 200.0).abs() < 0.001, "{rate:?}");
}

#[test]
fn the_time_that_a_ban_has_left_goes_on_without_the_daemon() {
    let model = model();
    let left = |seconds| -> Vec<u64> {
        let bans = model.bans(Duration::from_secs(seconds)).into_iter();
        bans.map(|(_, left)| left).collect()
    };
    assert_eq!(left(14), [90, 7200]);
    assert_eq!(left(24), [80, 7190]);
    assert_eq!(left(1000), [0, 6214]);
}

#[test]
fn a_screen_of_80x24_holds_everything() {
    insta::assert_snapshot!(screen(&mut model(), 80, 24));
}

#[test]
fn a_wide_screen_shows_more_of_it() {
    let mut model = model();
    press(&mut model, "/scan");
    insta::assert_snapshot!(screen(&mut model, 120, 40));
}

#[test]
fn trouble_stands_at_the_top() {
    let mut answers = look(10);
    answers.status.problems = vec!["the store is on a file system with 12 MB left".to_owned()];
    answers.status.confirm_deadline = Some(now() + Duration::from_secs(45));
    answers.status.alerts.lost = 33;
    let mut model = Model::new(answers);
    model.problem = Some("cannot reach ipblockd, retrying: Connection refused".to_owned());
    press(&mut model, "p");
    let text = screen(&mut model, 80, 24);
    let top: Vec<&str> = text.lines().take(4).collect();
    assert_eq!(
        top,
        [
            "ipblockd 0.1.0, revision 7, 2 edits staged, 1,234 bans, 33 pa... PAUSED 12:00:00",
            "cannot reach ipblockd, retrying: Connection refused",
            "goes back in 45s (12:00:45) unless `ipblock-ctl confirm` follows",
            "problem: the store is on a file system with 12 MB left",
        ]
    );
}

#[test]
fn the_help_names_every_key() {
    let mut model = model();
    press(&mut model, "?");
    let text = screen(&mut model, 80, 24);
    for line in super::KEYS.lines() {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("any key goes back"), "{text}");
}

#[test]
fn a_host_without_rules_or_hits_says_so() {
    let mut answers = look(10);
    answers.counters.rules.clear();
    answers.top.clear();
    answers.bans.clear();
    answers.alerts.alerts.clear();
    let text = screen(&mut Model::new(answers), 80, 24);
    for said in [
        "no rules deployed",
        "none has hit",
        "none ends",
        "no alerts",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn no_size_is_too_much_or_too_little() {
    let mut model = model();
    for keys in ["", "/x", "?"] {
        press(&mut model, keys);
        for width in (0..60).chain([79, 80, 81, 100, 132, 300, 1000]) {
            for height in (0..26).chain([50, 200]) {
                let text = screen(&mut model, width, height);
                let is_small = width < 40 || height < 10;
                assert_eq!(
                    text.starts_with("too small"),
                    is_small && width >= 9 && height > 0,
                    "{width}x{height}: {text}"
                );
            }
        }
        code(&mut model, KeyCode::Esc);
    }
}
