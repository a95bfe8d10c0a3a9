//! `watch` on a terminal: its screen, its keys, and the terminal after its end.

use std::ffi::OsStr;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    alerts::alert,
    failure,
    fake_daemon::{Answer, FakeDaemon, answer},
    run, stderr, stdout,
    terminal::{CTRL_C, Ended, Size, Terminal},
};

fn totals(dropped: u64) -> Value {
    let count = |packets: u64| json!({"packets": packets, "bytes": packets * 60});
    let nothing = count(0);
    json!({"passed": count(5000), "dropped": count(dropped), "warned": nothing,
        "allowed": nothing, "non_ip": nothing, "malformed": nothing})
}

fn status() -> Answer {
    let zone = json!({"name": "default", "default": "pass", "generation": 9, "interfaces": [],
        "entries": {"ipv4": 1, "ipv6": 0, "capacity": 100}, "totals": totals(70)});
    answer(
        "GET",
        "/v1/status",
        200,
        json!({"version": "0.1.0", "pid": 1234, "revision": 7, "staged": 2,
            "confirm_deadline": null, "zones": [zone], "bans": 3,
            "problems": ["the disk is nearly full"], "object_sha256": ""}),
    )
}

/// The counts of `abuse` and `scanners`.
fn counters(abuse: u64, scanners: u64) -> Answer {
    let rule = |name: &str, action: &str, packets: u64| {
        json!({"name": name, "action": action, "packets": packets, "bytes": packets * 60,
            "excepted": 0, "last_hit": null})
    };
    let nothing = json!({"packets": 0, "bytes": 0});
    answer(
        "GET",
        "/v1/counters",
        200,
        json!({"rules": [rule("abuse", "block", abuse), rule("scanners", "warn", scanners)],
            "bans": nothing, "allow": nothing, "totals": totals(0)}),
    )
}

fn others() -> Vec<Answer> {
    let hit = |source: &str, rule: &str, packets: u64| {
        json!({"source": source, "rules": [rule], "banned": false, "packets": packets,
            "bytes": packets * 60, "last_hit": null})
    };
    let top = json!([
        hit("203.0.113.77", "abuse", 4321),
        hit("198.51.100.5", "scanners", 99)
    ]);
    let bans = json!([{"prefix": "192.0.2.7/32", "until": "2026-10-01T12:00:00Z",
        "seconds_left": 5399, "reason": "scan", "packets": null, "author": "root",
        "time": "2026-10-01T10:00:00Z"}]);
    let first = json!({"alerts": [alert(41, "203.0.113.1")], "last": 41});
    let second = json!({"alerts": [alert(42, "203.0.113.2")], "last": 42});
    let none = json!({"alerts": [], "last": 42});
    vec![
        answer("GET", "/v1/top?by=packets&limit=20", 200, top),
        answer("GET", "/v1/bans?limit=20", 200, bans),
        answer("GET", "/v1/alerts?limit=200", 200, first),
        answer("GET", "/v1/alerts?limit=1000&after=41", 200, second),
        answer("GET", "/v1/alerts?limit=1000&after=42", 200, none),
    ]
}

/// A daemon with a rule whose hits increase.
fn daemon() -> FakeDaemon {
    let mut answers = others();
    answers.extend([status(), counters(500, 9000), counters(700, 9000)]);
    FakeDaemon::start(answers)
}

fn watch(daemon: &FakeDaemon, size: Size) -> Terminal {
    Terminal::sized(size, daemon, ["watch", "--color", "never"], &[])
}

#[track_caller]
fn assert_left(ended: &Ended, code: i32) {
    assert_eq!(ended.code, Some(code), "{}", ended.screen);
    assert!(ended.is_sane, "the keys");
    assert!(ended.is_given_back, "the screen");
}

#[test]
fn a_screen_of_80x24_shows_all_there_is() {
    let daemon = daemon();
    let mut terminal = watch(&daemon, Size::USUAL);
    let screen = terminal.wait_for("the second alert", |screen| {
        ["700", "203.0.113.2 ->", "203.0.113.1 ->"]
            .iter()
            .all(|text| screen.contains(text))
    });
    for shown in [
        "ipblockd 0.1.0, revision 7, 2 edits staged, 3 bans",
        "problem: the disk is nearly full",
        " ZONE",
        " default",
        ">RULE (by rate)",
        " abuse          block",
        " scanners       warn",
        " TOP SOURCE",
        " 203.0.113.77     4,321",
        "BAN, NEXT TO END",
        "192.0.2.7/32       1h29m scan",
        "12:00:41 scanners       warn           1 203.0.113.1 -> 192.0.2.10:22/tcp",
        "12:00:42 scanners       warn           1 203.0.113.2 -> 192.0.2.10:22/tcp",
        "q quit",
    ] {
        // Alerts of another day have no time here.
        let shown = shown
            .replace("12:00:41", "10-01   ")
            .replace("12:00:42", "10-01   ");
        assert!(screen.contains(&shown), "{shown}:\n{screen}");
    }
    assert_eq!(terminal.is_taken(), (true, true));
    terminal.press("q");
    let ended = terminal.end();
    assert_left(&ended, 0);
    assert_eq!(
        ended.screen.trim(),
        "",
        "what was there before is there again"
    );
}

/// Waits for a text and an order in the same screen: one that is being drawn may have only one of
/// them.
#[track_caller]
fn wait_for_order(terminal: &mut Terminal, text: &str, expected: Option<bool>) {
    terminal.wait_for(&format!("{text}, {expected:?}"), |screen| {
        screen.contains(text) && order(screen) == expected
    });
}

/// Whether `abuse` is above `scanners`, if both are shown.
fn order(screen: &str) -> Option<bool> {
    Some(screen.find("\n abuse ")? < screen.find("\n scanners ")?)
}

#[test]
fn keys_sort_filter_pause_help_and_quit() {
    let daemon = daemon();
    let mut terminal = watch(&daemon, Size::USUAL);
    terminal.wait_for("a first look", |screen| screen.contains("RULE (by rate)"));
    terminal.press("s");
    wait_for_order(&mut terminal, "RULE (by packets)", Some(false));
    terminal.press("ss");
    wait_for_order(&mut terminal, "RULE (by name)", Some(true));

    terminal.press("/abu");
    terminal.wait_for("the filter", |screen| {
        ["filter: abu_", "203.0.113.77", "no match for `abu`"]
            .iter()
            .all(|text| screen.contains(text))
            && !screen.contains("198.51.100.5")
            && order(screen).is_none()
    });
    terminal.press("\r");
    terminal.wait_for_text("filter: abu  Esc clears it");
    terminal.press("\x1b");
    wait_for_order(&mut terminal, "198.51.100.5", Some(true));

    terminal.press("p");
    terminal.wait_for_text("PAUSED");
    terminal.press("?");
    terminal.wait_for_text("sort rules by rate, packets, last hit or name");
    terminal.press(" ");
    terminal.wait_for_text("RULE (by name)");
    terminal.press("\t");
    terminal.wait_for_text(">TOP SOURCE");
    terminal.press("p");
    terminal.wait_for("no pause", |screen| !screen.contains("PAUSED"));
    terminal.press(CTRL_C);
    assert_left(&terminal.end(), 0);
}

#[test]
fn a_daemon_that_is_away_is_told_until_it_is_back() {
    let mut daemon = daemon();
    let mut terminal = watch(&daemon, Size::USUAL);
    terminal.wait_for_text("203.0.113.2 ->");
    daemon.stop();
    terminal.wait_for("the problem, and what is known", |screen| {
        screen.contains("cannot reach ipblockd, retrying: ") && screen.contains("203.0.113.2 ->")
    });
    let mut answers = others();
    answers.extend([status(), counters(123_456, 9000)]);
    daemon.start_again(answers);
    terminal.wait_for("the daemon again", |screen| {
        screen.contains("123,456") && !screen.contains("cannot reach")
    });
    terminal.press("\x1b");
    assert_left(&terminal.end(), 0);
}

#[test]
fn a_large_screen_is_used_and_a_tiny_one_says_so() {
    let daemon = daemon();
    let mut terminal = watch(&daemon, Size(100, 40));
    let screen = terminal.wait_for("all of it", |screen| {
        screen.contains("last hit packets/s") && screen.contains("q quit")
    });
    assert_eq!(screen.lines().count(), 40, "{screen}");
    terminal.press("q");
    assert_left(&terminal.end(), 0);

    let mut terminal = watch(&daemon, Size(30, 5));
    terminal.wait_for_text("too small: 40x10 is needed");
    terminal.press("q");
    assert_left(&terminal.end(), 0);
}

#[test]
fn signals_leave_the_terminal_as_it_was() {
    let daemon = daemon();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut terminal = watch(&daemon, Size::USUAL);
        terminal.wait_for_text("RULE (by rate)");
        terminal.signal(signal);
        assert_left(&terminal.end(), 0);
    }
}

#[test]
fn colour_is_drawn_when_asked_for_and_not_otherwise() {
    let daemon = daemon();
    let no_color = [("NO_COLOR", OsStr::new("1"))];
    for (arguments, has_colour) in [("watch", false), ("watch --color always", true)] {
        let mut terminal = Terminal::sized(Size::USUAL, &daemon, arguments, &no_color);
        terminal.wait_for_text("RULE (by rate)");
        terminal.press("q");
        let ended = terminal.end();
        assert_left(&ended, 0);
        let red = ended.written.contains("\x1b[38;5;1");
        assert_eq!(red, has_colour, "{arguments:?}: {:?}", ended.written);
    }
}

#[test]
fn an_error_that_will_not_pass_is_told_on_the_terminal_as_it_was() {
    let mut answers = others();
    let refusal = answer("GET", "/v1/status", 403, failure("not_permitted"));
    answers.extend([status(), status(), refusal, counters(500, 9000)]);
    let daemon = FakeDaemon::start(answers);
    let ended = watch(&daemon, Size::USUAL).end();
    assert_left(&ended, 5);
    assert!(
        ended.screen.starts_with("error: it was refused\n"),
        "{}",
        ended.screen
    );
}

#[test]
fn off_a_terminal_and_as_json_it_is_refused_with_what_to_use() {
    let daemon = daemon();
    let refusal = "error: `watch` draws on a terminal\n\
        hint: elsewhere there are `ipblock-ctl counters --watch` and `ipblock-ctl alerts --follow`, \
        both also with --json\n";
    let assert = run(&daemon, "watch").code(2);
    assert_eq!(
        (stdout(&assert).as_str(), stderr(&assert).as_str()),
        ("", refusal)
    );
    let ended = Terminal::run(&daemon, "watch --json").end();
    assert_left(&ended, 2);
    assert!(daemon.requests().is_empty());
}

/// Set if [`panics_with_the_screen_taken`] runs in its own process.
const PANIC: &str = "IPBLOCK_TEST_PANICS_WITH_THE_SCREEN_TAKEN";

/// Does nothing unless the test below runs it on a terminal.
#[test]
fn panics_with_the_screen_taken() {
    if std::env::var_os(PANIC).is_none() {
        return;
    }
    let mut screen = ipblock_cli::Screen::enter(false).expect("a terminal");
    screen
        .draw(|frame| {
            let area = frame.area();
            frame
                .buffer_mut()
                .set_string(area.x, area.y, "drawn", ratatui::style::Style::new());
        })
        .expect("drawn");
    panic!("as it must not happen");
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_says_anything() {
    let this = std::env::current_exe().expect("a path");
    let arguments = [
        this.as_os_str(),
        OsStr::new("--exact"),
        OsStr::new("watch::panics_with_the_screen_taken"),
        OsStr::new("--nocapture"),
    ];
    let environment = [
        (PANIC, OsStr::new("1")),
        // A backtrace would push the searched text off the screen.
        ("RUST_BACKTRACE", OsStr::new("0")),
    ];
    let ended = Terminal::of(Size::USUAL, &arguments, &environment).end();
    assert_left(&ended, 101);
    let taken = ended.written.find("\x1b[?1049h").expect("another screen");
    let given_back = ended.written.find("\x1b[?1049l").expect("the first screen");
    let said = ended
        .written
        .find("as it must not happen")
        .expect("the panic");
    assert!(
        taken < given_back && given_back < said,
        "{:?}",
        ended.written
    );
    assert!(
        ended.screen.contains("as it must not happen"),
        "{}",
        ended.screen
    );
    assert!(!ended.screen.contains("drawn"), "{}", ended.screen);
}
