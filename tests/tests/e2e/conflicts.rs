//! Deploys without a change, deploys that would interfere with others, and dry runs.

use ipblock_tests::require_privileged;
use serde_json::Value;

use crate::{
    answers::{apply, pinned_generations, status},
    scenario::{BLOCK, Scene},
};

#[test]
fn deploying_nothing_is_no_error_and_no_revision() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let fresh = scene.daemon.ctl("deploy")?;
    assert_eq!(fresh.code, 0, "{fresh:?}");
    assert!(fresh.stdout.contains("nothing to do"), "{fresh:?}");
    apply(&scene.daemon, BLOCK)?;
    let generations = pinned_generations(&scene.daemon)?;
    for command in [&["deploy"][..], &["apply", "-"]] {
        let again = scene.daemon.ctl_with_input(command, BLOCK)?;
        assert_eq!(again.code, 0, "{again:?}");
        assert!(again.stdout.contains("nothing to do"), "{again:?}");
    }
    let discarded = scene.daemon.ctl("discard")?;
    assert_eq!(discarded.code, 0, "{discarded:?}");
    assert_eq!(status(&scene.daemon)?.revision, 1);
    assert_eq!(pinned_generations(&scene.daemon)?, generations);
    Ok(())
}

#[test]
fn a_dry_run_says_whether_anything_would_change_and_changes_nothing() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let generations = pinned_generations(&scene.daemon)?;
    let dry_run = "apply --dry-run -";
    let same = scene.daemon.ctl_with_input(dry_run, BLOCK)?;
    assert_eq!(same.code, 0, "{same:?}");
    let wider = BLOCK.replace("203.0.113.0/24", "203.0.112.0/23");
    let other = scene.daemon.ctl_with_input(dry_run, &wider)?;
    assert_eq!(other.code, 6, "{other:?}");
    assert!(other.stdout.contains("abuse"), "{other:?}");
    assert!(other.stdout.contains("256 newly blocked"), "{other:?}");
    let now = status(&scene.daemon)?;
    assert_eq!((now.revision, now.staged), (1, 0));
    assert_eq!(pinned_generations(&scene.daemon)?, generations);
    Ok(())
}

#[test]
fn apply_is_refused_while_other_edits_are_staged() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let edit = ["rule", "edit", "abuse", "--note", "ticket 42"];
    scene.daemon.ctl(edit)?.ok()?;
    let wider = BLOCK.replace("203.0.113.0/24", "203.0.112.0/23");
    let refused = scene.daemon.ctl_with_input("apply -", &wider)?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("staged"), "{refused:?}");
    assert!(
        refused.stderr.contains("ipblock-ctl discard"),
        "{refused:?}"
    );
    let now = status(&scene.daemon)?;
    assert_eq!((now.revision, now.staged), (1, 1));
    // Looking is allowed.
    let dry_run = scene.daemon.ctl_with_input("apply --dry-run -", &wider)?;
    assert_eq!(dry_run.code, 6, "{dry_run:?}");
    scene.daemon.ctl("discard")?.ok()?;
    apply(&scene.daemon, &wider)?;
    Ok(())
}

#[test]
fn a_nameless_rule_beside_one_with_the_same_action_is_refused_with_the_choices()
-> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let add = ["rule", "add", "--action", "block", "--match"];
    scene
        .daemon
        .ctl([&add[..], &["203.0.113.7"]].concat())?
        .ok()?;
    let refused = scene.daemon.ctl([&add[..], &["203.0.113.9"]].concat())?;
    assert_eq!(refused.code, 3, "{refused:?}");
    for choice in [
        "rule edit block --add-match 203.0.113.9",
        "rule add block-2 --action block --match 203.0.113.9",
        "rule add warn --action warn --match 203.0.113.9",
    ] {
        assert!(refused.stderr.contains(choice), "{choice:?} in {refused:?}");
    }
    let names = scene.daemon.ctl_json("rule list")?;
    assert_eq!(names.as_array().map(Vec::len), Some(1));
    assert_eq!(names[0]["name"], "block");
    Ok(())
}

#[test]
fn several_rules_are_changed_all_or_none() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let staged = || -> anyhow::Result<Value> { scene.daemon.ctl_json("rule list") };
    for name in ["abuse", "bots", "scanners"] {
        let add = [
            "rule",
            "add",
            name,
            "--action",
            "warn",
            "--match",
            "203.0.113.7",
        ];
        scene.daemon.ctl(add)?.ok()?;
    }
    let before = staged()?;
    for arguments in [
        "rule edit abuse bot --disable",
        "rule promote abuse bot",
        "rule remove abuse bot scanners",
    ] {
        let refused = scene.daemon.ctl(arguments)?;
        assert_eq!(refused.code, 2, "{arguments:?}: {refused:?}");
        assert_eq!(
            refused.stderr,
            "error: there is no rule `bot`\nhint: did you mean `bots`?\n"
        );
        assert_eq!(staged()?, before, "{arguments:?}");
    }
    scene.daemon.ctl("rule edit abuse bots --disable")?.ok()?;
    scene.daemon.ctl("rule promote abuse scanners")?.ok()?;
    let states: Vec<_> = staged()?
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| (rule["action"].clone(), rule["enabled"].clone()))
        .collect();
    let state = |action: &str, enabled: bool| (action.into(), enabled.into());
    assert_eq!(
        states,
        [
            state("block", false),
            state("warn", false),
            state("block", true)
        ]
    );
    scene.daemon.ctl("rule remove abuse bots scanners")?.ok()?;
    assert_eq!(staged()?, Value::Array(Vec::new()));
    let shown = scene.daemon.ctl("rule show abuse")?;
    assert_eq!(shown.code, 2, "{shown:?}");
    Ok(())
}

#[test]
fn edits_that_change_nothing_are_not_staged() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let edit = |arguments: &[&str]| scene.daemon.ctl(arguments)?.ok();
    edit(&["rule", "promote", "abuse"])?;
    assert_eq!(status(&scene.daemon)?.staged, 0, "it blocks already");
    edit(&["rule", "edit", "abuse", "--note", "x"])?;
    assert_eq!(status(&scene.daemon)?.staged, 1);
    edit(&["rule", "edit", "abuse", "--note", "y"])?;
    edit(&["rule", "edit", "abuse", "--note", "y"])?;
    assert_eq!(
        status(&scene.daemon)?.staged,
        2,
        "the last one changed nothing"
    );
    edit(&["rule", "edit", "abuse", "--note", ""])?;
    assert_eq!(status(&scene.daemon)?.staged, 0, "all is as deployed");
    // Nothing is in the way of a file now.
    apply(&scene.daemon, BLOCK)?;
    Ok(())
}
