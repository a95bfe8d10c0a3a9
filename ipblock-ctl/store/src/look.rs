//! Reads a store on disk without a change: a daemon that refuses to start has changed nothing.
//!
//! Without a log, the database is opened as immutable. With a log (the previous daemon was killed),
//! SQLite reads the log into memory and copies nothing back. An older schema is brought up to date
//! in a copy in memory.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, backup::Backup, config::DbConfig};

use super::{BUSY_TIMEOUT, DATABASE, Store, StoreError, beside, exists, lock::Lock, schema};

/// Pages per step of the copy.
const PAGES: i32 = 4096;

/// The content of a state directory. Holds its lock if another daemon has created the lock file.
#[derive(Debug)]
pub struct StoreView {
    state_dir: PathBuf,
    lock: Option<Lock>,
    view: Option<Store>,
}

impl StoreView {
    /// The store, which is read-only; `None` before a first start.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.view.as_ref()
    }

    /// Opens the store for use, and creates what is missing. From here on, files are written.
    pub fn open(self) -> Result<Store, StoreError> {
        let Self {
            state_dir,
            lock,
            view,
        } = self;
        // Nothing has changed under the lock, so a second check is not necessary.
        let is_checked = lock.is_some() && view.is_some();
        // It may have locks on the database.
        drop(view);
        Store::open_under(&state_dir, lock, is_checked)
    }
}

impl Store {
    /// Reads the store in `state_dir` and changes no file or directory. Rejects the same stores as
    /// [`Store::open`].
    pub fn look(state_dir: &Path) -> Result<StoreView, StoreError> {
        let lock = Lock::of_existing(state_dir)?;
        let path = state_dir.join(DATABASE);
        let view = if exists(&path)? {
            Some(view(path)?)
        } else {
            super::refuse_log_alone(&path)?;
            None
        };
        Ok(StoreView {
            state_dir: state_dir.to_owned(),
            lock,
            view,
        })
    }
}

fn view(path: PathBuf) -> Result<Store, StoreError> {
    let failed = |source| StoreError::sqlite(&path, source);
    let has_log = exists(&beside(&path, "-wal"))? || exists(&beside(&path, "-journal"))?;
    let mut connection = if has_log {
        with_log(&path)
    } else {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(immutable(&path), flags)
    }
    .map_err(failed)?;
    schema::check(&connection, &path)?;
    if !schema::is_current(&connection).map_err(failed)? {
        let mut copy = Connection::open_in_memory().map_err(failed)?;
        Backup::new(&connection, &mut copy)
            .and_then(|backup| backup.run_to_completion(PAGES, std::time::Duration::ZERO, None))
            .map_err(failed)?;
        schema::upgrade(&mut copy, &path)?;
        connection = copy;
    }
    connection
        .pragma_update(None, "trusted_schema", 0)
        .map_err(failed)?;
    connection
        .pragma_update(None, "cell_size_check", 1)
        .map_err(failed)?;
    Store::on(connection, path, None)
}

/// Opens a database with its log, which is not copied back on close.
fn with_log(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Before the first access to the log: shared memory would create another file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(connection)
}

/// The URI of a database that does not change.
fn immutable(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};

    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?immutable=1"
}
