//! Damaged state directories, including backups.

mod template;

use std::{
    fs,
    path::{Path, PathBuf},
};

use arbitrary::{Arbitrary, Result, Unstructured};
use ipblock_policy::{Hinted as _, ZoneName};
use ipblock_store::{
    AlertEpoch, AlertFilter, Author, BanRow, DATABASE, Store, StoreError, StoredRuleset,
};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, types::Value};
use tempfile::TempDir;

use template::template;

/// Changes that one input may make to a database.
const CHANGES: usize = 6;

/// Whatever the database contains, the store opens and reads it or reports an error, and continues
/// to work. As a backup it replaces another store completely or not at all. A stored text is
/// returned unchanged.
pub fn store(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else {
        return;
    };
    let dir = directory();
    match which % 4 {
        0 => damage_bytes(dir.path(), rest),
        1 | 2 => {
            if damage_values(dir.path(), &mut Unstructured::new(rest)).is_err() {
                return;
            }
        }
        _ => return keep_text(dir.path(), &String::from_utf8_lossy(rest)),
    }
    let Some(store) = opened(dir.path()) else {
        return;
    };
    read_all(&store);
    write_some(&store);
    drop(store);
    restore(dir.path());
}

/// In memory if possible: nothing here has to survive a power loss.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn database(dir: &Path) -> PathBuf {
    dir.join(DATABASE)
}

/// A template in which some bytes are replaced (three bytes of position each, and the new byte), or
/// which is truncated.
fn damage_bytes(dir: &Path, data: &[u8]) {
    let mut bytes = template().to_vec();
    for change in data.chunks(5).take(64) {
        let [a, b, c, value, length] = change else {
            let length = change
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            bytes.truncate(length);
            break;
        };
        let at = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let at = at % bytes.len();
        let last = (at + usize::from(*length % 16)).min(bytes.len() - 1);
        bytes[at..=last].fill(*value);
    }
    fs::write(database(dir), bytes).unwrap();
}

/// A manual change of the database.
#[derive(Debug, Arbitrary)]
enum Damage {
    /// A new value in one column of one row, or of all rows.
    Value(u8, u8, Option<u8>, Held),
    /// A row is deleted.
    Delete(u8, u8),
    /// A table is deleted.
    Drop(u8),
    /// A query replaces a table.
    View(u8),
    /// A trigger on every change.
    Trigger(u8),
    /// Another version.
    Version(i8),
    /// An index with any name, and one damaged page of it.
    Index(u8, String),
}

/// The value of a column.
#[derive(Debug, Arbitrary)]
enum Held {
    Null,
    Small(i16),
    Large(i64),
    Text(String),
    Blob(Vec<u8>),
    /// A word that occurs in a store.
    Word(u8),
}

const WORDS: [&str; 14] = [
    "pass",
    "drop",
    "deployed",
    "prepared",
    "awaiting-confirmation",
    "rolled-back",
    "superseded",
    "live",
    "built",
    "folded",
    "default",
    "::/0",
    "10.0.0.1/8",
    "[\"a\"]",
];

impl From<Held> for Value {
    fn from(held: Held) -> Self {
        match held {
            Held::Null => Self::Null,
            Held::Small(number) => Self::Integer(number.into()),
            Held::Large(number) => Self::Integer(number),
            Held::Text(text) => Self::Text(text),
            Held::Blob(bytes) => Self::Blob(bytes),
            Held::Word(which) => Self::Text(WORDS[usize::from(which) % WORDS.len()].to_owned()),
        }
    }
}

fn damage_values(dir: &Path, u: &mut Unstructured<'_>) -> Result<()> {
    let path = database(dir);
    fs::write(&path, template()).unwrap();
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection
        .execute_batch("PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0;")
        .unwrap();
    for _ in 0..CHANGES {
        if u.is_empty() {
            break;
        }
        // SQLite itself rejected the change.
        drop(apply(&connection, Damage::arbitrary(u)?));
    }
    connection.close().unwrap();
    Ok(())
}

fn apply(connection: &Connection, damage: Damage) -> rusqlite::Result<()> {
    let names = |sql: &str| -> rusqlite::Result<Vec<String>> {
        connection
            .prepare(sql)?
            .query_map([], |row| row.get(0))?
            .collect()
    };
    let tables = names("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let one_of = |names: &[String], which: u8| names[usize::from(which) % names.len()].clone();
    let nth = |table: &str, row: u8| {
        format!(
            "SELECT * FROM (SELECT row_number() OVER () AS nth, * FROM {table}) WHERE nth = {row} + 1"
        )
    };
    match damage {
        Damage::Value(table, column, row, held) => {
            let table = one_of(&tables, table);
            let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
            let key = names(&format!(
                "SELECT name FROM pragma_table_info('{table}') WHERE pk > 0"
            ))?;
            let column = one_of(&columns, column);
            let of_row = match (row, key.first()) {
                (Some(row), Some(key)) => {
                    format!(
                        " WHERE {key} = (SELECT {key} FROM ({}))",
                        nth(&table, row % 4)
                    )
                }
                _ => String::new(),
            };
            let sql = format!("UPDATE OR REPLACE {table} SET {column} = ?1{of_row}");
            connection.execute(&sql, [Value::from(held)])?;
        }
        Damage::Delete(table, row) => {
            let table = one_of(&tables, table);
            connection.execute(&format!("DELETE FROM {table} WHERE {row} % 2 = 0"), [])?;
        }
        Damage::Drop(table) => {
            connection.execute(&format!("DROP TABLE {}", one_of(&tables, table)), [])?;
        }
        Damage::View(table) => {
            let table = one_of(&tables, table);
            connection.execute_batch(&format!(
                "ALTER TABLE {table} RENAME TO hidden; CREATE VIEW {table} AS SELECT * FROM hidden;"
            ))?;
        }
        Damage::Trigger(table) => {
            let table = one_of(&tables, table);
            connection.execute_batch(&format!(
                "CREATE TRIGGER t BEFORE DELETE ON {table} BEGIN DELETE FROM revision; END;"
            ))?;
        }
        Damage::Index(table, name) => {
            let (table, name) = (one_of(&tables, table), name.replace('"', ""));
            connection.execute_batch(&format!(
                "CREATE INDEX \"{name}\" ON {table} (rowid + 1);
                 PRAGMA writable_schema = 1;
                 UPDATE sqlite_schema SET rootpage = 2 WHERE name = '{}';",
                name.replace('\'', "''")
            ))?;
        }
        Damage::Version(version) => connection.pragma_update(None, "user_version", version)?,
    }
    Ok(())
}

/// Returns the store if the database is sound enough.
fn opened(dir: &Path) -> Option<Store> {
    match Store::open(dir) {
        Ok(store) => Some(store),
        Err(error) => {
            check_error(&error);
            None
        }
    }
}

fn check_error(error: &StoreError) {
    let message = error.to_string();
    assert!(
        !message.is_empty() && !message.contains(char::is_control),
        "{message:?}"
    );
    if let Some(hint) = error.hint() {
        assert!(!hint.is_empty());
    }
}

fn check<T>(answer: std::result::Result<T, StoreError>) -> Option<T> {
    answer.inspect_err(check_error).ok()
}

fn read_all(store: &Store) {
    check(store.alerts(&AlertFilter {
        limit: 100,
        ..AlertFilter::default()
    }));
    let epoch = AlertEpoch {
        boot_id: "boot".to_owned(),
        map: 7,
    };
    check(store.alert_totals(&epoch));
    check(store.last_alert());
    check(store.audit_list(100));
    check(store.bans());
    let everything = "0.0.0.0/0".parse().unwrap();
    check(store.past_bans(everything, Timestamp::UNIX_EPOCH, 100));
    check(store.confirmation());
    check(store.base_rules());
    check(store.base_zones());
    check(store.rule_durations());
    check(store.interfaces());
    check(store.live_generation(&ZoneName::default()));
    check(store.deployed_revision());
    check(store.staged());
    check(store.staged_edits());
    for generation in check(store.open_generations()).unwrap_or_default() {
        check(store.generation(generation.number));
        check(store.checkpoint_of(generation.number));
        check(store.generation_classes(generation.number));
    }
    let history = check(store.revisions()).unwrap_or_default();
    let prepared = check(store.prepared_revisions()).unwrap_or_default();
    for revision in history.into_iter().chain(prepared) {
        check(store.revision(revision.number));
        check(store.ruleset(revision.number));
    }
}

/// Reads everything that a restore replaces; it must be readable.
fn read_restored(store: &Store) {
    store.bans().unwrap();
    store.confirmation().unwrap();
    store.base_rules().unwrap();
    store.base_zones().unwrap();
    store.rule_durations().unwrap();
    store.deployed_revision().unwrap();
    store.staged().unwrap();
    store.staged_edits().unwrap();
    for revision in store.revisions().unwrap() {
        store.ruleset(revision.number).unwrap();
    }
    assert_eq!(store.prepared_revisions().unwrap(), []);
    // A daemon continues with it.
    store.allocate_rule_ids(3).unwrap();
    let next = template::ruleset("next");
    let number = store.insert_revision(&template::revision(&next)).unwrap();
    assert_eq!(store.ruleset(number).unwrap(), next);
}

/// Writes as a daemon does.
fn write_some(store: &Store) {
    if let Some(ids) = check(store.allocate_rule_ids(3)) {
        assert!(ids.len() == 3 && ids.is_sorted(), "{ids:?}");
    }
    check(store.allocate_generation());
    for generation in check(store.open_generations()).unwrap_or_default() {
        check(store.fold_checkpoint(generation.number));
    }
    check(store.stage(1, &template::ruleset("b"), &[]));
    check(store.clear_staged());
    let ban = template::ban();
    let prefix = "203.0.113.5/32".parse().unwrap();
    check(store.change_bans([BanRow::Put(prefix, &ban)], &[], None));
    check(store.insert_revision(&template::revision(&template::ruleset("c"))));
    check(store.add_interface(&template::interface()));
    check(store.remove_interface("eth0"));
}

/// Restores the damaged store as a backup.
fn restore(damaged: &Path) {
    let Some(backup) = opened(damaged) else {
        return;
    };
    let deployed = check(backup.deployed_revision())
        .flatten()
        .map(|revision| revision.number);
    let dir = directory();
    fs::write(database(dir.path()), template()).unwrap();
    let sound = Store::open(dir.path()).unwrap();
    let before = sound
        .deployed_revision()
        .unwrap()
        .map(|revision| revision.number);
    let aside = directory();
    let accepted = check(Store::accept(backup, aside.path()));
    let is_replaced = accepted.is_some();
    if let Some(accepted) = accepted {
        // An accepted backup is restored, and read without an error.
        let put = || Ok::<_, StoreError>(());
        sound.replace_with(accepted, &[], put).unwrap();
        read_restored(&sound);
    }
    let expected = if is_replaced { deployed } else { before };
    drop(sound);
    let store = Store::open(dir.path()).unwrap();
    read_all(&store);
    let found = check(store.deployed_revision()).flatten();
    assert_eq!(found.map(|revision| revision.number), expected);
    write_some(&store);
}

/// A text is stored in pieces or as a whole and returned unchanged, also from a backup.
fn keep_text(dir: &Path, text: &str) {
    let store = Store::open(dir).unwrap();
    // Long enough for pieces.
    let long = numbered(text);
    for toml in [text, &long] {
        let ruleset = template::ruleset(toml);
        store.stage(0, &ruleset, &[]).unwrap();
        assert_eq!(store.staged().unwrap().unwrap().ruleset, ruleset);
        let number = store
            .insert_revision(&template::revision(&ruleset))
            .unwrap();
        assert_eq!(store.ruleset(number).unwrap(), ruleset);
        store.clear_staged().unwrap();
    }
    let ban = ipblock_store::Ban {
        reason: text.to_owned(),
        ..template::ban()
    };
    let prefix = "203.0.113.5/32".parse().unwrap();
    let put = [BanRow::Put(prefix, &ban)];
    store.change_bans(put, &[], None).unwrap();
    assert_eq!(*store.bans().unwrap()[0].1, ban);
    let entry = ipblock_store::AuditEntry {
        time: ban.time,
        author: Author::user(1, text),
        what: "ban".to_owned(),
        detail: text.to_owned(),
    };
    store.audit(&entry).unwrap();
    assert_eq!(store.audit_list(1).unwrap().len(), 1);
    let aside = directory();
    store.back_up(&database(aside.path())).unwrap();
    let backup = Store::open(aside.path()).unwrap();
    let rulesets = |store: &Store| -> Vec<StoredRuleset> {
        let revisions = store.revisions().unwrap();
        revisions
            .iter()
            .map(|revision| store.ruleset(revision.number).unwrap())
            .collect()
    };
    assert_eq!(rulesets(&backup), rulesets(&store));
}

/// Returns the text repeatedly, with all lines different.
fn numbered(text: &str) -> String {
    let mut long = String::new();
    for line in 0..2_500 {
        long.push_str(&line.to_string());
        long.push_str(text);
        long.push('\n');
    }
    long
}
