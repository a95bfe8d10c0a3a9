//! Revisions compared with each other, and what became of one.

use ipblock_tests::{Daemon, require_privileged};
use serde_json::Value;

use crate::scenario::{BLOCK, Scene};

fn deployed(daemon: &Daemon, commands: &[&str]) -> anyhow::Result<()> {
    for command in commands {
        daemon.ctl(format!("{command} --deploy"))?.ok()?;
    }
    Ok(())
}

/// Revisions 1 to 3, a rollback to 2, and revision 4.
fn with_a_past(scene: &Scene) -> anyhow::Result<()> {
    deployed(
        &scene.daemon,
        &[
            "rule add a --action block --match 192.0.2.1 --comment ticket-42",
            "rule add b --action warn --match 192.0.2.2",
        ],
    )?;
    scene.daemon.ctl("rollback 2")?.ok()?;
    deployed(
        &scene.daemon,
        &["rule add c --action block --match 192.0.2.3"],
    )
}

fn names(diff: &Value) -> Vec<(&str, &str)> {
    let rules = diff["rules"].as_array().expect("rules");
    rules
        .iter()
        .map(|rule| {
            (
                rule["name"].as_str().unwrap_or_default(),
                rule["change"].as_str().unwrap_or_default(),
            )
        })
        .collect()
}

#[test]
fn two_revisions_are_compared() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    with_a_past(&scene)?;
    // What is staged has no part in it.
    daemon.ctl("rule remove abuse")?.ok()?;
    for (command, expected) in [
        ("diff 3", &[("c", "added"), ("b", "removed")][..]),
        ("diff 1 3", &[("a", "added"), ("b", "added")]),
        ("diff 3 1", &[("a", "removed"), ("b", "removed")]),
        ("diff 0 1", &[("abuse", "added")]),
        ("diff 4", &[]),
    ] {
        let diff = daemon.ctl_json(command)?;
        assert_eq!(names(&diff), expected, "{command}");
        assert_eq!(diff["edits"], Value::Null, "{command}");
    }
    assert_eq!(daemon.ctl("diff 4")?.ok()?, "no difference\n");
    let missing = daemon.ctl("diff 9")?;
    assert_eq!(missing.code, 2, "{missing:?}");
    for (command, code) in [("diff 4 --exit-code", 0), ("diff 3 --exit-code", 6)] {
        assert_eq!(daemon.ctl(command)?.code, code, "{command}");
    }
    assert_eq!(daemon.ctl("diff --exit-code")?.code, 6);
    daemon.ctl("discard")?.ok()?;
    assert_eq!(daemon.ctl("diff --exit-code")?.code, 0);
    Ok(())
}

#[test]
fn a_revision_says_what_it_changed_and_what_became_of_it() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    with_a_past(&scene)?;
    let second = daemon.ctl_json("history show 2")?;
    assert_eq!(second["previous"], 1);
    assert_eq!(second["comment"], "ticket-42");
    assert_eq!(names(&second["diff"]), [("a", "added")]);
    let events: Vec<_> = second["events"]
        .as_array()
        .expect("events")
        .iter()
        .collect();
    let what: Vec<_> = events.iter().map(|event| &event["what"]).collect();
    assert_eq!(what, ["deploy", "rollback"]);
    assert!(events.iter().all(|event| event["author"] == "uid 0 (root)"));
    // The one before is what was in force, not the number before.
    let fourth = daemon.ctl_json("history show 4")?;
    assert_eq!(fourth["previous"], 2);
    assert_eq!(names(&fourth["diff"]), [("c", "added")]);
    assert_eq!(daemon.ctl_json("history show 1")?["previous"], 0);
    let text = daemon.ctl("history show 2")?.ok()?;
    for part in [
        "comment: ticket-42",
        "put in force again by uid 0 (root)",
        "+ rule a: added",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(daemon.ctl("history show 9")?.code, 2);
    Ok(())
}

#[test]
fn a_rollback_without_a_number_names_the_one_before() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let nothing = daemon.ctl("rollback")?;
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(nothing.stderr.contains("nothing was deployed yet"));
    crate::answers::apply(daemon, BLOCK)?;
    with_a_past(&scene)?;
    let refused = daemon.ctl("rollback")?;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("ipblock-ctl rollback 2;"),
        "{refused:?}"
    );
    daemon.ctl("rollback 2")?.ok()?;
    Ok(())
}
