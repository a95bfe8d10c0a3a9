//! Backup and restore of everything: on the same machine and on another one.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use ipblock_tests::{DEADLINE, Daemon, VethOptions, VethPair, require_privileged};

use crate::{
    answers::{
        apply, apply_forced, check, count_of, counters, live_generations, pinned_generations,
        status,
    },
    scenario::{Scene, marked},
};

const RULESET: &str = r#"
[list.feed]
match = ["203.0.113.64/26"]

[allow]
match = [{ at = "203.0.113.65", note = "office" }]

[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.7", "@feed"]
"#;

/// Saves a backup in the state directory, and returns its path.
fn backed_up(scene: &Scene, name: &str) -> anyhow::Result<String> {
    let file = scene.daemon.state_dir().join(name);
    let file = file.to_string_lossy().into_owned();
    scene.daemon.ctl(["backup", &file])?.ok()?;
    Ok(file)
}

#[test]
fn a_backup_brings_rules_history_and_counts_back() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), RULESET)?;
    scene.send(&[marked("203.0.113.7", 1)], 5)?;
    scene.judged(5)?;
    scene.daemon.ctl("ban 203.0.113.200 --for 1h")?.ok()?;
    let file = scene.daemon.state_dir().join("monday.db");
    let file = file.to_string_lossy().into_owned();
    let exported = scene.daemon.ctl("export")?.ok()?;
    let history = scene.daemon.ctl_json("history")?;
    scene.daemon.ctl(["backup", &file])?.ok()?;

    apply_forced(&scene.daemon, "")?;
    scene.daemon.ctl("unban 203.0.113.200")?.ok()?;
    scene.daemon.ctl("ban 203.0.113.201 --for 1h")?.ok()?;
    scene.send(&[marked("203.0.113.7", 2)], 5)?;
    scene.judged(10)?;
    assert_eq!(scene.receiver.count(2), 5);
    let dry = scene.daemon.ctl(["restore", &file, "--dry-run"])?;
    assert_eq!(dry.code, 6, "{dry:?}");
    assert!(dry.stdout.contains("+ rule abuse: added"), "{dry:?}");
    assert_eq!(status(&scene.daemon)?.revision, 2);

    scene.daemon.ctl(["restore", &file])?.ok()?;
    let now = status(&scene.daemon)?;
    assert_eq!((now.revision, &now.problems), (1, &Vec::new()));
    assert_eq!(pinned_generations(&scene.daemon)?, live_generations(&now));
    assert_eq!(scene.daemon.ctl("export")?.ok()?, exported);
    assert_eq!(scene.daemon.ctl_json("history")?, history);
    // What was counted until the backup, and what comes from now on.
    assert_eq!(count_of(&counters(&scene.daemon)?, "abuse").packets, 5);
    let frames = [
        marked("203.0.113.200", 5),
        marked("203.0.113.201", 6),
        marked("203.0.113.7", 3),
        marked("203.0.113.65", 4),
    ];
    scene.send(&frames, 5)?;
    // The totals too are those of the backup, and what came since.
    scene.receiver.wait_for_count(4, 5, DEADLINE)?;
    let counters = counters(&scene.daemon)?;
    assert_eq!(scene.receiver.count(3), 0);
    assert_eq!((scene.receiver.count(5), scene.receiver.count(6)), (0, 5));
    assert_eq!(count_of(&counters, "abuse").packets, 10);
    assert_eq!(counters.bans.packets, 5);
    assert_eq!(counters.totals.dropped.packets, 15);
    assert_eq!(counters.totals.allowed.packets, 5);
    let answer = check(&scene.daemon, &["203.0.113.64/26"])?;
    assert!(
        answer.iter().all(|part| part.kernel_agrees == Some(true)),
        "{answer:?}"
    );

    scene.daemon.kill()?;
    scene.daemon.start()?;
    assert_eq!(status(&scene.daemon)?.revision, 1);
    assert_eq!(scene.daemon.ctl("export")?.ok()?, exported);
    Ok(())
}

#[test]
fn another_machine_takes_a_backup_over_with_its_own_interfaces() -> anyhow::Result<()> {
    let root = require_privileged!();
    let original = Scene::attached(root, "native")?;
    apply(&original.daemon, RULESET)?;
    let backup = backed_up(&original, "monday.db")?;

    let other = Scene::attached(root, "native")?;
    let unrelated = RULESET.replace("abuse", "unrelated").replace(".7", ".8");
    apply(&other.daemon, &unrelated)?;
    other.send(&[marked("203.0.113.8", 1)], 5)?;
    other.judged(5)?;
    other.daemon.ctl(["restore", &backup])?.ok()?;
    other.send(&[marked("203.0.113.7", 2), marked("203.0.113.8", 3)], 5)?;
    let counters = other.judged(10)?;
    assert_eq!(other.receiver.count(2), 0);
    assert_eq!(other.receiver.count(3), 5);
    // Five of the rule that is here now, none of the one that was.
    assert_eq!(count_of(&counters, "abuse").packets, 5);
    let names = other.daemon.ctl_json("rule list")?;
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{names}");
    Ok(())
}

#[test]
fn what_is_no_backup_is_refused_and_changes_nothing() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    for content in ["", "[[rule]]\nname = \"a\"\n"] {
        let refused = scene.daemon.ctl_with_input("restore -", content)?;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains("not an ipblock backup"),
            "{refused:?}"
        );
    }
    assert_eq!(status(&scene.daemon)?.revision, 1);
    let leftover = std::fs::read_dir(scene.daemon.state_dir())?
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with(".aside-"));
    assert!(!leftover, "a directory was left behind");
    Ok(())
}

#[test]
fn a_restore_over_staged_edits_is_refused_unless_forced() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    let backup = backed_up(&scene, "monday.db")?;
    let edit = ["rule", "edit", "abuse", "--note", "ticket 42"];
    scene.daemon.ctl(edit)?.ok()?;
    let refused = scene.daemon.ctl(["restore", &backup])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(status(&scene.daemon)?.staged, 1);
    scene.daemon.ctl(["restore", &backup, "--force"])?.ok()?;
    assert_eq!(status(&scene.daemon)?.staged, 0);
    Ok(())
}

#[test]
fn a_restore_over_a_revision_on_trial_is_refused_unless_forced() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    let backup = backed_up(&scene, "monday.db")?;
    let on_trial = "rule remove abuse --deploy --confirm-within 1h";
    scene.daemon.ctl(on_trial)?.ok()?;
    let refused = scene.daemon.ctl(["restore", &backup])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stderr.contains("awaits confirmation"),
        "{refused:?}"
    );
    let during = backed_up(&scene, "trial.db")?;
    scene.daemon.ctl(["restore", &backup, "--force"])?.ok()?;
    assert_eq!(status(&scene.daemon)?.confirm_deadline, None);
    // One that was made during a trial brings it back, and says so.
    let restored = scene.daemon.ctl_json(["restore", &during])?;
    assert!(
        restored["deployed"]["confirm_deadline"].is_string(),
        "{restored}"
    );
    assert!(status(&scene.daemon)?.confirm_deadline.is_some());
    Ok(())
}

#[test]
fn a_restore_is_refused_when_a_ban_in_it_would_cut_the_operator_off() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), RULESET)?;
    let operator = "203.0.113.200";
    scene.daemon.ctl(["ban", operator, "--permanent"])?.ok()?;
    let backup = backed_up(&scene, "monday.db")?;
    scene.daemon.ctl(["unban", operator])?.ok()?;

    let from = ["env", "IPBLOCK_SSH_PEER=203.0.113.200"];
    let dry = ["restore", &backup, "--dry-run"];
    let shown = scene.daemon.ctl_through(&from, dry, "")?;
    assert!(
        shown
            .stdout
            .contains("refused without --force: 203.0.113.200"),
        "{shown:?}"
    );
    let restore = ["restore", &backup];
    let refused = scene.daemon.ctl_through(&from, restore, "")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    let cause = "the ban of 203.0.113.200/32";
    assert!(refused.stderr.contains(cause), "{refused:?}");
    assert_eq!(status(&scene.daemon)?.bans, 0);
    let forced = ["restore", &backup, "--force"];
    scene.daemon.ctl_through(&from, forced, "")?.ok()?;
    assert_eq!(status(&scene.daemon)?.bans, 1);
    Ok(())
}

#[test]
fn a_backup_that_does_not_fit_is_refused_and_changes_nothing() -> anyhow::Result<()> {
    let root = require_privileged!();
    let large = Scene::attached(root, "native")?;
    apply(&large.daemon, RULESET)?;
    let backup = backed_up(&large, "monday.db")?;

    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface))
        .argument("--capacity")
        .argument("2")
        .start()?;
    let small = Scene::of(daemon, pair)?;
    let block = "[[rule]]\nname = \"own\"\naction = \"block\"\nmatch = [\"203.0.113.9\"]\n";
    apply(&small.daemon, block)?;
    let exported = small.daemon.ctl("export")?.ok()?;
    let refused = small.daemon.ctl(["restore", &backup])?;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("the capacity is 2"), "{refused:?}");
    assert_eq!(small.daemon.ctl("export")?.ok()?, exported);
    let now = status(&small.daemon)?;
    assert_eq!(now.problems, Vec::<String>::new());
    assert_eq!(pinned_generations(&small.daemon)?, live_generations(&now));
    small.send(&[marked("203.0.113.9", 1), marked("203.0.113.7", 2)], 5)?;
    small.judged(10)?;
    assert_eq!((small.receiver.count(1), small.receiver.count(2)), (0, 5));
    Ok(())
}

#[test]
fn what_a_killed_daemon_left_of_a_backup_goes_at_the_next_start() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    scene.daemon.kill()?;
    let aside = scene.daemon.state_dir().join(".aside-a1b2c3");
    let own = scene.daemon.state_dir().join("backup-monday");
    for directory in [&aside, &own] {
        std::fs::create_dir(directory)?;
        std::fs::write(directory.join("ipblock.db"), "half")?;
    }
    scene.daemon.start()?;
    assert!(!aside.exists());
    assert!(own.join("ipblock.db").exists());
    Ok(())
}

#[test]
fn a_backup_that_is_too_large_is_refused_before_it_is_received() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let mut stream = UnixStream::connect(scene.daemon.socket())?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let length = (1_u64 << 30) + 1;
    write!(
        stream,
        "POST /v1/restore HTTP/1.1\r\nhost: ipblock\r\ncontent-length: {length}\r\n\r\n"
    )?;
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(answer.contains("larger than 1073741824 bytes"), "{answer}");
    Ok(())
}
