//! Staged edits of some rules that are deployed or discarded, while the others stay staged.

use ipblock_tests::{Daemon, require_privileged};

use crate::{
    answers::{apply, status},
    scenario::{BLOCK, Scene, marked},
};

fn staged(daemon: &Daemon, commands: &[&str]) -> anyhow::Result<()> {
    for command in commands {
        daemon.ctl(command)?.ok()?;
    }
    Ok(())
}

/// The names of rules in force, or as they are staged.
fn rules(daemon: &Daemon, which: &str) -> anyhow::Result<Vec<String>> {
    let text = daemon.ctl(format!("export {which}"))?.ok()?;
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("name = \""));
    Ok(names
        .map(|name| name.trim_end_matches('"').to_owned())
        .collect())
}

#[test]
fn one_rule_is_deployed_and_the_rest_stays_staged() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    staged(
        daemon,
        &[
            "rule add a --action block --match 192.0.2.1",
            "rule edit abuse --rename trouble",
            "exception add trouble 203.0.113.7",
            "rule add b --action block --match 192.0.2.2",
            "allow add 192.0.2.9",
        ],
    )?;
    let deployed = daemon.ctl("deploy trouble")?.ok()?;
    assert!(deployed.contains("still staged: 3 edits"), "{deployed}");
    assert_eq!(rules(daemon, "")?, ["trouble"]);
    assert_eq!(rules(daemon, "--staged")?, ["trouble", "a", "b"]);
    let diff = daemon.ctl_json("diff")?;
    let edits = diff["edits"].as_array().unwrap();
    let summaries: Vec<_> = edits
        .iter()
        .map(|edit| edit["summary"][0].as_str())
        .collect();
    assert_eq!(edits.len(), 3, "{summaries:?}");
    scene.send(&[marked("203.0.113.7", 1), marked("192.0.2.1", 2)], 3)?;
    scene.judged(6)?;
    assert_eq!((scene.receiver.count(1), scene.receiver.count(2)), (3, 3));

    let discarded = daemon.ctl("discard b")?.ok()?;
    assert!(
        discarded.contains("discarded the edits of rule `b`"),
        "{discarded}"
    );
    assert_eq!(status(daemon)?.staged, 2);
    daemon.ctl("deploy a")?.ok()?;
    let now = status(daemon)?;
    assert_eq!((now.staged, now.revision), (1, 3));
    daemon.ctl("deploy")?.ok()?;
    assert_eq!(rules(daemon, "")?, ["trouble", "a"]);
    Ok(())
}

#[test]
fn a_rule_is_not_deployed_without_the_list_that_it_needs() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    staged(
        daemon,
        &[
            "list add fresh 192.0.2.1",
            "rule edit abuse --add-match @fresh",
        ],
    )?;
    let refused = daemon.ctl("deploy abuse")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    for part in ["rule abuse", "list @fresh"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    let now = status(daemon)?;
    assert_eq!((now.staged, now.revision), (2, 1));
    daemon.ctl("deploy")?.ok()?;
    // Of a list that is deployed, the deployed content is used.
    staged(
        daemon,
        &["list add fresh 192.0.2.2", "rule edit abuse --note again"],
    )?;
    let deployed = daemon.ctl("deploy abuse")?.ok()?;
    assert!(deployed.contains("list @fresh stay staged"), "{deployed}");
    scene.send(&[marked("192.0.2.1", 1), marked("192.0.2.2", 2)], 3)?;
    scene.judged(6)?;
    assert_eq!((scene.receiver.count(1), scene.receiver.count(2)), (0, 3));
    Ok(())
}

#[test]
fn an_edit_that_others_need_is_not_discarded_alone() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let with_list = format!("{BLOCK}\n[list.old]\nmatch = [\"192.0.2.1\"]\n");
    apply(
        daemon,
        &with_list.replace("\"203.0.113.0/24\"", "\"@old\", \"203.0.113.0/24\""),
    )?;
    staged(
        daemon,
        &["rule edit abuse --remove-match @old", "list remove old"],
    )?;
    let refused = daemon.ctl("discard abuse")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("list @old"), "{refused:?}");
    assert_eq!(status(daemon)?.staged, 2);
    daemon.ctl("deploy abuse")?.ok()?;
    assert_eq!(status(daemon)?.staged, 1);
    daemon.ctl("deploy")?.ok()?;
    Ok(())
}

#[test]
fn a_rule_without_staged_edits_is_named() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    daemon.ctl("allow add 192.0.2.9")?.ok()?;
    for (command, said) in [
        ("deploy abuse", "no staged edit changes rule `abuse`"),
        ("discard abuse", "no staged edit changes rule `abuse`"),
        ("deploy abuze", "abuse"),
    ] {
        let refused = daemon.ctl(command)?;
        assert_eq!(refused.code, 2, "{command}: {refused:?}");
        assert!(refused.stderr.contains(said), "{command}: {refused:?}");
    }
    assert_eq!(status(daemon)?.staged, 1);
    Ok(())
}

/// Edits that were large when they were staged are kept only by their names.
#[test]
fn a_large_import_belongs_to_its_rule() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let daemon = &scene.daemon;
    let many: Vec<_> = (0..20_000)
        .map(|n| format!("192.{}.{}.1", n / 250, n % 250))
        .collect();
    let many = many.join("\n");
    daemon
        .ctl_with_input("import - --into abuse", &many)?
        .ok()?;
    daemon.ctl("allow add 192.0.2.9")?.ok()?;
    daemon.ctl("deploy abuse")?.ok()?;
    let now = status(daemon)?;
    assert_eq!((now.staged, now.revision), (1, 2));
    let diff = daemon.ctl_json("diff")?;
    assert_eq!(diff["rules"].as_array().map(Vec::len), Some(0));
    Ok(())
}
