//! Damaged backups with a live daemon: refused without a change, or restored, and the daemon starts
//! from the result. Also interrupted restores.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use ipblock_fault::Step;
use ipblock_store::{DATABASE, Store, StoredRuleset};
use ipblock_tests::{
    DEADLINE, Daemon, TinyDisk, VethOptions, VethPair, require_privileged, wait_for,
};
use rusqlite::{Connection, types::Value};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{
    answers::{apply, live_generations, pinned_generations, status},
    scenario::{BLOCK, Scene, marked},
};

const OTHER: &str = r#"
[[rule]]
name = "other"
action = "block"
match = ["198.51.100.0/24"]
"#;

/// The state that a refused restore must not change, as reported and in the kernel.
#[derive(Debug, PartialEq)]
struct Everything {
    told: BTreeMap<&'static str, Json>,
    /// Every row of what a restore replaces.
    rows: BTreeMap<String, Vec<Vec<Value>>>,
    pins: BTreeMap<PathBuf, u64>,
}

fn everything(scene: &Scene) -> anyhow::Result<Everything> {
    let mut told = BTreeMap::new();
    for command in ["history", "counters", "diff"] {
        told.insert(command, scene.daemon.ctl_json([command])?);
    }
    let mut pins = BTreeMap::new();
    add_pins(scene.daemon.bpffs(), &mut pins)?;
    Ok(Everything {
        told,
        rows: rows(scene)?,
        pins,
    })
}

fn add_pins(directory: &Path, pins: &mut BTreeMap<PathBuf, u64>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        pins.insert(entry.path(), entry.metadata()?.ino());
        if entry.file_type()?.is_dir() {
            add_pins(&entry.path(), pins)?;
        }
    }
    Ok(())
}

/// Every row of every table, as a backup has it.
fn rows(scene: &Scene) -> anyhow::Result<BTreeMap<String, Vec<Vec<Value>>>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("now.db");
    scene
        .daemon
        .ctl(["backup", path.to_str().context("a path")?])?
        .ok()?;
    let connection = Connection::open(&path)?;
    let names = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let mut tables = BTreeMap::new();
    for name in names {
        let mut statement = connection.prepare(&format!("SELECT * FROM {name}"))?;
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..columns).map(|column| row.get(column)).collect()
            })?
            .collect::<Result<Vec<Vec<Value>>, _>>()?;
        tables.insert(name, rows);
    }
    Ok(tables)
}

/// A backup with a history, a trial, staged edits and bans, next to a daemon with others.
struct Backup {
    directory: TempDir,
    sound: Vec<u8>,
}

impl Backup {
    fn of(scene: &Scene) -> anyhow::Result<Self> {
        let daemon = &scene.daemon;
        apply(daemon, OTHER)?;
        daemon
            .ctl_with_input("apply - --confirm-within 1h", BLOCK)?
            .ok()?;
        daemon.ctl("rule edit abuse --note staged")?.ok()?;
        daemon
            .ctl("rule add brief --action warn --match 192.0.2.9 --for 1h")?
            .ok()?;
        daemon.ctl("ban 203.0.113.99 --for 1h")?.ok()?;
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("sound.db");
        daemon
            .ctl(["backup", path.to_str().context("a path")?])?
            .ok()?;
        daemon.ctl("discard")?.ok()?;
        daemon.ctl("confirm")?.ok()?;
        daemon.ctl("unban 203.0.113.99")?.ok()?;
        daemon.ctl("ban 203.0.113.100 --for 1h")?.ok()?;
        let sound = fs::read(path)?;
        Ok(Self { directory, sound })
    }

    /// It as a file, with a change by SQL.
    fn changed(&self, sql: &str, value: &Value) -> anyhow::Result<Option<String>> {
        let path = self.directory.path().join("damaged.db");
        fs::write(&path, &self.sound)?;
        let connection = Connection::open(&path)?;
        connection.execute_batch("PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0")?;
        // SQLite itself rejected the value, so nothing is damaged.
        let is_changed = connection.execute(sql, [value]).is_ok();
        connection.close().map_err(|(_, error)| error)?;
        let path = path.to_str().context("a path")?.to_owned();
        Ok(is_changed.then_some(path))
    }

    /// Every column with its table and its type.
    fn columns(&self) -> anyhow::Result<Vec<(String, String, String)>> {
        let path = self.directory.path().join("columns.db");
        fs::write(&path, &self.sound)?;
        let connection = Connection::open(&path)?;
        let mut statement = connection.prepare(
            "SELECT m.name, p.name, p.type FROM sqlite_schema AS m, pragma_table_info(m.name) AS p
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY 1, p.cid",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Restores it. If it is refused, so is the dry run, and the state is as `before`; otherwise the
/// daemon starts from it. Returns whether it was restored.
fn restore_and_start(
    scene: &mut Scene,
    before: &Everything,
    file: &str,
    what: &str,
) -> anyhow::Result<bool> {
    let dry = scene.daemon.ctl(["restore", file, "--dry-run"])?;
    let restored = scene.daemon.ctl(["restore", file, "--force"])?;
    if restored.code != 0 {
        assert_eq!(
            (dry.code, restored.code),
            (2, 2),
            "{what}: {dry:?} {restored:?}"
        );
        assert!(
            restored.stderr.contains("not an ipblock backup"),
            "{what}: {restored:?}"
        );
        assert!(
            restored.stderr.contains("nothing was changed"),
            "{what}: {restored:?}"
        );
        assert_eq!(everything(scene)?, *before, "{what}");
        return Ok(false);
    }
    assert!([0, 6].contains(&dry.code), "{what}: {dry:?}");
    scene.daemon.kill()?;
    let started = scene.daemon.start();
    started.map_err(|error| {
        error.context(format!("{what}: restored, and the daemon does not start"))
    })?;
    let now = status(&scene.daemon)?;
    assert_eq!(
        pinned_generations(&scene.daemon)?,
        live_generations(&now),
        "{what}"
    );
    // And goes on.
    if now.confirm_deadline.is_some() {
        scene.daemon.ctl("confirm")?.ok()?;
    }
    scene.daemon.ctl("discard")?;
    apply(&scene.daemon, OTHER).with_context(|| what.to_owned())?;
    apply(&scene.daemon, BLOCK).with_context(|| what.to_owned())?;
    Ok(true)
}

#[test]
fn a_damaged_backup_is_refused_or_the_daemon_starts_from_it() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let backup = Backup::of(&scene)?;
    let nothing = Value::Integer(0);
    let sound = backup.changed("UPDATE store SET one = 1 WHERE ?1 = 0", &nothing)?;
    let sound = sound.context("a backup")?;
    let before = everything(&scene)?;
    scene.daemon.ctl(["restore", &sound, "--dry-run"])?;
    assert_eq!(everything(&scene)?, before, "a dry run changes nothing");
    assert!(restore_and_start(&mut scene, &before, &sound, "as it is")?);
    let mut before = everything(&scene)?;
    let (mut refused, mut restored) = (0, 0);
    for (table, column, kind) in backup.columns()? {
        let sql = format!("UPDATE OR REPLACE {table} SET {column} = ?1");
        let value = match kind.as_str() {
            "INTEGER" => Value::Integer(-5),
            "BLOB" => Value::Blob(b"nonsense".to_vec()),
            _ => Value::Text("nonsense".to_owned()),
        };
        let Some(file) = backup.changed(&sql, &value)? else {
            continue;
        };
        let what = format!("{table}.{column} = {value:?}");
        if restore_and_start(&mut scene, &before, &file, &what)? {
            restored += 1;
            before = everything(&scene)?;
        } else {
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused} refused, {restored} restored");
    scene.send(&[marked("203.0.113.7", 1), marked("198.51.100.7", 2)], 5)?;
    scene.receiver.wait_for_count(2, 5, DEADLINE)?;
    assert_eq!(scene.receiver.count(1), 0);
    Ok(())
}

/// A digest proves that a text is what was written, but not that it is a ruleset.
#[test]
fn a_backup_whose_text_is_not_a_ruleset_is_refused() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let backup = Backup::of(&scene)?;
    let before = everything(&scene)?;
    for (what, of) in [
        (
            "deployed",
            "SELECT ruleset FROM revision WHERE state = 'awaiting-confirmation'",
        ),
        ("staged", "SELECT ruleset FROM staged"),
        (
            "that comes back",
            "SELECT ruleset FROM revision WHERE number = (SELECT previous FROM confirmation)",
        ),
    ] {
        let path = backup.directory.path().join("text.db");
        fs::write(&path, &backup.sound)?;
        let connection = Connection::open(&path)?;
        let id: i64 = connection.query_row(of, [], |row| row.get(0))?;
        let text = "[[rule]]\nname = 7\n";
        connection.execute("DELETE FROM ruleset_piece WHERE ruleset = ?1", [id])?;
        connection.execute("DELETE FROM ruleset_rule WHERE ruleset = ?1", [id])?;
        let digest = digest(text)?;
        connection.execute(
            "UPDATE ruleset SET toml = ?1, sha256 = ?2 WHERE id = ?3",
            (text, digest, id),
        )?;
        connection.close().map_err(|(_, error)| error)?;
        let file = path.to_str().context("a path")?;
        let is_restored = restore_and_start(&mut scene, &before, file, what)?;
        assert!(!is_restored, "{what}");
    }
    Ok(())
}

/// The digest under which a store keeps a text.
fn digest(text: &str) -> anyhow::Result<Vec<u8>> {
    let directory = tempfile::tempdir()?;
    let ruleset = StoredRuleset {
        toml: text.to_owned(),
        ids: BTreeMap::new(),
    };
    Store::open(directory.path())?.stage(0, &ruleset, &[])?;
    let connection = Connection::open(directory.path().join(DATABASE))?;
    Ok(connection.query_row("SELECT sha256 FROM ruleset", [], |row| row.get(0))?)
}

#[test]
fn a_backup_with_more_bans_than_there_may_be_is_refused() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let backup = Backup::of(&scene)?;
    let many = "INSERT OR IGNORE INTO ban
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1000001)
        SELECT '10.' || (i >> 16) || '.' || ((i >> 8) & 255) || '.' || (i & 255) || '/32',
               ends, boot_id, boot_deadline, reason, time, uid, author
        FROM n, ban WHERE ?1 = 0";
    let file = backup
        .changed(many, &Value::Integer(0))?
        .context("a backup")?;
    let before = everything(&scene)?;
    let refused = scene.daemon.ctl(["restore", &file, "--force"])?;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(everything(&scene)?, before);
    assert!(
        refused.stderr.contains("bans are more than the 1000000"),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn a_restore_says_what_becomes_of_bans_and_counters() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    scene.daemon.ctl("ban 203.0.113.99 --for 1h")?.ok()?;
    let path = scene.daemon.state_dir().join("monday.db");
    let file = path.to_str().context("a path")?;
    scene.daemon.ctl(["backup", file])?.ok()?;
    let same = scene.daemon.ctl(["restore", file, "--dry-run"])?;
    assert_eq!(same.code, 0, "{same:?}");
    scene.daemon.ctl("unban 203.0.113.99")?.ok()?;
    scene.daemon.ctl("ban 203.0.113.100 --for 1h")?.ok()?;
    scene.send(&[marked("203.0.113.7", 1)], 5)?;
    scene.judged(5)?;
    let dry = scene.daemon.ctl(["restore", file, "--dry-run"])?;
    assert_eq!(dry.code, 6, "{dry:?}");
    let said = [
        "the rules are the same",
        "bans       +1 ban, -1 ban",
        "counters   go back to 0 packets, 0 dropped (now 5, 5 dropped)",
    ];
    for text in said {
        assert!(dry.stdout.contains(text), "{dry:?}");
    }
    let json = scene.daemon.ctl_json(["restore", file])?;
    let bans = serde_json::json!({"added": 1, "removed": 1, "changed": 0});
    assert_eq!(json["restored"]["bans"], bans, "{json}");
    assert_eq!(json["restored"]["packets"]["before"], 5, "{json}");
    assert_eq!(status(&scene.daemon)?.bans, 1);
    let again = scene.daemon.ctl(["restore", file])?.ok()?;
    assert!(again.contains("bans       the same"), "{again}");
    assert!(again.contains("is in force"), "{again}");
    Ok(())
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_or_the_new() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), OTHER)?;
    let path = scene.daemon.state_dir().join("monday.db");
    let file = path.to_str().context("a path")?.to_owned();
    scene.daemon.ctl(["backup", &file])?.ok()?;
    apply(&scene.daemon, BLOCK)?;
    let fault = scene.daemon.fault();
    fault.trace()?;
    scene.daemon.ctl(["restore", &file])?.ok()?;
    let steps = fault.traced()?;
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for step in &steps {
        *times.entry(step.clone()).or_default() += 1;
    }
    assert!(times.contains_key(Step::LinkSwitched.name()), "{times:?}");
    let mut ended_with = [0, 0];
    for (step, times) in times {
        for time in 1..=times {
            apply(&scene.daemon, BLOCK)?;
            fault.kill_at(&step, time)?;
            scene.daemon.ctl(["restore", &file])?;
            if !fault.is_reached() {
                // What the daemon does now and then was counted in.
                fault.clear()?;
                continue;
            }
            wait_for(DEADLINE, "the end", || scene.daemon.ended().ok().flatten())?;
            fault.clear()?;
            scene.daemon.start()?;
            let now = status(&scene.daemon)?;
            assert_eq!(
                pinned_generations(&scene.daemon)?,
                live_generations(&now),
                "{step}"
            );
            assert_eq!(now.problems, Vec::<String>::new(), "{step}");
            let rules = scene.daemon.ctl_json("rule list")?;
            let is_restored = rules[0]["name"] == "other";
            ended_with[usize::from(is_restored)] += 1;
            let (dropped, passed) = if is_restored {
                ("198.51.100.7", "203.0.113.7")
            } else {
                ("203.0.113.7", "198.51.100.7")
            };
            let before = scene.receiver.counts();
            let count = |marker| before.get(&marker).copied().unwrap_or_default();
            scene.send(&[marked(dropped, 1), marked(passed, 2)], 3)?;
            scene.receiver.wait_for_count(2, count(2) + 3, DEADLINE)?;
            assert_eq!(scene.receiver.count(1), count(1), "{step}");
        }
    }
    assert!(ended_with.iter().all(|times| *times > 0), "{ended_with:?}");
    Ok(())
}

#[test]
fn a_restore_for_which_there_is_no_room_brings_the_old_program_back() -> anyhow::Result<()> {
    let root = require_privileged!();
    let disk = TinyDisk::mount(root, 8 << 20)?;
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native", pair.host.interface))
        .state_dir(disk.path().join("state"))
        .start()?;
    let mut scene = Scene::of(daemon, pair)?;
    apply(&scene.daemon, OTHER)?;
    let path = scene.daemon.file("monday.db");
    let file = path.to_str().context("a path")?.to_owned();
    scene.daemon.ctl(["backup", &file])?.ok()?;
    apply(&scene.daemon, BLOCK)?;
    let before = everything(&scene)?;
    let fault = scene.daemon.fault();
    fault.hold_at(Step::LinksSettled.name(), 1)?;
    let output = std::thread::scope(|scope| {
        let daemon = &scene.daemon;
        let restore = scope.spawn(|| daemon.ctl(["restore", &file]));
        let held = wait_for(DEADLINE, "the step", || fault.is_reached().then_some(()));
        let filled = disk.fill();
        fault.clear()?;
        held.and(filled)?;
        restore.join().unwrap()
    })?;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("no space left"), "{output:?}");
    assert!(output.stderr.contains("nothing was changed"), "{output:?}");
    disk.make_room()?;
    scene.send(&[marked("203.0.113.7", 1), marked("198.51.100.7", 2)], 5)?;
    scene.receiver.wait_for_count(2, 5, DEADLINE)?;
    assert_eq!(scene.receiver.count(1), 0);
    assert_eq!(everything(&scene)?.told["history"], before.told["history"]);
    scene.daemon.kill()?;
    scene.daemon.start()?;
    let now = status(&scene.daemon)?;
    assert_eq!((now.revision, &now.problems), (2, &Vec::new()));
    assert_eq!(pinned_generations(&scene.daemon)?, live_generations(&now));
    Ok(())
}
