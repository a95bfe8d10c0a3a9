//! Deploys on trial, rollback, and staged edits when the revision changes.

use ipblock_tests::{DEADLINE, Daemon, VethOptions, VethPair, require_privileged, wait_for};
use serde_json::Value;

use crate::{
    answers::{apply, count_of, counters, status},
    scenario::{Scene, marked},
};

/// Lets 203.0.113.9 pass and blocks 203.0.113.7.
const BEFORE: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.7"]
"#;

/// Adds a rule that blocks 203.0.113.9 as well, on trial.
fn deploy_on_trial(scene: &Scene, within: &str) -> anyhow::Result<String> {
    let add = [
        "rule",
        "add",
        "more",
        "--action",
        "block",
        "--match",
        "203.0.113.9",
        "--deploy",
        "--confirm-within",
        within,
    ];
    scene.daemon.ctl(add)?.ok()
}

/// Deploys a ruleset that may be much smaller than the deployed one.
fn apply_on_trial(scene: &Scene, ruleset: &str, within: &str) -> anyhow::Result<String> {
    let apply = ["apply", "-", "--force", "--confirm-within", within];
    scene.daemon.ctl_with_input(apply, ruleset)?.ok()
}

/// Sends frames from 203.0.113.9 until one arrives under `marker`.
fn wait_until_it_passes(scene: &Scene, marker: u64) -> anyhow::Result<()> {
    wait_for(DEADLINE, "a frame from 203.0.113.9 to pass", || {
        scene.send(&[marked("203.0.113.9", marker)], 1).ok()?;
        (scene.receiver.count(marker) > 0).then_some(())
    })
}

/// Number and state of each revision, newest first.
fn history(scene: &Scene) -> anyhow::Result<Vec<(u64, String)>> {
    let history = scene.daemon.ctl_json("history")?;
    let entries = history.as_array().cloned().unwrap_or_default();
    let entry = |entry: &Value| {
        let number = entry["revision"].as_u64().unwrap_or_default();
        (
            number,
            entry["state"].as_str().unwrap_or_default().to_owned(),
        )
    };
    Ok(entries.iter().map(entry).collect())
}

fn states(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    let expected = expected.iter();
    expected
        .map(|(number, state)| (*number, (*state).to_owned()))
        .collect()
}

#[test]
fn an_unconfirmed_deploy_goes_back_by_itself() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BEFORE)?;
    let said = deploy_on_trial(&scene, "6s")?;
    assert!(said.contains("to be confirmed"), "{said}");
    assert!(status(&scene.daemon)?.confirm_deadline.is_some());
    assert_eq!(
        history(&scene)?,
        states(&[(2, "awaiting-confirmation"), (1, "superseded")])
    );
    scene.send(&[marked("203.0.113.9", 1)], 5)?;
    scene.judged(5)?;
    assert_eq!(scene.receiver.count(1), 0);

    wait_until_it_passes(&scene, 2)?;
    let now = status(&scene.daemon)?;
    assert_eq!((now.revision, now.confirm_deadline), (1, None));
    assert_eq!(
        history(&scene)?,
        states(&[(2, "rolled-back"), (1, "deployed")])
    );
    let log = scene.daemon.log();
    assert!(log.contains("not confirmed in time: going back"), "{log}");
    Ok(())
}

#[test]
fn an_unconfirmed_zone_goes_although_an_interface_came_to_be_in_it() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native@lan", pair.host.interface))
        .start()?;
    let scene = Scene::of(daemon, pair)?;
    apply(&scene.daemon, BEFORE)?;
    let set = ["zone", "set", "lan", "--default", "drop", "--deploy"];
    let set = [&set[..], &["--confirm-within", "8s", "--force"]].concat();
    scene.daemon.ctl(&set)?.ok()?;
    scene
        .daemon
        .wait_for_json("status", "the interface to be in the zone", |status| {
            let zones = status["zones"].as_array()?;
            let lan = zones.iter().find(|zone| zone["name"] == "lan")?;
            (lan["interfaces"][0]["state"] == "attached").then_some(())
        })?;
    let now = wait_for(DEADLINE, "revision 1 to be back", || {
        status(&scene.daemon).ok().filter(|now| now.revision == 1)
    })?;
    assert_eq!(now.confirm_deadline, None);
    wait_until_it_passes(&scene, 1)?;
    let is_told = |problem: &String| problem.contains("there is no deployed zone `lan`");
    assert!(now.problems.iter().any(is_told), "{now:?}");
    // It is remembered until the zone exists again.
    scene.daemon.ctl("rollback 2 --force")?.ok()?;
    wait_for(DEADLINE, "the interface to be in the zone again", || {
        status(&scene.daemon)
            .ok()?
            .problems
            .is_empty()
            .then_some(())
    })
}

#[test]
fn a_way_back_that_failed_is_told_until_the_revision_is_confirmed() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    apply(
        &scene.daemon,
        &BEFORE.replace(".7\"", ".7\", \"203.0.113.20\", \"203.0.113.40\""),
    )?;
    apply_on_trial(&scene, BEFORE, "6s")?;
    std::fs::write(scene.daemon.config_path(), "capacity = 2\n")?;
    scene.daemon.restart()?;
    let problems = || Some(status(&scene.daemon).ok()?.problems);
    wait_for(DEADLINE, "the way back to fail", || {
        let told = |problem: &String| problem.contains("going back to revision 1 failed");
        problems()?.iter().any(told).then_some(())
    })?;
    scene.daemon.ctl("confirm")?.ok()?;
    assert_eq!(problems(), Some(Vec::new()));
    Ok(())
}

#[test]
fn an_interface_is_not_moved_into_a_zone_that_may_go_again() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BEFORE)?;
    let set = ["zone", "set", "lan", "--default", "pass", "--deploy"];
    let set = [&set[..], &["--confirm-within", "1h"]].concat();
    scene.daemon.ctl(&set)?.ok()?;
    let attach = ["attach", scene.interface(), "--zone", "lan"];
    let refused = scene.daemon.ctl(attach)?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stderr.contains("ipblock-ctl confirm"),
        "{refused:?}"
    );
    scene.daemon.ctl("confirm")?.ok()?;
    scene.daemon.ctl(attach)?.ok()?;
    Ok(())
}

#[test]
fn a_confirmed_deploy_stays() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BEFORE)?;
    deploy_on_trial(&scene, "6s")?;
    let confirmed = scene.daemon.ctl_json("confirm")?;
    assert_eq!(confirmed["revision"], 2);
    let again = scene.daemon.ctl("confirm")?;
    assert_eq!(again.code, 3, "{again:?}");
    assert!(again.stderr.contains("nothing awaits"), "{again:?}");
    // Longer than the trial would have been.
    std::thread::sleep(std::time::Duration::from_secs(8));
    assert_eq!(
        history(&scene)?,
        states(&[(2, "deployed"), (1, "superseded")])
    );
    scene.send(&[marked("203.0.113.9", 1)], 5)?;
    scene.judged(5)?;
    assert_eq!(scene.receiver.count(1), 0);
    Ok(())
}

#[test]
fn a_daemon_that_was_killed_goes_back_at_its_next_start() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), BEFORE)?;
    deploy_on_trial(&scene, "6s")?;
    scene.daemon.kill()?;
    std::thread::sleep(std::time::Duration::from_secs(7));
    // No daemon rolls back: the deployed ruleset stays in force.
    scene.send(&[marked("203.0.113.9", 1)], 5)?;
    scene.daemon.start()?;
    wait_until_it_passes(&scene, 2)?;
    assert_eq!(scene.receiver.count(1), 0);
    assert_eq!(
        history(&scene)?,
        states(&[(2, "rolled-back"), (1, "deployed")])
    );
    Ok(())
}

#[test]
fn a_trial_goes_on_over_a_restart_and_can_be_confirmed_then() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), BEFORE)?;
    deploy_on_trial(&scene, "1h")?;
    let deadline = status(&scene.daemon)?.confirm_deadline;
    scene.daemon.kill()?;
    scene.daemon.start()?;
    let after = status(&scene.daemon)?.confirm_deadline;
    let moved = deadline.zip(after).map(|(a, b)| a.duration_since(b).abs());
    assert!(
        moved.is_some_and(|moved| moved.as_millis() < 100),
        "{deadline:?} became {after:?}"
    );
    scene.daemon.ctl("confirm")?.ok()?;
    assert_eq!(status(&scene.daemon)?.confirm_deadline, None);
    Ok(())
}

#[test]
fn the_time_to_confirm_is_told_alike_each_time() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let apply = ["--json", "apply", "-", "--confirm-within", "1h"];
    let said = scene.daemon.ctl_with_input(apply, BEFORE)?.ok()?;
    let applied: Value = serde_json::from_str(&said)?;
    let told = &applied["deployed"]["confirm_deadline"];
    assert!(told.is_string(), "{applied}");
    for _ in 0..3 {
        let status = scene.daemon.ctl_json("status")?;
        assert_eq!(status["confirm_deadline"], *told);
    }
    Ok(())
}

#[test]
fn a_deploy_while_one_awaits_confirmation_is_refused() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BEFORE)?;
    deploy_on_trial(&scene, "1h")?;
    let edit = ["rule", "edit", "abuse", "--note", "ticket 42"];
    scene.daemon.ctl(edit)?.ok()?;
    let second = scene.daemon.ctl("deploy")?;
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.stderr.contains("ipblock-ctl confirm"), "{second:?}");
    scene.daemon.ctl("discard")?.ok()?;
    let applied = scene.daemon.ctl_with_input("apply -", BEFORE)?;
    assert_eq!(applied.code, 3, "{applied:?}");
    // A rollback at once is not a deploy.
    scene.daemon.ctl("rollback 1")?.ok()?;
    wait_until_it_passes(&scene, 1)?;
    assert_eq!(status(&scene.daemon)?.confirm_deadline, None);
    apply(&scene.daemon, BEFORE)?;
    Ok(())
}

#[test]
fn the_very_first_deploy_can_be_on_trial_too() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    deploy_on_trial(&scene, "2s")?;
    wait_until_it_passes(&scene, 1)?;
    assert_eq!(status(&scene.daemon)?.revision, 0);
    assert_eq!(history(&scene)?, states(&[(1, "rolled-back")]));
    scene.daemon.restart()?;
    assert_eq!(status(&scene.daemon)?.revision, 0);
    wait_until_it_passes(&scene, 2)
}

#[test]
fn a_rollback_by_hand_restores_the_rules_and_keeps_their_counts() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BEFORE)?;
    scene.send(&[marked("203.0.113.7", 1)], 5)?;
    scene.judged(5)?;
    scene.daemon.ctl("rule remove abuse --deploy")?.ok()?;
    scene.send(&[marked("203.0.113.7", 2)], 5)?;
    scene.judged(10)?;
    assert_eq!(scene.receiver.count(2), 5);

    let dry = scene.daemon.ctl("rollback 1 --dry-run")?;
    assert_eq!(dry.code, 6, "{dry:?}");
    assert!(dry.stdout.contains("+ rule abuse: added"), "{dry:?}");
    scene.daemon.ctl("rollback 1")?.ok()?;
    scene.send(&[marked("203.0.113.7", 3)], 5)?;
    scene.judged(15)?;
    assert_eq!(scene.receiver.count(3), 0);
    assert_eq!(count_of(&counters(&scene.daemon)?, "abuse").packets, 10);
    assert_eq!(
        history(&scene)?,
        states(&[(2, "rolled-back"), (1, "deployed")])
    );

    let same = scene.daemon.ctl("rollback 1")?.ok()?;
    assert!(same.contains("nothing to do"), "{same}");
    let unknown = scene.daemon.ctl("rollback 99")?;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(
        unknown.stderr.contains("ipblock-ctl history"),
        "{unknown:?}"
    );
    Ok(())
}

#[test]
fn staged_edits_are_carried_over_to_the_revision_that_came_back() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::filtering(root, BEFORE)?;
    deploy_on_trial(&scene, "1h")?;
    scene.daemon.ctl("confirm")?.ok()?;
    let edit = "rule edit abuse --add-match 203.0.113.8";
    scene.daemon.ctl(edit)?.ok()?;
    scene.daemon.ctl("rollback 1")?.ok()?;

    let diff = scene.daemon.ctl_json("diff")?;
    assert_eq!(diff["addresses"]["newly_blocked"], "1", "{diff}");
    assert_eq!(diff["rules"].as_array().map(Vec::len), Some(1), "{diff}");
    assert_eq!(diff["edits"][0]["author"], "uid 0 (root)", "{diff}");
    scene.daemon.ctl("deploy")?.ok()?;
    scene.send(&[marked("203.0.113.8", 1), marked("203.0.113.9", 2)], 5)?;
    scene.judged(10)?;
    assert_eq!(scene.receiver.count(1), 0);
    assert_eq!(scene.receiver.count(2), 5);
    Ok(())
}

#[test]
fn edits_of_a_rule_that_a_rollback_changed_are_a_conflict_and_stay_staged() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), BEFORE)?;
    let edit = |arguments: &[&str]| {
        let command = [&["rule", "edit", "abuse"], arguments].concat();
        scene.daemon.ctl(&command)?.ok()
    };
    edit(&["--note", "second", "--deploy"])?;
    edit(&["--add-match", "203.0.113.8"])?;
    scene.daemon.ctl("rollback 1")?.ok()?;

    let refused = scene.daemon.ctl("deploy")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("rule abuse"), "{refused:?}");
    assert!(refused.stderr.contains("staged: match"), "{refused:?}");
    assert!(refused.stderr.contains("deployed: note"), "{refused:?}");
    scene.daemon.restart()?;
    let diff = scene.daemon.ctl_json("diff")?;
    assert_eq!(diff["conflicts"][0]["subject"], "rule abuse", "{diff}");
    let staged = scene.daemon.ctl("export --staged")?.ok()?;
    assert!(staged.contains("203.0.113.8"), "{staged}");
    // A solution without a loss: the staged rule becomes the deployed one plus the edit.
    scene.daemon.ctl("rollback 2")?.ok()?;
    scene.daemon.ctl("deploy")?.ok()?;
    let rule = scene.daemon.ctl_json("rule show abuse")?;
    assert_eq!(rule["note"], "second");
    assert_eq!(rule["match"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[test]
fn edits_that_are_dangerous_only_on_the_revision_that_came_back_are_refused() -> anyhow::Result<()>
{
    let scene = Scene::attached(require_privileged!(), "native")?;
    let list = |halves: &str| format!("[list.halves]\nmatch = [{halves}]\n");
    apply(&scene.daemon, &list("\"0.0.0.0/1\", \"128.0.0.0/1\""))?;
    apply(&scene.daemon, &list("\"0.0.0.0/1\""))?;
    let add = "rule add half --action block --match @halves";
    scene.daemon.ctl(add)?.ok()?;
    scene.daemon.ctl("rollback 1")?.ok()?;
    let refused = scene.daemon.ctl("deploy")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    for part in ["staged on revision 2", "0.0.0.0/0", "--force"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    let now = status(&scene.daemon)?;
    assert_eq!((now.revision, now.staged), (1, 1));
    scene.daemon.ctl("deploy --force")?.ok()?;
    assert_eq!(status(&scene.daemon)?.staged, 0);
    Ok(())
}

#[test]
fn the_audit_trail_tells_who_did_what() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::filtering(root, BEFORE)?;
    deploy_on_trial(&scene, "1h")?;
    scene.daemon.ctl("rollback 1")?.ok()?;
    let trail = scene.daemon.ctl_json("audit --limit 4")?;
    let what: Vec<_> = trail
        .as_array()
        .into_iter()
        .flatten()
        .map(|entry| entry["what"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(what, ["rollback", "deploy", "stage", "deploy"]);
    assert_eq!(trail[0]["author"], "uid 0 (root)");
    Ok(())
}
