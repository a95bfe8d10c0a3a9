//! Errors of the store, with hints for the operator.

use std::{
    io,
    path::{Path, PathBuf},
};

use ipblock_policy::{Classified, ErrorKind, Hinted, ZoneName, text::printable};
use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the store refused a request. It has changed nothing: a method is one transaction.
///
/// The message says what failed; [`StoreError::hint`] says what to do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another daemon uses the state directory.
    #[error("state directory `{}` is in use by {}", .path.display(), holder(*.pid))]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// Process id of the other daemon, if it has written it already.
        pid: Option<u32>,
    },
    /// Another program keeps the database locked.
    #[error("state store `{}` stayed locked by another program", .path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// The content is damaged.
    #[error("state store `{}` is damaged: {detail}", .path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// A newer version of ipblock wrote the database.
    #[error(
        "state store `{}` has schema version {found}; this ipblockd knows versions up to {known}",
        .path.display()
    )]
    TooNew {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version that this build knows.
        known: i64,
    },
    /// The file system or the quota is full.
    #[error("no space left to write `{}`", .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file or its file system cannot be written.
    #[error("`{}` cannot be written: it is read-only", .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused an operation.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// The operation: `create`, `open`, ...
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Anything else that SQLite reports.
    #[error("state store `{}` failed: {}", .path.display(), printable(&.source.to_string()))]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// The reason.
        source: rusqlite::Error,
    },
    /// There is no kept revision with this number.
    #[error("there is no revision {0}")]
    NoSuchRevision(u64),
    /// There is no recorded generation with this number.
    #[error("generation {0} is not recorded in the state store")]
    NoSuchGeneration(u64),
    /// A folded generation cannot be put in force: the base contains its counts already.
    #[error("generation {0} was folded already and cannot be put in force")]
    GenerationFolded(u64),
    /// A switch would leave a zone with two generations in force.
    #[error("zone `{zone}` still has generation {live} in force, so {refused} cannot be")]
    ZoneInForce {
        /// The zone.
        zone: ZoneName,
        /// The generation that the switch does not retire.
        live: u64,
        /// The generation to be put in force.
        refused: u64,
    },
    /// The staged edits started from another revision.
    #[error("the staged edits started from revision {staged}, not from {given}")]
    StagedBase {
        /// The base in the store.
        staged: u64,
        /// The base that the caller expected.
        given: u64,
    },
    /// There are more staged edits than the limit.
    #[error("{edits} edits of {bytes} bytes are more than can be staged")]
    TooMuchStaged {
        /// Number of edits, including the new ones.
        edits: u64,
        /// Their size in the store in bytes, including the new ones.
        bytes: u64,
    },
}

fn holder(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("another ipblockd, process {pid}"),
        None => "another ipblockd".to_owned(),
    }
}

impl Classified for StoreError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::TooMuchStaged { .. } | Self::StagedBase { .. } => ErrorKind::Conflict,
            Self::NoSuchRevision(_) => ErrorKind::NotFound,
            _ => ErrorKind::Failed,
        }
    }
}

impl Hinted for StoreError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Locked { .. } => {
                "stop the other daemon, or give this one its own --state-dir".to_owned()
            }
            Self::Busy { .. } => {
                "close the program that has the database open (a `sqlite3` shell, a backup)"
                    .to_owned()
            }
            Self::Corrupt { path, .. } => format!(
                "what is in the kernel keeps filtering and counting meanwhile; stop ipblockd, move \
                 `{0}` and `{0}-wal` aside together, put a backup in their place and start again \
                 (`sqlite3 FILE .recover` can save parts of the damaged one)",
                path.display()
            ),
            Self::TooNew { .. } => {
                "run the newer ipblockd again, or restore a backup that this version made; what \
                 is in the kernel keeps filtering meanwhile"
                    .to_owned()
            }
            Self::Full { path } => format!(
                "free space or raise the quota on the file system of `{}` (`df -h`, `df -i`) and \
                 repeat; nothing was changed",
                path.display()
            ),
            Self::ReadOnly { path } => format!(
                "make the file system of `{}` writable (`findmnt -T`; `dmesg` tells when the \
                 kernel made it read-only after an error) and repeat; nothing was changed",
                path.display()
            ),
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                format!(
                    "run ipblockd as root, or as the owner of `{}`",
                    path.display()
                )
            }
            Self::Sqlite { path, source } if is_disk_error(source) => format!(
                "look for disk errors (`dmesg`) and free space (`df -h`) on the file system of \
                 `{}`; what is in the kernel keeps filtering meanwhile",
                path.display()
            ),
            Self::TooMuchStaged { .. } => {
                "deploy or discard what is staged, or `apply` a file instead".to_owned()
            }
            Self::StagedBase { .. } => "discard what is staged and repeat the edits".to_owned(),
            Self::NoSuchRevision(_) => "`ipblock-ctl history` lists those that are kept".to_owned(),
            Self::Io { .. }
            | Self::Sqlite { .. }
            | Self::NoSuchGeneration(_)
            | Self::GenerationFolded(_)
            | Self::ZoneInForce { .. } => return None,
        };
        Some(hint)
    }
}

impl StoreError {
    /// Whether the operating system denied this process access to a file.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match (source.sqlite_error_code(), &source) {
            (Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase), _)
            // Rows that the schema guarantees, in formats that only this module writes.
            | (
                None,
                rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..),
            ) => Self::Corrupt {
                path,
                detail: printable(&source.to_string()).into_owned(),
            },
            (Some(ErrorCode::DiskFull), _) => Self::Full { path },
            (Some(ErrorCode::ReadOnly), _) => Self::ReadOnly { path },
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => Self::Busy { path },
            _ => Self::Sqlite { path, source },
        }
    }
}

fn is_disk_error(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen)
    )
}

/// A failure inside a transaction, where the path of the database is not known.
#[derive(Debug)]
pub(super) enum TransactionError {
    Sqlite(rusqlite::Error),
    Damaged(String),
    Refused(StoreError),
}

impl TransactionError {
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sqlite(source) => StoreError::sqlite(path, source),
            Self::Damaged(detail) => StoreError::Corrupt {
                path: path.to_owned(),
                detail: printable(&detail).into_owned(),
            },
            Self::Refused(error) => error,
        }
    }
}

impl From<rusqlite::Error> for TransactionError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for TransactionError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}
