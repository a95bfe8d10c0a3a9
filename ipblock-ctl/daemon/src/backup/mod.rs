//! Backup of everything to one file.

pub(crate) mod restore;

use std::{
    fs::{self, File},
    path::Path,
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_store::DATABASE;
use tempfile::TempDir;
use tracing::{info, warn};

use crate::state::Service;

/// Prefix of the names of temporary directories for backups.
const ASIDE: &str = ".aside-";

impl Service {
    /// Returns a backup as an open file, which is already unlinked from the disk.
    pub fn back_up(&self) -> Result<File, ApiError> {
        let _changing = self.begin_change();
        // The counts of live generations are part of it.
        self.checkpoint()?;
        let aside = self.directory_aside()?;
        let path = aside.path().join(DATABASE);
        self.store.back_up(&path)?;
        File::open(&path).map_err(|source| on_disk("read", &path, &source))
    }

    /// Creates a directory in the state directory, which is removed when the value is dropped.
    pub(crate) fn directory_aside(&self) -> Result<TempDir, ApiError> {
        let state_dir = &self.settings.state_dir;
        tempfile::Builder::new()
            .prefix(ASIDE)
            .tempdir_in(state_dir)
            .map_err(|source| on_disk("make a directory in", state_dir, &source))
    }
}

/// Removes what a daemon left that was killed during a backup or a restore.
pub(crate) fn remove_left_aside(state_dir: &Path) {
    for entry in fs::read_dir(state_dir).into_iter().flatten().flatten() {
        let is_aside = entry.file_name().to_string_lossy().starts_with(ASIDE);
        if !is_aside || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        match fs::remove_dir_all(&path) {
            Ok(()) => info!(path = %path.display(), "removed an unfinished backup"),
            Err(error) => warn!(path = %path.display(), %error, "an unfinished backup stays"),
        }
    }
}

fn on_disk(action: &str, path: &Path, source: &std::io::Error) -> ApiError {
    let message = format!("cannot {action} `{}`: {source}", path.display());
    ApiError::new(ErrorKind::Failed, message)
}
