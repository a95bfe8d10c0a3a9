//! Rejected input changes nothing, neither in the kernel nor in the store.

use ipblock_tests::{CtlOutput, Daemon, Privileged, require_privileged};
use serde_json::Value;

use crate::{
    answers::{OnInterface, apply, pinned_generations, program_on, status},
    scenario::{BLOCK, Scene},
};

/// Everything that a rejected request must leave unchanged.
#[derive(Debug, PartialEq)]
struct Everything {
    generations: Vec<u64>,
    program: Option<OnInterface>,
    revision: u64,
    staged: u64,
    deployed: String,
    rules: Value,
}

impl Everything {
    fn of(scene: &Scene) -> anyhow::Result<Self> {
        let daemon = &scene.daemon;
        let status = status(daemon)?;
        Ok(Self {
            generations: pinned_generations(daemon)?,
            program: program_on(&scene.pair.host.netns, scene.interface())?,
            revision: status.revision,
            staged: status.staged,
            deployed: daemon.ctl("export")?.ok()?,
            rules: daemon.ctl_json("rule list")?,
        })
    }
}

fn scene(root: Privileged) -> anyhow::Result<Scene> {
    let scene = Scene::filtering(root, BLOCK)?;
    Ok(scene)
}

/// Asserts that a request exits with 2, prints these texts and changes nothing.
fn assert_refused(
    scene: &Scene,
    request: impl FnOnce(&Daemon) -> anyhow::Result<CtlOutput>,
    said: &[&str],
) -> anyhow::Result<()> {
    assert_refused_with(2, scene, request, said)
}

/// As [`assert_refused`], with another exit code.
fn assert_refused_with(
    code: i32,
    scene: &Scene,
    request: impl FnOnce(&Daemon) -> anyhow::Result<CtlOutput>,
    said: &[&str],
) -> anyhow::Result<()> {
    let before = Everything::of(scene)?;
    let output = request(&scene.daemon)?;
    assert_eq!(output.code, code, "{output:?}");
    assert_eq!(output.stdout, "");
    for text in said {
        assert!(
            output.stderr.contains(text),
            "{text:?} in\n{}",
            output.stderr
        );
    }
    assert_eq!(Everything::of(scene)?, before);
    Ok(())
}

#[test]
fn a_file_with_errors_is_refused_with_the_place_of_each() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("rules.toml");
    let text = r#"[[rule]]
name = "abuse"
action = "block"
match = ["10.0.0.1/8", "192.0.2.9-192.0.2.1"]

[[rule]]
name = "other"
action = "refuse"
match = ["@nowhere", "192.0.2.1-2001:db8::1"]
colour = "red"
"#;
    std::fs::write(&path, text)?;
    let file = path.to_str().unwrap();
    let at = |place: &str| format!("{file}:{place}: ");
    let places = ["4:10", "4:24", "8:10", "9:10", "9:22", "10:1"].map(at);
    let mut said: Vec<&str> = places.iter().map(String::as_str).collect();
    said.extend([
        "10.0.0.1/8",
        "10.0.0.0/8",
        "192.0.2.1-192.0.2.9",
        "refuse",
        "@nowhere",
        "colour",
        "hint: ",
    ]);
    assert_refused(&scene, |daemon| daemon.ctl(["apply", file]), &said)?;
    let dry_run = ["apply", "--dry-run", file];
    assert_refused(&scene, |daemon| daemon.ctl(dry_run), &said)
}

#[test]
fn a_file_that_is_no_toml_or_names_a_rule_twice_or_is_not_there_is_refused() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let broken = "[[rule]]\nname = abuse\n";
    let request = |daemon: &Daemon| daemon.ctl_with_input("apply -", broken);
    assert_refused(&scene, request, &["<stdin>:2:8: "])?;
    let twice = BLOCK.repeat(2);
    let request = |daemon: &Daemon| daemon.ctl_with_input("apply -", &twice);
    let said = ["<stdin>:8:8: ", "duplicate rule name `abuse`", "line 3"];
    assert_refused(&scene, request, &said)?;
    let missing = "apply /nonexistent/rules.toml";
    let request = |daemon: &Daemon| daemon.ctl(missing);
    assert_refused(&scene, request, &["/nonexistent/rules.toml"])
}

#[test]
fn blocking_everything_needs_force() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let everything = BLOCK.replace("203.0.113.0/24", "0.0.0.0/0");
    let request = |daemon: &Daemon| daemon.ctl_with_input("apply -", &everything);
    assert_refused_with(
        3,
        &scene,
        request,
        &["<stdin>:5:9: ", "0.0.0.0/0", "--force"],
    )?;
    let add = "rule add all --action block --match ::/0";
    let request = |daemon: &Daemon| daemon.ctl(add);
    assert_refused_with(3, &scene, request, &["::/0", "--force"])?;
    // With an error that no force lets pass it is bad input.
    let worse = format!("{everything}colour = \"red\"\n");
    let request = |daemon: &Daemon| daemon.ctl_with_input("apply -", &worse);
    assert_refused(&scene, request, &["0.0.0.0/0", "colour"])?;
    let forced = "apply --force -";
    scene.daemon.ctl_with_input(forced, &everything)?.ok()?;
    assert_eq!(status(&scene.daemon)?.revision, 2);
    Ok(())
}

#[test]
fn edits_that_make_no_sense_are_refused() -> anyhow::Result<()> {
    let root = require_privileged!();
    let scene = scene(root)?;
    let add = |matches| format!("rule add new --action block --match {matches} --deploy");
    for (arguments, said) in [
        (add("192.0.2.1/24"), &["192.0.2.1/24", "192.0.2.0/24"][..]),
        (add("192.0.2.9-192.0.2.1"), &["192.0.2.9-192.0.2.1"]),
        (add("192.0.2.1-2001:db8::1"), &["192.0.2.1-2001:db8::1"]),
        (add("192.0.2.300"), &["192.0.2.300"]),
        (add("@nowhere"), &["nowhere"]),
        ("rule remove nope".to_owned(), &["nope"]),
        ("rule edit nope --note x".to_owned(), &["nope"]),
        (
            "rule edit abuse --remove-match 198.51.100.7".to_owned(),
            &["198.51.100.7"],
        ),
        ("allow remove 198.51.100.7".to_owned(), &["198.51.100.7"]),
        ("check 192.0.2.1/24".to_owned(), &["192.0.2.1/24"]),
        ("check @nowhere".to_owned(), &["nowhere"]),
        ("rule show nope".to_owned(), &["nope"]),
    ] {
        assert_refused(&scene, |daemon| daemon.ctl(arguments), said)?;
    }
    Ok(())
}

#[test]
fn more_entries_than_the_capacity_are_refused() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = ipblock_tests::VethPair::new(root, ipblock_tests::VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(&pair.host.interface)
        .argument("--capacity")
        .argument("10")
        .start()?;
    let scene = Scene::of(daemon, pair)?;
    let hosts = |number: u32| -> Vec<String> {
        // Every other address: none merge.
        (0..number)
            .map(|host| format!("\"203.0.113.{}\"", host * 2))
            .collect()
    };
    let ruleset = |number| {
        let hosts = hosts(number).join(", ");
        format!("[[rule]]\nname = \"hosts\"\naction = \"block\"\nmatch = [{hosts}]\n")
    };
    apply(&scene.daemon, &ruleset(10))?;
    let too_many = ruleset(11);
    let request = |daemon: &Daemon| daemon.ctl_with_input("apply -", &too_many);
    let said = [
        "needs 11 kernel entries",
        "the capacity is 10",
        "--capacity",
    ];
    assert_refused(&scene, request, &said)?;

    // Edits are staged, and stay so when the deploy is refused.
    let edit = "rule edit hosts --add-match 2001:db8::1";
    scene.daemon.ctl(edit)?.ok()?;
    assert_refused(&scene, |daemon| daemon.ctl("deploy"), &said)?;
    assert_eq!(status(&scene.daemon)?.staged, 1);
    scene.daemon.ctl("discard")?.ok()?;
    apply(&scene.daemon, &ruleset(9))?;
    assert_eq!(status(&scene.daemon)?.revision, 2);
    Ok(())
}
