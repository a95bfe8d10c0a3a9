//! A lock that allows one daemon per state directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::StoreError;

const LOCK_FILE: &str = "ipblock.lock";

/// Locks the state directory until it is dropped. The kernel releases the lock when the process
/// ends for any reason, so a stale lock file blocks no start.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, and creates its file if it does not exist.
    pub(super) fn acquire(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(LOCK_FILE);
        let mut options = options();
        options.create(true);
        let file = options
            .open(&path)
            .map_err(|source| StoreError::io("open", &path, source))?;
        Self::take(file, state_dir, &path)
    }

    /// Takes the lock without a change; `None` if no daemon has created its file yet.
    pub(super) fn of_existing(state_dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = state_dir.join(LOCK_FILE);
        match options().open(&path) {
            Ok(file) => Self::take(file, state_dir, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("open", &path, source)),
        }
    }

    fn take(mut file: File, state_dir: &Path, path: &Path) -> Result<Self, StoreError> {
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The owner of the lock only improves the message.
                let read = file.read_to_string(&mut text).ok();
                let pid = read.and_then(|_| text.trim().parse().ok());
                Err(StoreError::Locked {
                    path: state_dir.to_owned(),
                    // A daemon that has just started may not have written its process id yet.
                    pid: pid.filter(|pid: &u32| Path::new(&format!("/proc/{pid}")).exists()),
                })
            }
            Err(TryLockError::Error(source)) => Err(StoreError::io("lock", path, source)),
        }
    }

    /// Writes this process id into the lock file. On an error it continues: the store must open on
    /// a full disk too, and the lock works without it.
    pub(super) fn sign(&mut self) {
        let _ = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| writeln!(self.file, "{}", std::process::id()));
    }
}

/// Does not follow links: another user with write access to the directory could otherwise make the
/// daemon empty any file.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        // The file belongs to the other daemon until the lock is taken.
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW);
    options
}
