//! Files that are not what the operator expects: empty, short, or made from another revision.

use ipblock_tests::{CtlOutput, Daemon, require_privileged};

use crate::{
    answers::{apply, apply_with, deploy, status},
    scenario::Scene,
};

const TWO: &str = r#"
[allow]
match = ["198.51.100.7"]

[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/24", "2001:db8:b::/48"]

[[rule]]
name = "watch"
action = "warn"
match = ["192.0.2.64/26"]
"#;

#[track_caller]
fn assert_refused(daemon: &Daemon, output: &CtlOutput, said: &[&str]) -> anyhow::Result<()> {
    assert_eq!(output.code, 3, "{output:?}");
    for text in said.iter().chain(&["--force"]) {
        assert!(output.stderr.contains(text), "{text:?} in {output:?}");
    }
    let rules = daemon.ctl_json("rule list")?;
    assert!(!rules[0].is_null(), "{rules}");
    Ok(())
}

#[test]
fn a_file_that_removes_most_is_refused() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    // Nothing is there to lose.
    apply(daemon, "")?;
    apply(daemon, TWO)?;
    let applied = |text: &str| daemon.ctl_with_input("apply -", text);
    for text in ["", "# a download that failed\n"] {
        assert_refused(
            daemon,
            &applied(text)?,
            &["the file is empty", "all 2 rules"],
        )?;
    }
    let allow = "[allow]\nmatch = [\"198.51.100.7\"]\n";
    assert_refused(daemon, &applied(allow)?, &["the file has no rule"])?;
    let one = "[[rule]]\nname = \"watch\"\naction = \"warn\"\nmatch = [\"192.0.2.64/26\"]\n";
    assert_refused(daemon, &applied(one)?, &["1 of 4 entries"])?;
    let dry_run = daemon.ctl_with_input("apply --dry-run -", "")?;
    assert_eq!(dry_run.code, 6, "{dry_run:?}");
    let said = "refused without --force: the file is empty";
    assert!(dry_run.stdout.contains(said), "{dry_run:?}");
    assert_eq!(status(daemon)?.revision, 1);
    // Half may go, and everything where that is meant.
    let half = format!("{one}\n[allow]\nmatch = [\"198.51.100.7\"]\n");
    apply(daemon, &half)?;
    let forced = apply_with(daemon, "--force", "")?;
    let warnings = forced.deployed.expect("it was deployed").warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("forced: the file is empty"),
        "{warnings:?}"
    );
    Ok(())
}

#[test]
fn a_file_of_another_revision_is_refused_and_names_what_came_in_between() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = Scene::attached(root, "native")?;
    let daemon = &scene.daemon;
    apply(daemon, TWO)?;
    let exports = ["toml", "json"].map(|format| daemon.ctl(["export", "--format", format]));
    let [toml, json] = exports.map(|export| export.unwrap().ok().unwrap());
    assert!(toml.starts_with("revision = \"1@"), "{toml}");
    let applied = |text: &str| daemon.ctl_with_input("apply -", text);
    for text in [&toml, &json] {
        assert!(applied(text)?.ok()?.starts_with("nothing to do"));
    }
    let colleague = [
        "rule",
        "add",
        "colleague",
        "--action",
        "block",
        "--match",
        "198.51.100.9",
        "--comment",
        "ticket 9",
    ];
    deploy(daemon, colleague)?;
    for text in [&toml, &json] {
        let said = [
            "made from revision 1",
            "revision 2 by uid 0 (root)",
            "ticket 9",
        ];
        assert_refused(daemon, &applied(text)?, &said)?;
    }
    let dry_run = daemon.ctl_with_input("apply --dry-run -", &toml)?;
    let said = "refused without --force: the file was made from revision 1";
    assert!(dry_run.stdout.contains(said), "{dry_run:?}");
    // The revision that it was made from comes back.
    daemon.ctl("rollback 1")?.ok()?;
    apply(daemon, &toml.replace("warn", "block"))?;
    assert_eq!(status(daemon)?.revision, 3);
    apply_with(daemon, "--force", &toml)?;
    // A file without the line is not compared, nor is one of another host.
    let (origin, ruleset) = toml.split_once('\n').unwrap();
    deploy(daemon, colleague)?;
    apply(daemon, ruleset)?;
    deploy(daemon, colleague)?;
    let (_, digest) = origin.split_once('.').unwrap();
    apply(
        daemon,
        &format!("revision = \"1@0123456789ab.{digest}\n{ruleset}"),
    )?;
    let garbled = daemon.ctl_with_input("apply -", "revision = \"21\"\n")?;
    assert_eq!(garbled.code, 2, "{garbled:?}");
    Ok(())
}

#[test]
fn what_was_forced_is_applied_again_unasked() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let wide = "[[rule]]\nname = \"all\"\naction = \"block\"\nmatch = [\"0.0.0.0/0\"]\n";
    for text in [
        wide.to_owned(),
        format!("{wide}except = [\"198.51.100.0/24\"]\n"),
        format!("[allow]\nmatch = [\"0.0.0.0/0\"]\n{wide}"),
    ] {
        apply_with(daemon, "--force", &text)?;
        for format in ["toml", "json"] {
            let exported = daemon.ctl(["export", "--format", format])?.ok()?;
            let again = daemon.ctl_with_input("apply -", &exported)?.ok()?;
            assert!(again.starts_with("nothing to do"), "{again}");
        }
        let noted = format!("{text}note = \"ticket 1\"\n");
        apply(daemon, &noted)?;
    }
    // A rule of the same kind needs its own confirmation.
    let more = format!("{wide}{}", wide.replace("all", "more"));
    let refused = daemon.ctl_with_input("apply -", &more)?;
    assert_refused(daemon, &refused, &["<stdin>:8:", "rule `more` would block"])?;
    Ok(())
}

#[test]
fn an_import_that_replaces_most_is_refused() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    apply(daemon, TWO)?;
    let import = |into: &str, flags: &[&str], input: &str| {
        let arguments = [&["import", "-", "--into", into], flags].concat();
        daemon.ctl_with_input(&arguments, input)
    };
    let hosts: Vec<_> = (0..200).map(|n| format!("198.51.100.{n}\n")).collect();
    let hosts = hosts.concat();
    import("@s", &[], &hosts)?.ok()?;
    let refused = import("@s", &["--replace"], "192.0.2.1\n")?;
    let said = ["@s would shrink from 200 prefixes to 1, by more than 50 %"];
    assert_refused(daemon, &refused, &said)?;
    assert_eq!(status(daemon)?.staged, 1);
    // Replacing all by the same number of others is allowed.
    let others = hosts.replace("198.51.100", "203.0.113");
    import("@s", &["--replace"], &others)?.ok()?;
    import("@s", &["--replace", "--force"], "192.0.2.1\n")?.ok()?;
    import("abuse", &[], &hosts)?.ok()?;
    let refused = import("abuse", &["--replace"], "192.0.2.1\n")?;
    assert_refused(
        daemon,
        &refused,
        &["abuse would shrink from 202 prefixes to 1"],
    )?;
    Ok(())
}
