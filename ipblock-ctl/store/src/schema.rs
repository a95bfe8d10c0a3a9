//! The tables: how a database is created, and how an older one is brought up to date.
//!
//! A database is created under another name, and renamed when it is complete and on disk. So a file
//! with the real name but without tables was damaged; it never counts as a first start.

mod tables;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use ipblock_policy::text::printable;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};

use super::StoreError;
use tables::{ADDED, MIGRATIONS, TABLES};

/// Newest schema version that this build knows, in `PRAGMA user_version`: a store with bans of other
/// origins than `manual`.
pub(super) const VERSION: i64 = 5;

/// Version of a store with a ruleset in pieces.
const WITH_PIECES: i64 = 4;

/// Version of a store without pieces, which builds that do not know pieces can open.
const WITHOUT_PIECES: i64 = 3;

/// `PRAGMA application_id`: distinguishes the file from other SQLite databases ("ipbk").
const APPLICATION_ID: i32 = 0x6970_626b;

/// Finds objects that no build creates: a view in place of a table may be an endless query, and a
/// trigger makes unexpected changes. A backup comes from outside.
const STRANGE: &str = "
SELECT type || ' `' || name || '`' FROM sqlite_schema
WHERE type NOT IN ('table', 'index') OR sql LIKE 'CREATE VIRTUAL%' LIMIT 1";

/// Creates an empty database at `path`, completely or not at all.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let aside = path.with_extension("db.new");
    for leftover in [aside.clone(), path.with_extension("db.new-journal")] {
        match fs::remove_file(&leftover) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &leftover, source));
            }
            _ => {}
        }
    }
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .map_err(|source| StoreError::io("create", &aside, source))?;
    fill(&aside)?;
    file.sync_all()
        .map_err(|source| StoreError::io("write", &aside, source))?;
    fs::rename(&aside, path).map_err(|source| StoreError::io("create", path, source))?;
    sync_directory(path)
}

fn fill(aside: &Path) -> Result<(), StoreError> {
    let random = Path::new("/dev/urandom");
    let mut id = [0; 16];
    File::open(random)
        .and_then(|mut file| file.read_exact(&mut id))
        .map_err(|source| StoreError::io("read", random, source))?;

    let failed = |source| StoreError::sqlite(aside, source);
    let mut connection =
        Connection::open_with_flags(aside, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let transaction = connection.transaction().map_err(failed)?;
    transaction.execute_batch(TABLES).map_err(failed)?;
    migrate(&transaction, 1).map_err(failed)?;
    transaction
        .execute("INSERT INTO store VALUES (1, ?1)", [id])
        .map_err(failed)?;
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    transaction.commit().map_err(failed)?;
    connection.close().map_err(|(_, source)| failed(source))
}

/// Brings a database of an older version up to date, in one transaction.
pub(super) fn upgrade(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::sqlite(path, source);
    let transaction = connection.transaction().map_err(failed)?;
    let version = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    if version < WITHOUT_PIECES {
        migrate(&transaction, version).map_err(failed)?;
    }
    for tables in ADDED {
        transaction.execute_batch(tables).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// Whether a database has every table and column of this build, so [`upgrade`] adds nothing.
pub(super) fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version >= WITHOUT_PIECES && columns(connection)? == columns(&empty()?)?)
}

/// Returns an empty database of this build.
fn empty() -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    migrate(&transaction, 1)?;
    for tables in ADDED {
        transaction.execute_batch(tables)?;
    }
    transaction.commit()?;
    Ok(connection)
}

/// Returns each column with its table.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(
        "SELECT tables.name, columns.name
         FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' ORDER BY 1, columns.cid",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// Runs the migrations after `version`.
fn migrate(transaction: &Transaction<'_>, version: i64) -> rusqlite::Result<()> {
    for (to, migration) in (2..).zip(MIGRATIONS) {
        if to > version {
            transaction.execute_batch(migration)?;
        }
    }
    transaction.pragma_update(None, "user_version", WITHOUT_PIECES)
}

/// Prevents builds that do not know pieces from opening a store with pieces.
pub(super) fn mark_pieces(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    mark(transaction, WITH_PIECES, "piece")
}

/// Prevents builds that know one ban of a prefix from opening a store with bans of other origins than
/// `manual`: they would end them.
pub(super) fn mark_owned_bans(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    mark(transaction, VERSION, "owned_ban")
}

/// Raises the version if the table has rows.
fn mark(transaction: &Transaction<'_>, to: i64, table: &str) -> rusqlite::Result<()> {
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let any = format!("SELECT 1 FROM {table}");
    if version < to && transaction.prepare(&any)?.exists([])? {
        transaction.pragma_update(None, "user_version", to)?;
    }
    Ok(())
}

/// Makes the file names in the directory of `path` durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    // The parent of a relative path with one component is the empty path.
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| StoreError::io("write", directory, source))
}

/// Rejects another program's file, a newer schema, and damage.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::sqlite(path, source);
    let damaged = |detail: String| StoreError::Corrupt {
        path: path.to_owned(),
        detail: printable(&detail).into_owned(),
    };
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let version = number("user_version").map_err(failed)?;
    if application != i64::from(APPLICATION_ID) || version < 1 {
        return Err(damaged("it is not a database of ipblock".to_owned()));
    }
    if version > VERSION {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    let strange: Option<String> = connection
        .query_row(STRANGE, [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    if let Some(what) = strange {
        let detail = format!("it holds the {what}, and a store has tables and indexes alone");
        return Err(damaged(detail));
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(failed)?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(damaged(verdict))
    }
}
