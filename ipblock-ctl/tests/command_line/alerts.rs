//! `alerts` and `top`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use ipblock_tests::Arguments;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use crate::{
    DEADLINE, failure,
    fake_daemon::{Answer, FakeDaemon, answer},
    run, stderr, stdout,
    terminal::{CTRL_C, Terminal},
};

/// Longer than any test: a daemon without news.
const WAITING: Duration = Duration::from_hours(1);

pub(crate) fn alert(id: u64, source: &str) -> Value {
    json!({"id": id, "time": format!("2026-10-01T12:00:{:02}Z", id % 60), "kind": "first",
        "zone": "default", "interface": "eth0", "rule": "scanners", "rules": ["scanners"],
        "action": "warn", "source": source, "destination": "192.0.2.10", "protocol": "tcp",
        "destination_port": 22, "packets": 1})
}

fn alerts(path: &'static str, alerts: &[Value], last: u64) -> Answer {
    answer("GET", path, 200, json!({"alerts": alerts, "last": last}))
}

#[test]
fn alerts_are_a_table_and_as_json_one_object_a_line() {
    let two = [alert(41, "203.0.113.7"), alert(42, "2001:db8::7")];
    let daemon = FakeDaemon::start(vec![alerts("/v1/alerts", &two, 42)]);
    let assert = run(&daemon, "alerts").code(0);
    assert_eq!(
        stdout(&assert),
        "TIME            RULES                 ACTION    PACKETS  SOURCE           \
         DESTINATION            IN\n\
         10-01 12:00:41  scanners              warn            1  203.0.113.7      \
         192.0.2.10:22/tcp      default/eth0\n\
         10-01 12:00:42  scanners              warn            1  2001:db8::7      \
         192.0.2.10:22/tcp      default/eth0\n"
    );
    assert_eq!(stderr(&assert), "");
    let assert = run(&daemon, "alerts --json").code(0);
    let printed: Vec<Value> = stdout(&assert)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(printed, two);
}

#[test]
fn what_is_asked_for_is_sent_and_nothing_found_is_said() {
    let daemon = FakeDaemon::start(vec![alerts("/v1/alerts*", &[], 42)]);
    let arguments =
        "alerts --since 2026-10-01T11:00:00Z --rule scanners --source 203.0.113.0/24 --limit 5";
    let assert = run(&daemon, arguments).code(0);
    assert_eq!(stdout(&assert), "");
    assert_eq!(
        stderr(&assert),
        "no alerts of rule scanners from 203.0.113.0/24 since 2026-10-01T11:00:00Z\n"
    );
    assert_eq!(
        daemon.requests()[0].path,
        "/v1/alerts?since=2026-10-01T11%3A00%3A00Z&rule=scanners&source=203.0.113.0%2F24&limit=5"
    );
    let assert = run(&daemon, "alerts --since 2h --json").code(0);
    assert_eq!((stdout(&assert), stderr(&assert)), Default::default());
    let asked = daemon.requests();
    assert!(asked[1].path.starts_with("/v1/alerts?since=2"), "{asked:?}");
    let assert = run(&daemon, ["alerts", "--since", "2026-10-01 11:00"]).code(0);
    assert!(
        stderr(&assert).starts_with("`2026-10-01 11:00` is local time: 2026-10-01 11:00:00 +00:00"),
        "{}",
        stderr(&assert)
    );
}

#[test]
fn as_many_as_are_given_unasked_may_not_be_all() {
    let many: Vec<Value> = (1..=1000).map(|id| alert(id, "203.0.113.7")).collect();
    let daemon = FakeDaemon::start(vec![alerts("/v1/alerts*", &many, 1000)]);
    let assert = run(&daemon, "alerts").code(0);
    assert_eq!(
        stderr(&assert),
        "the newest 1,000 alerts: --limit shows more\n"
    );
    assert_eq!(stderr(&run(&daemon, "alerts --limit 1000").code(0)), "");
}

#[test]
fn a_refusal_is_told() {
    let refusal = answer("GET", "/v1/alerts?source=%40x", 422, failure("invalid"));
    let daemon = FakeDaemon::start(vec![refusal]);
    let assert = run(&daemon, "alerts --source @x").code(2);
    assert!(stderr(&assert).starts_with("error: it was refused\n"));
}

/// A command in a pipe, and its lines as they arrive.
struct Piped {
    child: Child,
    lines: Receiver<String>,
    said: Receiver<String>,
}

impl Piped {
    fn run(daemon: &FakeDaemon, arguments: impl Arguments) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
            .args(arguments.list())
            .env("IPBLOCK_SOCKET", daemon.socket())
            .env("IPBLOCK_SSH_PEER", "none")
            .env("TZ", "UTC")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let lines = lines_of(child.stdout.take().expect("a pipe"));
        let said = lines_of(child.stderr.take().expect("a pipe"));
        Self { child, lines, said }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line")
    }

    /// Returns a note on standard error.
    fn note(&self) -> String {
        self.said.recv_timeout(DEADLINE).expect("a note")
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if sender.send(line.expect("UTF-8")).is_err() {
                return;
            }
        }
    });
    lines
}

/// A daemon with two known alerts, then one in each of two answers, then none.
fn live() -> FakeDaemon {
    let path = "/v1/alerts?limit=10";
    FakeDaemon::start(vec![
        alerts(
            path,
            &[alert(41, "203.0.113.1"), alert(42, "203.0.113.2")],
            42,
        ),
        alerts(
            "/v1/alerts?after=42&wait=20",
            &[alert(43, "203.0.113.3")],
            43,
        ),
        alerts(
            "/v1/alerts?after=43&wait=20",
            &[alert(47, "203.0.113.4")],
            47,
        ),
        alerts("/v1/alerts?after=47&wait=20", &[], 47).after(WAITING),
    ])
}

fn source_of(line: &str) -> Value {
    let alert: Value = serde_json::from_str(line).expect("JSON");
    alert.get("source").cloned().unwrap_or_default()
}

#[test]
fn new_alerts_follow_the_last_ones_line_by_line() {
    let daemon = live();
    let piped = Piped::run(&daemon, "alerts --follow --json");
    for source in ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"] {
        assert_eq!(source_of(&piped.line()), source);
    }
    let daemon = live();
    let piped = Piped::run(&daemon, "alerts -f");
    assert_eq!(
        piped.line(),
        "TIME            RULES                 ACTION    PACKETS  SOURCE           \
         DESTINATION            IN"
    );
    assert_eq!(
        piped.line(),
        "10-01 12:00:41  scanners              warn            1  203.0.113.1      \
         192.0.2.10:22/tcp      default/eth0"
    );
}

#[test]
fn what_is_followed_is_filtered_and_begins_where_it_is_told() {
    let first = "/v1/alerts?since=2026-10-01T11%3A00%3A00Z&rule=scanners&limit=100000";
    let daemon = FakeDaemon::start(vec![
        alerts(first, &[alert(41, "203.0.113.1")], 42),
        alerts(
            "/v1/alerts?rule=scanners&after=42&wait=20",
            &[alert(43, "203.0.113.3")],
            43,
        ),
        alerts("/v1/alerts?rule=scanners&after=43&wait=20", &[], 43).after(WAITING),
    ]);
    let arguments = [
        "alerts", "--follow", "--json", "--rule", "scanners", "--since",
    ];
    let since = ["2026-10-01T11:00:00Z"];
    let piped = Piped::run(&daemon, [&arguments[..], &since].concat());
    for source in ["203.0.113.1", "203.0.113.3"] {
        assert_eq!(source_of(&piped.line()), source);
    }
}

#[test]
fn who_follows_what_has_not_come_yet_is_told_so() {
    let daemon = FakeDaemon::start(vec![
        alerts("/v1/alerts?rule=scaners&limit=10", &[], 42),
        alerts(
            "/v1/alerts?rule=scaners&after=42&wait=20",
            &[alert(43, "203.0.113.3")],
            43,
        ),
        alerts("/v1/alerts?rule=scaners&after=43&wait=20", &[], 43).after(WAITING),
    ]);
    let piped = Piped::run(&daemon, "alerts -f --rule scaners");
    let note = piped.note();
    assert_eq!(note, "no alerts of rule scaners; waiting for new ones");
}

#[test]
fn following_outlives_a_daemon_that_is_away_and_says_so_once() {
    let mut daemon = live();
    let piped = Piped::run(&daemon, "alerts --follow --json");
    for _ in 0..4 {
        piped.line();
    }
    daemon.stop();
    let note = piped.note();
    assert!(note.ends_with("; retrying"), "{note}");
    let next = "/v1/alerts?after=47&wait=20";
    daemon.start_again(vec![
        answer("GET", next, 500, failure("failed")),
        alerts(next, &[alert(48, "203.0.113.5")], 48),
        // Another store, with its own ids.
        alerts("/v1/alerts?after=48&wait=20", &[], 3).after(Duration::from_millis(10)),
        alerts("/v1/alerts?after=3&wait=20", &[alert(4, "203.0.113.6")], 4),
        alerts("/v1/alerts?after=4&wait=20", &[], 4).after(WAITING),
    ]);
    assert_eq!(source_of(&piped.line()), "203.0.113.5");
    assert_eq!(piped.note(), "ipblockd answers again");
    assert_eq!(source_of(&piped.line()), "203.0.113.6");
    assert!(piped.said.try_recv().is_err(), "one note for each");
}

#[test]
fn a_daemon_that_cannot_be_reached_at_first_is_an_error() {
    let mut daemon = live();
    daemon.stop();
    for arguments in [&["alerts", "--follow"][..], &["counters", "--watch"]] {
        let assert = run(&daemon, arguments).code(4);
        assert!(stderr(&assert).starts_with("error: cannot reach ipblockd at "));
    }
}

#[test]
fn a_reader_that_leaves_ends_the_following_without_another_alert() {
    let daemon = live();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ipblock-ctl"))
        .args(["alerts", "--follow", "--json"])
        .env("IPBLOCK_SOCKET", daemon.socket())
        .env("IPBLOCK_SSH_PEER", "none")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let last = lines.nth(3).expect("a line").expect("UTF-8");
    assert_eq!(source_of(&last), "203.0.113.4");
    drop(lines);
    let output = child.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn control_c_ends_the_following_on_a_terminal() {
    let daemon = live();
    let mut terminal = Terminal::run(&daemon, "alerts --follow --color never");
    terminal.wait_for_text("203.0.113.4");
    terminal.press(CTRL_C);
    let ended = terminal.end();
    assert_eq!(ended.signal, Some(2), "{}", ended.screen);
    assert!(ended.is_sane && ended.is_given_back);
    for line in ended.screen.lines() {
        assert!(line.len() <= 80, "{line}");
    }
}

#[test]
fn the_sources_that_hit_are_told_with_what_the_numbers_are_worth() {
    let top = json!([
        {"source": "203.0.113.7", "rules": ["scanners", "abuse"], "banned": false,
            "packets": 1_234_567, "bytes": 74_074_020, "last_hit": null},
        {"source": "2001:db8::7", "rules": [], "banned": true, "packets": 42, "bytes": 2520,
            "last_hit": null},
    ]);
    let daemon = FakeDaemon::start(vec![
        answer("GET", "/v1/top?by=packets&limit=20", 200, top.clone()),
        answer("GET", "/v1/top?by=bytes&limit=2", 200, top.clone()),
        answer("GET", "/v1/top?by=bytes&limit=1", 200, json!([])),
    ]);
    let assert = run(&daemon, "top").code(0);
    assert_eq!(
        stdout(&assert),
        "SOURCE         PACKETS    BYTES  LAST HIT  RULES\n\
         203.0.113.7  1,234,567  74.0 MB  -         scanners abuse\n\
         2001:db8::7         42   2.5 kB  -         (ban)\n"
    );
    assert_eq!(
        stderr(&assert),
        "the 65,536 sources that hit last; past 64 hits per tick and CPU, estimates\n"
    );
    let arguments = "top --by bytes --limit 2 --json";
    let assert = run(&daemon, arguments).code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("JSON");
    assert_eq!(printed, top);
    assert_eq!(stderr(&assert), "");
    let assert = run(&daemon, "top --by bytes --limit 1").code(0);
    assert_eq!(stdout(&assert), "");
    assert_eq!(stderr(&assert), "no source has hit a rule or a ban\n");
}

#[test]
fn counters_are_watched_block_by_block_and_as_json_line_by_line() {
    let counters = |packets: u64| {
        let count = |packets: u64| json!({"packets": packets, "bytes": packets * 60});
        let nothing = count(0);
        answer(
            "GET",
            "/v1/counters",
            200,
            json!({
                "rules": [{"name": "abuse", "action": "block", "packets": packets,
                    "bytes": packets * 60, "excepted": 0, "last_hit": null}],
                "bans": nothing, "allow": nothing,
                "totals": {"passed": nothing, "dropped": count(packets), "warned": nothing,
                    "allowed": nothing, "non_ip": nothing, "malformed": nothing}}),
        )
    };
    let answers = || vec![counters(1000), counters(1000), counters(9000)];
    let daemon = FakeDaemon::start(answers());
    let piped = Piped::run(&daemon, "counters --watch --json");
    for packets in [1000, 1000, 9000, 9000] {
        let line: Value = serde_json::from_str(&piped.line()).expect("JSON");
        assert_eq!(line["rules"][0]["packets"], packets);
        assert!(line["time"].is_string(), "{line}");
    }
    let daemon = FakeDaemon::start(answers());
    let piped = Piped::run(&daemon, "counters --watch --interval 1s");
    let block: Vec<String> = (0..13).map(|_| piped.line()).collect();
    assert!(block[0].ends_with(" +00:00, every 1s"), "{block:#?}");
    assert_eq!(
        block[1..3],
        [
            "RULE   ACTION  PACKETS  PACKETS/S   BYTES  BYTES/S  EXCEPTED  LAST HIT",
            "abuse  block     1,000          -  60,000        -         0  never",
        ]
    );
    assert_eq!(block[12], "");
    let second: Vec<String> = (0..13).map(|_| piped.line()).collect();
    assert_eq!(
        second[2],
        "abuse  block     1,000          0  60,000      0 B         0  never"
    );
    let pid = i32::try_from(piped.child.id()).expect("a process id");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("a signal");

    let daemon = FakeDaemon::start(answers());
    let mut terminal = Terminal::run(&daemon, "counters --watch --color never");
    // All in one screen: a block that is being written has no totals yet.
    terminal.wait_for("the third look, in place", |screen| {
        let once = |text| screen.matches(text).count() == 1;
        screen.contains("9,000") && once("RULE") && once("TOTAL")
    });
    terminal.press(CTRL_C);
    let ended = terminal.end();
    assert_eq!(ended.signal, Some(2), "{}", ended.screen);
    assert!(ended.is_sane && ended.is_given_back);
}
