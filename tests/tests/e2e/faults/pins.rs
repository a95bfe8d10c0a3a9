//! Pins that another process unpins or replaces.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aya::maps::{Array, MapData, MapInfo};
use ipblock_tests::{DEADLINE, require_privileged, wait_for};

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::answers::{live_generations, status};

const PART: &str = "pins";

/// All pins: the kernel's id of the object at each path.
type Pins = BTreeMap<PathBuf, Option<u32>>;

fn pinned(stage: &Stage) -> anyhow::Result<Pins> {
    fn collect(directory: &Path, into: &mut Pins) -> anyhow::Result<()> {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                collect(&path, into)?;
            } else {
                let id = MapInfo::from_pin(&path).ok().map(|object| object.id());
                into.insert(path, id);
            }
        }
        Ok(())
    }
    let mut pins = Pins::new();
    collect(&stage.daemon.bpffs().join("ipblock"), &mut pins)?;
    Ok(pins)
}

/// Atomically pins another object there.
fn pin_something_else(stage: &Stage, path: &Path) -> anyhow::Result<()> {
    let map: Array<MapData, u64> = Array::create(1, 0)?;
    let aside = stage.daemon.bpffs().join("aside");
    map.pin(&aside)?;
    Ok(fs::rename(aside, path)?)
}

fn repairs(stage: &Stage) -> u64 {
    let log = stage.daemon.log();
    log.matches("drift was put right").count() as u64
}

/// Waits until every pin is restored, and the daemon knows it; then has another daemon adopt the
/// pins.
fn assert_put_right(stage: &mut Stage, pins: &Pins) -> anyhow::Result<()> {
    wait_for(DEADLINE, "all pins to be as they were", || {
        let is_put_right =
            pinned(stage).ok()? == *pins && status(&stage.daemon).ok()?.problems.is_empty();
        is_put_right.then_some(())
    })?;
    let generations = live_generations(&stage.converged()?);
    stage.daemon.kill()?;
    stage.daemon.start()?;
    assert_eq!(live_generations(&stage.converged()?), generations);
    Ok(())
}

#[test]
fn pins_that_are_removed_are_put_back() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut stage = Stage::new(root)?;
    let pins = pinned(&stage)?;
    assert_eq!(repairs(&stage), 0);
    let root = stage.daemon.bpffs().join("ipblock");
    let mut injected = 0;
    for part in ["links", "generations", "shared", ""] {
        let before = repairs(&stage);
        fs::remove_dir_all(root.join(part))?;
        injected += 1;
        wait_for(DEADLINE, "the repair", || {
            (repairs(&stage) > before).then_some(())
        })?;
        assert_put_right(&mut stage, &pins)?;
    }
    for path in pins.keys() {
        fs::remove_file(path)?;
        injected += 1;
    }
    assert_put_right(&mut stage, &pins)?;
    let entry = Entry {
        part: PART,
        fault: "each pin removed, each directory of pins removed, all removed",
        injected,
        outcome: "pinned again; the next daemon takes over the same generations",
    };
    close(stage, entry)
}

#[test]
fn pins_that_are_replaced_by_other_objects_are_put_back() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let pins = pinned(&stage)?;
    let mut injected = 0;
    for path in pins.keys() {
        let before = repairs(&stage);
        pin_something_else(&stage, path)?;
        injected += 1;
        if injected % 10 == 0 {
            wait_for(DEADLINE, "the repair", || {
                (repairs(&stage) > before).then_some(())
            })?;
        }
    }
    assert_put_right(&mut stage, &pins)?;
    let entry = Entry {
        part: PART,
        fault: "each pin replaced by another map",
        injected,
        outcome: "ours is pinned again; the next daemon takes over the same generations",
    };
    close(stage, entry)
}

#[test]
fn maps_that_were_unpinned_while_no_daemon_ran_cost_no_count() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let mut injected = 0;
    for (name, replaced) in [
        ("FILTER_V4", false),
        ("layout", false),
        ("IPV6", true),
        ("CLASSES", true),
        ("NET_LINES", true),
    ] {
        let before = live_generations(&status(&stage.daemon)?);
        stage.daemon.kill()?;
        for number in &before {
            let generation = stage.daemon.bpffs().join("ipblock/generations");
            let path = generation.join(number.to_string()).join(name);
            if replaced {
                pin_something_else(&stage, &path)?;
            } else {
                fs::remove_file(&path)?;
            }
            injected += 1;
        }
        stage.flow(10)?;
        stage.daemon.start()?;
        let after = live_generations(&stage.converged()?);
        assert!(after.iter().all(|number| !before.contains(number)));
    }
    let entry = Entry {
        part: PART,
        fault: "a map of each generation removed or replaced while no daemon runs",
        injected,
        outcome: "built anew and replaced on the link; every packet is counted",
    };
    close(stage, entry)
}

#[test]
fn a_bpffs_that_is_unmounted_under_the_daemon_is_filled_again_when_it_is_back() -> anyhow::Result<()>
{
    let mut stage = Stage::new(require_privileged!())?;
    let pins = pinned(&stage)?;
    let mut injected = 0;
    for _ in 0..3 {
        stage.daemon.bpffs_mount().unmount()?;
        injected += 1;
        wait_for(DEADLINE, "the status to tell of it", || {
            let problems = status(&stage.daemon).ok()?.problems;
            let told = |problem: &String| problem.contains("mount -t bpf");
            problems.iter().any(told).then_some(())
        })?;
        stage.flow(10)?;
        let (revision, side) = (status(&stage.daemon)?.revision, stage.side()?);
        let ruleset = stage.next_ruleset(1 - side);
        let output = stage.daemon.ctl_with_input("apply -", &ruleset)?;
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("mount -t bpf"), "{output:?}");
        assert_eq!(
            (status(&stage.daemon)?.revision, stage.side()?),
            (revision, side)
        );
        // A ban does not need pins.
        stage.daemon.ctl("ban 198.18.0.1 --for 1h")?.ok()?;
        stage.daemon.ctl("unban 198.18.0.1")?.ok()?;
        stage.daemon.bpffs_mount().mount_again()?;
        assert_put_right(&mut stage, &pins)?;
    }
    let entry = Entry {
        part: PART,
        fault: "bpffs unmounted under the daemon and mounted again, empty",
        injected,
        outcome: "filters and bans on, refuses deploys and says why; all is pinned again",
    };
    close(stage, entry)
}
