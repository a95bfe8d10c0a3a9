//! One daemon to a state directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::StoreError;

const LOCK_FILE: &str = "ipblock.lock";

/// Holds the state directory until it is dropped. The kernel lets go when the process ends,
/// however it ends, so a lock file that was left behind stops nobody.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock; makes its file where there is none.
    pub(super) fn acquire(state_dir: &Path) -> Result<Self, StoreError> {
        let path = state_dir.join(LOCK_FILE);
        let mut options = options();
        options.create(true);
        let file = options
            .open(&path)
            .map_err(|source| StoreError::io("open", &path, source))?;
        Self::take(file, state_dir, &path)
    }

    /// Takes the lock and changes nothing; none where no daemon has made its file yet.
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
                // Whose lock it is only improves the message.
                let read = file.read_to_string(&mut text).ok();
                let pid = read.and_then(|_| text.trim().parse().ok());
                Err(StoreError::Locked {
                    path: state_dir.to_owned(),
                    // One that has just started has not written its own yet.
                    pid: pid.filter(|pid: &u32| Path::new(&format!("/proc/{pid}")).exists()),
                })
            }
            Err(TryLockError::Error(source)) => Err(StoreError::io("lock", path, source)),
        }
    }

    /// Writes down whose lock it is. Best effort: on a full disk the store must still open, and the
    /// lock holds without it.
    pub(super) fn sign(&mut self) {
        let _ = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| writeln!(self.file, "{}", std::process::id()));
    }
}

/// No link is followed: another user who may write to the directory could otherwise have any file
/// emptied.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        // Not before the lock is held: the content is the other daemon's.
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW);
    options
}
