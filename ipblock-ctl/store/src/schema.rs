//! The tables: how a database is created, and how an older one is brought up to date.
//!
//! A database is created under another name, and renamed when it is complete and on disk. So a file
//! with the real name but without tables was damaged; it never counts as a first start.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use ipblock_policy::text::printable;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};

use super::StoreError;

/// Newest schema version that this build knows, in `PRAGMA user_version`: a store with bans of other
/// origins than `manual`.
pub(super) const VERSION: i64 = 5;

/// Version of a store with a ruleset in pieces.
const WITH_PIECES: i64 = 4;

/// Version of a store without pieces, which builds that do not know pieces can open.
const WITHOUT_PIECES: i64 = 3;

/// `PRAGMA application_id`: distinguishes the file from other SQLite databases ("ipbk").
const APPLICATION_ID: i32 = 0x6970_626b;

/// Large values have tables of their own: SQLite rewrites whole rows, and a change of state should
/// not copy megabytes.
const TABLES: &str = "
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL CHECK (length(id) = 16)
) STRICT;

-- Last number given out; numbers are never used twice.
CREATE TABLE sequence (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sequence VALUES ('revision', 0), ('rule', 0), ('generation', 0);

-- Shared by all revisions with the same content. `size` stands for what a row costs.
CREATE TABLE ruleset (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    toml TEXT NOT NULL
) STRICT;

CREATE TABLE ruleset_rule (
    ruleset INTEGER NOT NULL REFERENCES ruleset ON DELETE CASCADE,
    name TEXT NOT NULL,
    rule INTEGER NOT NULL,
    PRIMARY KEY (ruleset, name),
    UNIQUE (ruleset, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX ruleset_rule_by_rule ON ruleset_rule (rule);

CREATE TABLE revision (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    comment TEXT NOT NULL,
    rules INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    state TEXT NOT NULL,
    ruleset INTEGER NOT NULL REFERENCES ruleset
) STRICT;
CREATE INDEX revision_by_ruleset ON revision (ruleset);
CREATE UNIQUE INDEX one_revision_in_force ON revision ((1))
    WHERE state IN ('deployed', 'awaiting-confirmation');

CREATE TABLE staged (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    base INTEGER NOT NULL,
    edits INTEGER NOT NULL,
    edit_bytes INTEGER NOT NULL,
    ruleset INTEGER NOT NULL REFERENCES ruleset
) STRICT;

CREATE TABLE staged_edit (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    summary TEXT NOT NULL,
    edit TEXT NOT NULL
) STRICT;

-- `revision` is no reference: a folded generation may outlive its revision.
CREATE TABLE generation (
    number INTEGER PRIMARY KEY,
    zone TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    default_verdict TEXT NOT NULL,
    malformed TEXT NOT NULL,
    ipv4_entries INTEGER NOT NULL,
    ipv6_entries INTEGER NOT NULL,
    object_sha256 BLOB NOT NULL,
    time INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_generation_in_force ON generation (zone) WHERE state = 'live';

CREATE TABLE generation_classes (
    generation INTEGER PRIMARY KEY REFERENCES generation ON DELETE CASCADE,
    sha256 BLOB NOT NULL,
    classes BLOB NOT NULL
) STRICT;

-- Base: what folded generations counted.
CREATE TABLE base_rule (
    rule INTEGER PRIMARY KEY,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    excepted INTEGER NOT NULL,
    last_hit INTEGER
) STRICT;

CREATE TABLE base_total (
    zone TEXT NOT NULL,
    outcome TEXT NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (zone, outcome)
) STRICT, WITHOUT ROWID;

-- Checkpoints: what the kernel's counters of a generation said last.
CREATE TABLE checkpoint_rule (
    generation INTEGER NOT NULL REFERENCES generation ON DELETE CASCADE,
    rule INTEGER NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    excepted INTEGER NOT NULL,
    last_hit INTEGER,
    PRIMARY KEY (generation, rule)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint_total (
    generation INTEGER NOT NULL REFERENCES generation ON DELETE CASCADE,
    outcome TEXT NOT NULL,
    packets INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (generation, outcome)
) STRICT, WITHOUT ROWID;

CREATE TABLE interface (
    name TEXT PRIMARY KEY,
    mode TEXT NOT NULL,
    zone TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
";

/// The additions of each version after 2. Do not change a released one: stores have run it.
const MIGRATIONS: [&str; 2] = [
    "
-- Bans that have not been cleared away, ended ones too. `ends` is wall time, NULL for never. A ban
-- with a duration also has its end on the boot clock of the boot that it was made in.
CREATE TABLE ban (
    prefix TEXT PRIMARY KEY,
    ends INTEGER,
    boot_id TEXT,
    boot_deadline INTEGER,
    reason TEXT NOT NULL,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    CHECK ((boot_id IS NULL) = (boot_deadline IS NULL))
) STRICT, WITHOUT ROWID;

-- The deployed revision that goes back to `previous` unless it is confirmed. 0: to no ruleset.
CREATE TABLE confirmation (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    boot_deadline INTEGER NOT NULL
) STRICT;

-- Ends of rules that were given as durations: they do not move with steps of the wall clock.
CREATE TABLE rule_duration (
    rule INTEGER PRIMARY KEY,
    ends INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    boot_deadline INTEGER NOT NULL
) STRICT;
",
    "
-- AUTOINCREMENT: a reader goes on behind the last id that it saw, also when that alert is gone.
-- `rules` is an array of names as JSON, addresses are 4 or 16 bytes.
CREATE TABLE alert (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    zone TEXT NOT NULL,
    interface TEXT NOT NULL,
    rules TEXT NOT NULL,
    action TEXT NOT NULL,
    source BLOB NOT NULL,
    destination BLOB NOT NULL,
    protocol INTEGER NOT NULL,
    destination_port INTEGER,
    packets INTEGER NOT NULL
) STRICT;
CREATE INDEX alert_by_time ON alert (time);
CREATE INDEX alert_by_source ON alert (source);

-- How many rows `alert` has: SQLite would go over all of them to tell.
CREATE TABLE alert_kept (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    rows INTEGER NOT NULL
) STRICT;
INSERT INTO alert_kept VALUES (1, 0);

-- Packets that alerts told of, as long as the kernel's counts are those of this boot and map.
CREATE TABLE alert_total (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot_id TEXT NOT NULL,
    map INTEGER NOT NULL,
    reported INTEGER NOT NULL,
    lost INTEGER NOT NULL
) STRICT;
",
];

/// Added to a store of any version. Builds that do not know the table ignore it, and its rows are
/// deleted with their entries.
const AUDIT_PREFIXES: &str = "
-- Every prefix of an audit entry about bans: see audit_prefixes.rs. `size` is that of `prefixes`.
CREATE TABLE IF NOT EXISTS audit_prefixes (
    entry INTEGER PRIMARY KEY REFERENCES audit (number) ON DELETE CASCADE,
    size INTEGER NOT NULL,
    prefixes BLOB NOT NULL
) STRICT;
";

/// Added to a store of any version. Builds that do not know the table ignore it: it is a record of
/// this machine, as the audit trail is.
const PAST_BANS: &str = "
-- Bans that are gone: see past_bans.rs. `until` is the end that a ban had, NULL for never. No author
-- of the end: it ended by itself.
CREATE TABLE IF NOT EXISTS past_ban (
    number INTEGER PRIMARY KEY,
    prefix BLOB NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT NOT NULL,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    until INTEGER,
    ended INTEGER NOT NULL,
    ended_uid INTEGER,
    ended_author TEXT,
    CHECK ((ended_uid IS NULL) = (ended_author IS NULL))
) STRICT;
CREATE INDEX IF NOT EXISTS past_ban_by_prefix ON past_ban (prefix);
";

/// The addition of [`VERSION`]; older builds ignore an empty table. They know one ban of a prefix,
/// so that of origin `manual` stays in `ban`, and a store without others can go back to them.
const OWNED_BANS: &str = "
CREATE TABLE IF NOT EXISTS owned_ban (
    prefix TEXT NOT NULL,
    ends INTEGER,
    boot_id TEXT,
    boot_deadline INTEGER,
    reason TEXT NOT NULL,
    time INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    author TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin <> 'manual'),
    PRIMARY KEY (prefix, origin),
    CHECK ((boot_id IS NULL) = (boot_deadline IS NULL))
) STRICT, WITHOUT ROWID;
";

/// Added to a store of any version, as [`AUDIT_PREFIXES`] is.
const BAN_COUNT: &str = "
-- Checkpoints: what the kernel's counters of bans said last. The row goes with the last ban of its
-- prefix: see ban_counts.rs.
CREATE TABLE IF NOT EXISTS ban_count (
    prefix TEXT PRIMARY KEY,
    packets INTEGER NOT NULL,
    last_hit INTEGER
) STRICT, WITHOUT ROWID;
";

/// The additions of [`WITH_PIECES`]; older builds ignore empty tables.
const PIECES: &str = "
-- Where a ruleset has pieces, they are its text, and `toml` is empty.
CREATE TABLE IF NOT EXISTS piece (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS ruleset_piece (
    ruleset INTEGER NOT NULL REFERENCES ruleset ON DELETE CASCADE,
    place INTEGER NOT NULL,
    piece INTEGER NOT NULL REFERENCES piece,
    PRIMARY KEY (ruleset, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ruleset_piece_by_piece ON ruleset_piece (piece);
";

/// Tables that a store of any version gets.
const ADDED: [&str; 5] = [PIECES, OWNED_BANS, PAST_BANS, AUDIT_PREFIXES, BAN_COUNT];

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
