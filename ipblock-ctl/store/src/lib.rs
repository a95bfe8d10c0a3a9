//! The state store: the data that must survive the daemon, in one embedded SQLite database.
//!
//! It is responsible for revisions and the staged ruleset, bans, alerts, identities of rules,
//! generations and the counters that outlive them, interfaces, and the audit trail. To the store a
//! ruleset is a text and a table of identities. The store never reads a clock (time is an argument)
//! and never touches the kernel.
//!
//! Guarantees:
//! - A method that changes data is one transaction, and durable when it returns. The database is in
//!   WAL mode with `synchronous = FULL`. SQLite syncs the log before a commit returns: one sync per
//!   commit, and with the first one also the log's name in the directory. (A rollback journal needs
//!   three, and `EXTRA` for the same guarantee.) The log is part of the database until SQLite has
//!   copied it back: copy `ipblock.db` and `ipblock.db-wal` together or not at all.
//! - The daemon has exclusive access to the database (`locking_mode = EXCLUSIVE`). So no other
//!   process can delay a commit or prevent the log from being copied back. The store also opens on
//!   a full disk, because it needs no shared-memory file. Another program may open it while no
//!   daemon runs.
//! - Damage is found at open (`quick_check`) or by the digests of rulesets and class tables, and is
//!   an error. Damaged data is never replaced by new data.
//! - Everything that grows has a limit: see `Limits`.
//!
//! Methods block on the disk: call them from a blocking thread. For counters and numbers see
//! `value.rs`.
#![forbid(unsafe_code)]

mod alerts;
mod audit;
mod audit_prefixes;
mod author;
mod backup;
mod ban;
mod ban_counts;
mod bans;
mod confirmation;
mod counters;
mod end_time;
mod error;
mod generations;
mod interfaces;
mod lock;
mod look;
mod past_bans;
mod pieces;
mod revisions;
mod rule_durations;
mod rulesets;
mod schema;
mod soundness;
mod staged;
mod switch;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use alerts::{Alert, AlertEpoch, AlertFilter, AlertRetention, AlertTotals};
pub use audit::{AuditEntry, AuditMatch, AuditPage};
pub use author::Author;
pub use ban::Ban;
pub use ban_counts::BanCounts;
pub use bans::BanRow;
pub use confirmation::{Confirmation, Trial};
pub use counters::{GenerationCounts, RuleCounts, ZoneCounts};
pub use end_time::{BootEnd, End};
pub use error::StoreError;
pub use generations::{Generation, GenerationState, NewGeneration};
pub use interfaces::Interface;
pub use look::StoreView;
pub use past_bans::{GoneBan, PAST_BAN_DAYS, PAST_BANS, PastBan};
pub use revisions::{NewRevision, Revision, RevisionState};
pub use rulesets::StoredRuleset;
pub use staged::{Staged, StagedEdit};
pub use switch::{Deploy, FinalCounts, Switch, ZoneSwitch};

use ipblock_fault::{Step, reach};

use error::TransactionError;
use lock::Lock;
use value::Stored;

/// The database's file name in a state directory.
pub const DATABASE: &str = "ipblock.db";

/// How long opening waits for another program that has locked the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum size of the log on disk after a large transaction.
const KEPT_LOG_BYTES: i64 = 16 << 20;

/// The limits of the stored data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Revisions; the oldest are deleted first.
    pub(crate) revisions: u64,
    /// Bytes of rulesets in revisions; fewer revisions are kept if they are large.
    pub(crate) ruleset_bytes: u64,
    /// Newest revisions that are kept whatever their size: a rollback is always possible.
    pub(crate) spared_revisions: u64,
    /// Staged edits; more are rejected.
    pub(crate) staged_edits: u64,
    /// Bytes of staged edits; more are rejected.
    pub(crate) staged_bytes: u64,
    /// Folded generations that are remembered, so that a second fold is recognised.
    pub(crate) folded_generations: u64,
    /// Entries of the audit trail; the oldest are deleted first.
    pub(crate) audit_entries: u64,
    /// Entries about bans among them, and entries about repairs.
    pub(crate) audit_stream: u64,
    /// Entries beyond the limit before they are deleted.
    pub(crate) audit_slack: u32,
    /// Bytes of one entry's detail; the rest is cut.
    pub(crate) audit_detail: usize,
    /// Bytes of all prefixes in entries about bans; the oldest are deleted first.
    pub(crate) audit_prefix_bytes: u64,
    /// Bans that are gone; the first that ended are deleted first.
    pub(crate) past_bans: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            revisions: 1_000,
            ruleset_bytes: 256 << 20,
            spared_revisions: 10,
            staged_edits: 100_000,
            staged_bytes: 64 << 20,
            folded_generations: 1_000,
            audit_entries: 100_000,
            audit_stream: 20_000,
            audit_slack: 256,
            audit_detail: 4 << 10,
            audit_prefix_bytes: 64 << 20,
            past_bans: PAST_BANS,
        }
    }
}

/// The state store of one daemon.
#[derive(Debug)]
pub struct Store {
    // Before `lock`: fields are dropped in order, and the next daemon must find a closed database.
    connection: Mutex<Connection>,
    path: PathBuf,
    id: [u8; 16],
    limits: Limits,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the store in `state_dir`, and creates both if they do not exist.
    ///
    /// Locks the directory until the store is dropped. A damaged database, or one that is newer
    /// than this build, is an error and does not change.
    pub fn open(state_dir: &Path) -> Result<Self, StoreError> {
        Self::open_under(state_dir, None, false)
    }

    /// Opens the store under an existing lock, or takes the lock. `is_checked` means that the
    /// database was checked under this lock.
    fn open_under(
        state_dir: &Path,
        lock: Option<Lock>,
        is_checked: bool,
    ) -> Result<Self, StoreError> {
        make_directory(state_dir)?;
        let mut lock = match lock {
            Some(lock) => lock,
            None => Lock::acquire(state_dir)?,
        };
        lock.sign();
        let path = state_dir.join(DATABASE);
        if !exists(&path)? {
            refuse_log_alone(&path)?;
            schema::create(&path)?;
        }
        let connection = connect(&path, is_checked)?;
        Self::on(connection, path, Some(lock))
    }

    fn on(connection: Connection, path: PathBuf, lock: Option<Lock>) -> Result<Self, StoreError> {
        let id = connection
            .query_row("SELECT id FROM store", [], |row| row.get(0))
            .map_err(|source| StoreError::sqlite(&path, source))?;
        Ok(Self {
            connection: Mutex::new(connection),
            path,
            id,
            limits: Limits::default(),
            _lock: lock,
        })
    }

    /// The identity of this store: random, created with it. Pinned generations contain it.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.id
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A panic elsewhere has rolled back its transaction, so the state behind a poisoned lock is
    /// sound.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        work(&self.connection()).map_err(|failure| failure.at(&self.path))
    }

    /// Runs `work` as one transaction: durable when this returns `Ok`, undone otherwise.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, TransactionError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.connection();
        let transact = || -> Result<T, TransactionError> {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            reach(Step::StoreCommitting);
            transaction.commit()?;
            reach(Step::StoreCommitted);
            Ok(result)
        };
        transact().map_err(|failure| failure.at(&self.path))
    }
}

/// Takes `count` numbers of a sequence, and returns the last of them.
fn advance(
    transaction: &Transaction<'_>,
    sequence: &'static str,
    count: u64,
) -> Result<u64, TransactionError> {
    let last: Stored<u64> = transaction
        .prepare_cached("UPDATE sequence SET last = last + ?2 WHERE name = ?1 RETURNING last")?
        .query_row((sequence, Stored(count)), |row| row.get(0))?;
    Ok(last.0)
}

fn make_directory(state_dir: &Path) -> Result<(), StoreError> {
    if exists(state_dir)? {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
        .map_err(|source| StoreError::io("create", state_dir, source))?;
    schema::sync_directory(state_dir)
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    fs::exists(path).map_err(|source| StoreError::io("open", path, source))
}

/// The name of a file that SQLite keeps next to the database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Rejects a log without its database: the database was lost, so this is not a first start.
fn refuse_log_alone(path: &Path) -> Result<(), StoreError> {
    let log = beside(path, "-wal");
    if !exists(&log)? {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.to_owned(),
        detail: format!("it is gone, but its log `{}` is there", log.display()),
    })
}

fn connect(path: &Path, is_checked: bool) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::sqlite(path, source);
    // Without SQLITE_OPEN_CREATE: if the file was removed meanwhile, this is an error.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    // Before the first access to the log, which decides whether shared memory is needed.
    connection
        .pragma_update(None, "locking_mode", "EXCLUSIVE")
        .map_err(failed)?;
    if !is_checked {
        schema::check(&connection, path)?;
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
        .map_err(failed)?;
    if mode != "wal" {
        let source = std::io::Error::other(format!(
            "SQLite chose journal mode `{mode}` instead of a write-ahead log"
        ));
        return Err(StoreError::io("open", path, source));
    }
    let settings = [
        ("journal_size_limit", KEPT_LOG_BYTES),
        ("synchronous", 2), // FULL
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
    ];
    for (name, value) in settings {
        connection
            .pragma_update(None, name, value)
            .map_err(failed)?;
    }
    // After `synchronous`: this change must be on disk like every other.
    schema::upgrade(&mut connection, path)?;
    Ok(connection)
}
