//! A disk that is full, read-only, or accepts only a part of a write.

use ipblock_fault::Step;
use ipblock_tests::{CtlOutput, DEADLINE, TinyDisk, require_privileged, wait_for};

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::{
    answers::{apply, status},
    bans::bans,
};

const PART: &str = "state directory";
const BYTES: u64 = 4 << 20;

/// With the state on a disk of its own.
fn stage_on_a_disk(root: ipblock_tests::Privileged) -> anyhow::Result<(Stage, TinyDisk)> {
    let disk = TinyDisk::mount(root, BYTES)?;
    let directory = disk.path().join("state");
    let stage = Stage::with(root, |daemon| daemon.state_dir(directory))?;
    Ok((stage, disk))
}

/// Tries all kinds of changes; each fails with these words and changes nothing. Returns the number
/// of attempts.
fn assert_nothing_is_taken(stage: &mut Stage, said: &str) -> anyhow::Result<u64> {
    let (revision, side) = (status(&stage.daemon)?.revision, stage.side()?);
    let ruleset = stage.next_ruleset(1 - side);
    let refused = |output: &CtlOutput| {
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains(said), "{output:?}");
        assert!(output.stderr.contains("hint: "), "{output:?}");
    };
    let daemon = &stage.daemon;
    refused(&daemon.ctl_with_input("apply -", &ruleset)?);
    refused(&daemon.ctl("ban 198.18.0.1 --for 1h")?);
    refused(&daemon.ctl("unban 198.51.100.200")?);
    refused(&daemon.ctl("rule edit abuse --note lost")?);
    refused(&daemon.ctl("zone set late --default pass --deploy")?);
    let now = stage.converged()?;
    assert_eq!((now.revision, now.staged), (revision, 0));
    assert_eq!(stage.side()?, side);
    Ok(5)
}

fn assert_changes_are_taken(stage: &mut Stage) -> anyhow::Result<()> {
    let side = stage.side()?;
    let ruleset = stage.other_ruleset(side, 1);
    assert!(apply(&stage.daemon, &ruleset)?.changed);
    assert_eq!(stage.side()?, 1 - side);
    stage.converged().map(drop)
}

#[test]
fn a_full_disk_refuses_changes_and_loses_none() -> anyhow::Result<()> {
    let root = require_privileged!();
    let (mut stage, disk) = stage_on_a_disk(root)?;
    let mut injected = 0;
    for _ in 0..3 {
        disk.fill()?;
        injected += assert_nothing_is_taken(&mut stage, "no space left")?;
        // A start needs no room.
        stage.daemon.kill()?;
        stage.daemon.start()?;
        injected += 1;
        stage.converged()?;
        disk.make_room()?;
        assert_changes_are_taken(&mut stage)?;
    }
    let entry = Entry {
        part: PART,
        fault: "disk full: deploy, ban, unban, edit, zone, kill and start",
        injected,
        outcome: "refused with what to do, works again once there is room",
    };
    close(stage, entry)
}

#[test]
fn a_disk_that_fills_up_after_the_links_were_switched_brings_the_old_program_back()
-> anyhow::Result<()> {
    let root = require_privileged!();
    let (mut stage, disk) = stage_on_a_disk(root)?;
    let mut injected = 0;
    for step in [Step::LinkSwitched, Step::LinksSettled, Step::CountsRead] {
        let (revision, side) = (status(&stage.daemon)?.revision, stage.side()?);
        let ruleset = stage.other_ruleset(side, 2);
        let fault = stage.daemon.fault();
        fault.hold_at(step.name(), 1)?;
        let output = std::thread::scope(|scope| {
            let daemon = &stage.daemon;
            let deploy = scope.spawn(|| daemon.ctl_with_input("apply -", &ruleset));
            let held = wait_for(DEADLINE, "the step", || fault.is_reached().then_some(()));
            let filled = disk.fill();
            fault.clear()?;
            held.and(filled)?;
            deploy.join().unwrap()
        })?;
        injected += 1;
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("no space left"), "{output:?}");
        disk.make_room()?;
        let now = status(&stage.daemon)?;
        assert_eq!((now.revision, stage.side()?), (revision, side));
        stage.daemon.kill()?;
        stage.daemon.start()?;
        assert_eq!(stage.converged()?.revision, revision);
        assert_changes_are_taken(&mut stage)?;
    }
    let entry = Entry {
        part: PART,
        fault: "disk that fills up between the switch of a link and its record",
        injected,
        outcome: "the old program is back on every link, what the new one counted is kept",
    };
    close(stage, entry)
}

#[test]
fn a_read_only_disk_refuses_changes_and_loses_none() -> anyhow::Result<()> {
    let root = require_privileged!();
    let (mut stage, disk) = stage_on_a_disk(root)?;
    let mut injected = 0;
    for _ in 0..3 {
        // The database is open for writing, so it cannot be remounted under a daemon that lives.
        stage.daemon.kill()?;
        disk.set_read_only(true)?;
        let refused = stage.daemon.start().unwrap_err();
        assert!(refused.to_string().contains("read-only"), "{refused}");
        injected += 1;
        stage.flow(20)?;
        disk.set_read_only(false)?;
        stage.daemon.start()?;
        assert_changes_are_taken(&mut stage)?;
    }
    let entry = Entry {
        part: PART,
        fault: "read-only disk at a start",
        injected,
        outcome: "refuses to start and says so; the kernel filters on; works again once it may write",
    };
    close(stage, entry)
}

#[test]
fn writes_that_the_disk_takes_in_part_are_undone() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let mut injected = 0;
    for beyond in [0, 1, 24, 1_000, 4_095, 4_096, 5_000, 9_000] {
        let log = stage.daemon.state_dir().join("ipblock.db-wal");
        let written = std::fs::metadata(&log)?.len();
        let pid = stage.daemon.pid().unwrap().to_string();
        let limit = |bytes: &str| {
            let fsize = format!("--fsize={bytes}");
            stage
                .pair()
                .host
                .netns
                .run(["prlimit", "--pid", &pid, &fsize])
        };
        // Data is written up to the limit, and then not at all.
        limit(&format!("{}:", written + beyond))?;
        let taken = |stage: &Stage| -> anyhow::Result<_> {
            Ok((status(&stage.daemon)?.staged, bans(&stage.daemon)?.len()))
        };
        let before = taken(&stage)?;
        let edit = ["rule", "edit", "abuse", "--note", "n"];
        let edits = [&edit[..], &["ban", "198.18.0.1", "--permanent"]];
        let mut refused = 0;
        for edit in edits {
            let output = stage.daemon.ctl(edit)?;
            refused += u64::from(output.code != 0);
        }
        limit("unlimited:")?;
        let after = taken(&stage)?;
        // All refused, and nothing changed; or there was room for some.
        assert!(refused == 2 || after != before, "{refused} refused");
        assert!(refused < 2 || after == before, "{before:?} {after:?}");
        injected += refused;
        stage.daemon.ctl("unban 198.18.0.1")?.ok()?;
        stage.daemon.ctl("discard")?.ok()?;
        stage.daemon.kill()?;
        stage.daemon.start()?;
        assert_changes_are_taken(&mut stage)?;
    }
    assert!(injected > 8, "{injected}");
    let entry = Entry {
        part: PART,
        fault: "short writes: a limit on the size of files cuts one at 8 places",
        injected,
        outcome: "refused and undone, the daemon goes on",
    };
    close(stage, entry)
}
