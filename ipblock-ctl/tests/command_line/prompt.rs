//! Questions on a terminal: what the operator sees, and the request after each answer.

use serde_json::{Value, json};

use crate::{
    deployed, failure,
    fake_daemon::{Answer, FakeDaemon, answer},
    staged,
    terminal::{CTRL_C, CTRL_D, Ended, Terminal},
};

const ADD: [&str; 8] = [
    "rule",
    "add",
    "--action",
    "block",
    "--match",
    "192.0.2.1",
    "--note",
    "ticket 42",
];

fn rule(name: &str, action: &str) -> Value {
    json!({
        "name": name, "action": action, "enabled": true, "match": ["198.51.100.0/24"],
        "except": [], "expires": null, "note": "", "alert": false, "zones": [], "entries": 1,
        "packets": 0, "bytes": 0, "excepted": 0, "last_hit": null, "state": "deployed",
    })
}

fn refused() -> Answer {
    let refusal = json!({"kind": "conflict", "message": "rule `block` blocks already",
        "hint": "ipblock-ctl rule edit block --add-match 192.0.2.1"});
    answer("POST", "/v1/staged/edits", 409, refusal)
}

/// A daemon with a block rule and a warn rule, which refuses once and then stages.
fn daemon() -> FakeDaemon {
    FakeDaemon::start(vec![
        refused(),
        answer(
            "GET",
            "/v1/rules?elements=0",
            200,
            json!([rule("block", "block"), rule("watch", "warn")]),
        ),
        answer("POST", "/v1/staged/edits", 200, staged(1)),
        answer("POST", "/v1/deploy", 200, deployed()),
    ])
}

/// Adds a rule without a name and answers each question.
fn asked(daemon: &FakeDaemon, answers: &[(&str, &str)]) -> Ended {
    let mut terminal = Terminal::run(daemon, ADD);
    for (question, keys) in answers {
        terminal.answer(question, keys);
    }
    terminal.end()
}

/// Returns the edits that were sent after the first attempt.
fn sent_after_the_question(daemon: &FakeDaemon) -> Vec<Value> {
    let requests = daemon.requests();
    let edits = requests
        .iter()
        .filter_map(|request| request.body.pointer("/edits/0"));
    edits.skip(1).cloned().collect()
}

#[test]
fn one_adds_the_addresses_to_the_rule_that_is_there() {
    let daemon = daemon();
    let ended = asked(&daemon, &[("Which?", "1\n")]);
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.screen);
    let sent = sent_after_the_question(&daemon);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["edit"], "edit_rule");
    assert_eq!(sent[0]["name"], "block");
    assert_eq!(sent[0]["add_match"], json!(["192.0.2.1"]));
    assert_eq!(sent[0]["note"], Value::Null, "the rule keeps its own");
}

#[test]
fn two_adds_the_rule_with_the_other_action() {
    let daemon = daemon();
    let ended = asked(&daemon, &[("Which?", "2\n")]);
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.screen);
    let sent = sent_after_the_question(&daemon);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["edit"], "add_rule");
    assert_eq!(sent[0]["action"], "warn");
    assert_eq!(sent[0]["name"], Value::Null);
    assert_eq!(sent[0]["note"], "ticket 42");
}

#[test]
fn three_asks_for_a_name_until_it_is_a_free_one() {
    let daemon = daemon();
    let answers = [
        ("Which?", "3\n"),
        ("Its name?", "two words\n"),
        ("Its name?", "watch\n"),
        ("Its name?", "abuse\n"),
    ];
    let ended = asked(&daemon, &answers);
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.screen);
    let sent = sent_after_the_question(&daemon);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["name"], "abuse");
    assert_eq!(sent[0]["action"], "block");
}

#[test]
fn four_and_the_end_of_input_stop_and_send_nothing() {
    for (keys, shown) in [("4\n", "four"), (CTRL_D, "end-of-input")] {
        let daemon = daemon();
        let ended = asked(&daemon, &[("Which?", keys)]);
        assert_eq!(ended.code, Some(3), "{}", ended.screen);
        insta::assert_snapshot!(shown, ended.screen);
        assert_eq!(sent_after_the_question(&daemon), Vec::<Value>::new());
        assert!(ended.is_sane);
    }
}

#[test]
fn an_answer_that_is_none_is_asked_again() {
    let daemon = daemon();
    let ended = asked(&daemon, &[("Which?", "yes\n"), ("Which?", "4\n")]);
    assert_eq!(ended.code, Some(3));
    let again = "Which? yes\nPlease answer one of: 1, 2, 3, 4\nWhich? 4\n";
    assert!(ended.screen.contains(again), "{}", ended.screen);
}

#[test]
fn control_c_at_the_question_sends_nothing_and_leaves_the_terminal_as_it_was() {
    const SIGINT: i32 = 2;
    let daemon = daemon();
    let ended = asked(&daemon, &[("Which?", CTRL_C)]);
    assert_eq!(
        (ended.code, ended.signal),
        (None, Some(SIGINT)),
        "{}",
        ended.screen
    );
    assert_eq!(sent_after_the_question(&daemon), Vec::<Value>::new());
    assert!(ended.is_sane);
}

#[test]
fn what_a_question_led_to_can_be_deployed_at_once() {
    let daemon = daemon();
    let mut terminal = Terminal::run(&daemon, [&ADD[..], &["--deploy"]].concat());
    terminal.answer("Which?", "1\n");
    let ended = terminal.end();
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.screen.contains("deployed revision 8"),
        "{}",
        ended.screen
    );
    let last = daemon.requests().pop().expect("a request");
    assert_eq!(last.body["force"], json!(false));
}

/// Returns the terminal output of `diff` with a daemon that fails.
fn failed_diff(more: &[&str], environment: &[(&str, &str)]) -> String {
    let daemon = FakeDaemon::start(vec![answer("GET", "/v1/diff", 500, failure("failed"))]);
    let environment: Vec<_> = environment
        .iter()
        .map(|&(key, value)| (key, value.as_ref()))
        .collect();
    let arguments = [&["diff"], more].concat();
    let ended = Terminal::run_with(&daemon, &arguments, &environment).end();
    assert_eq!(ended.code, Some(1), "{}", ended.screen);
    ended.written
}

#[test]
fn a_terminal_is_written_to_in_colour_unless_that_is_switched_off() {
    assert!(failed_diff(&[], &[]).contains("\x1b[31merror:\x1b[0m it was refused"));
    // An empty NO_COLOR does not count: https://no-color.org
    assert!(failed_diff(&[], &[("NO_COLOR", "")]).contains('\x1b'));
    assert!(!failed_diff(&[], &[("NO_COLOR", "1")]).contains('\x1b'));
    assert!(!failed_diff(&["--color", "never"], &[]).contains('\x1b'));
    let forced = failed_diff(&["--color", "always"], &[("NO_COLOR", "1")]);
    assert!(
        forced.contains('\x1b'),
        "the option is nearer than the environment"
    );
}

#[test]
fn json_on_a_terminal_has_no_colour() {
    let rules = json!([rule("block", "block")]);
    let daemon = FakeDaemon::start(vec![
        answer("GET", "/v1/rules?elements=200", 200, rules.clone()),
        answer("GET", "/v1/rules", 200, rules.clone()),
    ]);
    let tables = Terminal::run(&daemon, "rule list").end();
    assert!(tables.written.contains("\x1b["), "{}", tables.written);
    for color in ["auto", "always"] {
        let arguments = ["rule", "list", "--json", "--color", color];
        let ended = Terminal::run(&daemon, arguments).end();
        let printed: Value = serde_json::from_str(&ended.written).expect("JSON");
        assert_eq!(printed, rules);
    }
}

/// A daemon where somebody else has staged edits: one at first, two when it is asked again.
fn with_edits_of_others() -> FakeDaemon {
    let refusal = |staged: u64| {
        let message = format!("{staged} staged edits of others:\n  uid 0 (bob): rule x: added");
        let refusal = json!({"kind": "conflict", "message": message, "hint": "pass --all",
            "needs": "all", "staged": staged});
        answer("POST", "/v1/deploy", 409, refusal)
    };
    FakeDaemon::start(vec![
        refusal(2),
        refusal(3),
        answer("POST", "/v1/deploy", 200, deployed()),
    ])
}

#[test]
fn a_deploy_asks_about_exactly_the_edits_that_it_shows() {
    let daemon = with_edits_of_others();
    let mut terminal = Terminal::run(&daemon, ["deploy"]);
    terminal.answer("Deploy all of it? [y/n]", "y\n");
    // One more was staged while the question stood.
    terminal.answer("Deploy all of it? [y/n]", "y\n");
    let ended = terminal.end();
    assert_eq!(ended.code, Some(0), "{}", ended.screen);
    assert!(
        ended.screen.contains("3 staged edits of others"),
        "{}",
        ended.screen
    );
    let sent: Vec<_> = daemon
        .requests()
        .into_iter()
        .map(|asked| asked.body)
        .collect();
    let given = |place: usize| (sent[place]["all"].clone(), sent[place]["staged"].clone());
    assert_eq!(given(0), (Value::Null, Value::Null));
    assert_eq!(given(1), (json!(true), json!(2)));
    assert_eq!(given(2), (json!(true), json!(3)));
}

#[test]
fn a_deploy_that_is_not_wanted_deploys_nothing() {
    for keys in ["n\n", CTRL_D] {
        let daemon = with_edits_of_others();
        let mut terminal = Terminal::run(&daemon, ["deploy"]);
        terminal.answer("Deploy all of it? [y/n]", keys);
        let ended = terminal.end();
        assert_eq!(ended.code, Some(3), "{}", ended.screen);
        assert!(
            ended.screen.contains("stopped, nothing was deployed"),
            "{}",
            ended.screen
        );
        assert_eq!(daemon.requests().len(), 1);
    }
}
