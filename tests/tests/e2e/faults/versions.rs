//! Data of another version, or unreadable data.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

use aya::maps::{Array, Map, MapData};
use ipblock_common::{ABI_VERSION, GenerationMeta};
use ipblock_tests::{Daemon, require_privileged};

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::answers::{live_generations, pinned_generations, status};

const PART: &str = "versions and damage";

/// Marks all pins as those of another ABI.
fn make_abi(daemon: &Daemon, abi: u32) -> anyhow::Result<()> {
    let root = daemon.bpffs().join("ipblock");
    for number in pinned_generations(daemon)? {
        let path = root
            .join("generations")
            .join(number.to_string())
            .join("generation");
        let old = Map::from_map_data(MapData::from_pin(&path)?)?;
        let old: Array<_, GenerationMeta> = old.try_into()?;
        let meta = GenerationMeta {
            abi,
            ..old.get(&0, 0)?
        };
        let mut new: Array<MapData, GenerationMeta> = Array::create(1, 0)?;
        new.set(0, meta, 0)?;
        fs::remove_file(&path)?;
        new.pin(&path)?;
    }
    let shared = root.join("shared");
    let (from, to) = (
        shared.join(ABI_VERSION.to_string()),
        shared.join(abi.to_string()),
    );
    fs::create_dir(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        MapData::from_pin(entry.path())?.pin(to.join(entry.file_name()))?;
    }
    Ok(fs::remove_dir_all(from)?)
}

#[test]
fn what_another_abi_left_is_replaced_without_a_gap() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let mut injected = 0;
    for abi in [ABI_VERSION + 94, ABI_VERSION - 1, ABI_VERSION + 1] {
        let before = live_generations(&status(&stage.daemon)?);
        stage.daemon.kill()?;
        make_abi(&stage.daemon, abi)?;
        injected += 1;
        stage.flow(10)?;
        let log = stage.daemon.log().len();
        stage.daemon.start()?;
        let after = live_generations(&stage.converged()?);
        assert!(after.iter().all(|number| !before.contains(number)));
        assert!(stage.daemon.log()[log..].contains("another ABI"));
    }
    let entry = Entry {
        part: PART,
        fault: "take-over from a program of another ABI number, newer and older",
        injected,
        outcome: "replaced on the link; no packet between, every packet counted, bans kept",
    };
    close(stage, entry)
}

/// Writes bytes into the database.
fn damage(database: &Path, at: u64, bytes: &[u8]) -> anyhow::Result<()> {
    let file = File::options().write(true).open(database)?;
    Ok(file.write_all_at(bytes, at)?)
}

#[test]
fn a_store_that_is_damaged_or_of_another_version_stops_no_filter() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let database = stage.daemon.state_dir().join("ipblock.db");
    let mut injected = 0;
    let generations = live_generations(&stage.converged()?);
    // The header's first bytes, a future version (`user_version`, at 60), pages, an empty file.
    let garbage = [0x5a; 4096];
    let faults: [(&str, u64, &[u8]); 4] = [
        ("header", 0, &garbage[..16]),
        ("version", 60, &[0, 0, 0, 99]),
        ("first page", 0, &garbage),
        ("second page", 4096, &garbage),
    ];
    for (what, at, bytes) in faults {
        // A store that was closed is one file.
        assert!(stage.daemon.terminate()?.success());
        let sound = fs::read(&database)?;
        damage(&database, at, bytes)?;
        let refused = stage.daemon.start().unwrap_err().to_string();
        assert!(refused.contains("hint: "), "{what}: {refused}");
        injected += 1;
        // The damaged file is kept for analysis, and the kernel continues to filter.
        assert_ne!(fs::read(&database)?, sound, "{what}");
        stage.flow(10)?;
        fs::write(&database, &sound)?;
        stage.daemon.start()?;
        assert_eq!(live_generations(&stage.converged()?), generations);
    }
    // The file is missing: a new store would empty the kernel.
    assert!(stage.daemon.terminate()?.success());
    let sound = fs::read(&database)?;
    fs::remove_file(&database)?;
    let refused = stage.daemon.start().unwrap_err().to_string();
    assert!(refused.contains("another state directory"), "{refused}");
    injected += 1;
    stage.flow(10)?;
    fs::write(&database, &sound)?;
    stage.daemon.start()?;
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "store damaged, of a newer version, or gone",
        injected,
        outcome: "refuses to start and says what to do; filters on; starts with the store put back",
    };
    close(stage, entry)
}
