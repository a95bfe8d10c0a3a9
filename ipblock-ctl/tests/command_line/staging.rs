//! Staging and deploying.

use serde_json::{Value, json};

use crate::{
    deployed, failure,
    fake_daemon::{FakeDaemon, answer},
    run, staged, stderr, stdout,
};

#[test]
fn staging_says_what_comes_next() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 200, staged(3))]);
    let assert = run(
        &daemon,
        [
            "rule",
            "add",
            "abuse",
            "--action",
            "block",
            "--match",
            "192.0.2.0/24",
            "@feed",
            "--except",
            "192.0.2.7",
            "--for",
            "2h",
            "--note",
            "ticket 42",
            "--zone",
            "dmz",
        ],
    )
    .code(0);
    assert_eq!(stdout(&assert), "added rule `abuse`\n");
    assert_eq!(
        stderr(&assert),
        "staged (3 edits). next: ipblock-ctl diff, then ipblock-ctl deploy\n"
    );
    assert_eq!(
        daemon.requests()[0].body,
        json!({"force": false, "edits": [{
            "edit": "add_rule", "name": "abuse", "action": "block",
            "match": ["192.0.2.0/24", "@feed"], "except": ["192.0.2.7"],
            "expires": {"after": 7200}, "note": "ticket 42", "alert": false, "disabled": false,
            "zones": ["dmz"],
        }]})
    );
}

#[test]
fn staging_and_deploying_in_one_sends_both() {
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/staged/edits", 200, staged(3)),
        answer("POST", "/v1/deploy", 200, deployed()),
    ]);
    let arguments = "rule promote abuse --deploy --comment now --confirm-within 5m --force";
    let assert = run(&daemon, arguments).code(0);
    assert_eq!(
        stdout(&assert),
        "added rule `abuse`\n\
         deployed revision 8: 1 rule, 2 entries (built in 3 ms, switched in 1 ms)\n"
    );
    assert_eq!(
        stderr(&assert),
        "deploys 2 edits that were staged before, too\n"
    );
    let sent = daemon.requests();
    assert_eq!(sent[0].body["force"], json!(true));
    assert_eq!(sent[0].body["edits"][0]["action"], json!("block"));
    assert_eq!(
        sent[1].body,
        json!({"comment": "now", "confirm_within": 300, "force": true, "wide": false})
    );

    let assert = run(&daemon, "rule promote abuse --deploy --json").code(0);
    let printed: Value = serde_json::from_str(&stdout(&assert)).expect("one JSON value");
    assert_eq!(printed, deployed());
    assert_eq!(stderr(&assert), "");
}

#[test]
fn a_refused_deploy_takes_its_edits_back_and_no_others() {
    let remove = "allow remove 192.0.2.1 --deploy";
    let refused = |before: u64, left: u64| {
        let mut staged_now = staged(before + 1);
        staged_now["undo"] = json!(17);
        let daemon = FakeDaemon::start(vec![
            answer("POST", "/v1/staged/edits", 200, staged_now),
            answer("POST", "/v1/deploy", 409, failure("conflict")),
            answer("DELETE", "/v1/staged?undo=17", 200, staged(left)),
        ]);
        let said = stderr(&run(&daemon, remove).code(3));
        assert_eq!(daemon.requests().len(), 3);
        said
    };
    for before in [0, 3] {
        let said = refused(before, before);
        assert!(
            said.contains("      nothing of it stays staged: "),
            "{said}"
        );
    }
    // There was another edit in between.
    let said = refused(0, 2);
    assert!(said.contains("      the edits stay staged: "), "{said}");
}

#[test]
fn elsewhere_than_on_a_terminal_edits_of_others_need_all() {
    let refusal = json!({"kind": "conflict", "message": "a staged edit of somebody else",
        "hint": "pass --all", "needs": "all", "staged": 2});
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/deploy", 409, refusal),
        answer("POST", "/v1/deploy", 200, deployed()),
    ]);
    let refused = run(&daemon, "deploy abuse scanners").code(3);
    assert!(stderr(&refused).contains("pass --all"));
    run(&daemon, "deploy --all").code(0);
    let sent = daemon.requests();
    assert_eq!(sent[0].body["rules"], json!(["abuse", "scanners"]));
    assert_eq!(sent[0].body["all"], Value::Null);
    assert_eq!(sent[1].body["all"], json!(true));
    assert_eq!(sent[1].body["staged"], Value::Null);
}

#[test]
fn discard_names_its_rules() {
    let answers = ["/v1/staged", "/v1/staged?rules=abuse%2Cscanners"];
    let answers = answers.map(|path| answer("DELETE", path, 200, staged(0)));
    let daemon = FakeDaemon::start(answers.to_vec());
    run(&daemon, "discard").code(0);
    run(&daemon, "discard abuse scanners").code(0);
}

#[test]
fn edits_stay_staged_where_the_deploy_failed_and_was_not_refused() {
    let daemon = FakeDaemon::start(vec![
        answer("POST", "/v1/staged/edits", 200, staged(1)),
        answer("POST", "/v1/deploy", 500, failure("failed")),
    ]);
    let assert = run(&daemon, "allow remove 192.0.2.1 --deploy").code(1);
    assert!(stderr(&assert).contains("      the edits stay staged: "));
    assert_eq!(daemon.requests().len(), 2);
}

#[test]
fn a_second_rule_with_the_same_action_exits_with_3_and_the_choices() {
    let refusal = json!({"kind": "conflict", "message": "rule `block` blocks already",
        "hint": "ipblock-ctl rule edit block --add-match 192.0.2.1"});
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 409, refusal)]);
    let arguments = "rule add --action block --match 192.0.2.1";
    let assert = run(&daemon, arguments).code(3);
    assert_eq!(
        stderr(&assert),
        "error: rule `block` blocks already\n\
         hint: ipblock-ctl rule edit block --add-match 192.0.2.1\n"
    );
}

#[test]
fn several_rules_are_changed_in_one_request() {
    let daemon = FakeDaemon::start(vec![answer("POST", "/v1/staged/edits", 200, staged(2))]);
    run(&daemon, "rule edit scanners bots --disable").code(0);
    run(&daemon, "rule promote scanners bots").code(0);
    run(&daemon, "rule remove scanners bots").code(0);
    let sent: Vec<Value> = daemon
        .requests()
        .into_iter()
        .map(|request| request.body["edits"].clone())
        .collect();
    for (edits, key, value) in [
        (&sent[0], "enabled", json!(false)),
        (&sent[1], "action", json!("block")),
    ] {
        assert_eq!(edits.as_array().map(Vec::len), Some(2), "{edits}");
        for (edit, name) in [(&edits[0], "scanners"), (&edits[1], "bots")] {
            assert_eq!(edit["edit"], "edit_rule");
            assert_eq!((&edit["name"], &edit[key]), (&json!(name), &value));
        }
    }
    assert_eq!(
        sent[2],
        json!([{"edit": "remove_rules", "names": ["scanners", "bots"]}])
    );
}

#[test]
fn several_rules_have_no_common_name_and_no_common_text() {
    let daemon = FakeDaemon::start(Vec::new());
    let assert = run(&daemon, "rule edit a b --rename c").code(2);
    assert_eq!(
        stderr(&assert),
        "error: several rules cannot be given the same name\nhint: write --rename with one rule\n"
    );
    let assert = run(&daemon, "rule edit a b").code(2);
    assert!(
        stderr(&assert).starts_with("error: several rules are changed with flags only"),
        "{}",
        stderr(&assert)
    );
    assert!(daemon.requests().is_empty());
}
