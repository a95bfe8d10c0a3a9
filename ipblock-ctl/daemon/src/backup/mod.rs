//! Everything in one file.

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

/// What the names of directories begin with in which a backup stands for a moment.
const ASIDE: &str = ".aside-";

impl Service {
    /// A backup as an open file; it is nowhere on the disk any more when that is closed.
    pub fn back_up(&self) -> Result<File, ApiError> {
        let _changing = self.begin_change();
        // What live generations have counted is part of it.
        self.checkpoint()?;
        let aside = self.directory_aside()?;
        let path = aside.path().join(DATABASE);
        self.store.back_up(&path)?;
        File::open(&path).map_err(|source| on_disk("read", &path, &source))
    }

    /// A directory of its own in the state directory, which is gone with the value.
    pub(crate) fn directory_aside(&self) -> Result<TempDir, ApiError> {
        let state_dir = &self.settings.state_dir;
        tempfile::Builder::new()
            .prefix(ASIDE)
            .tempdir_in(state_dir)
            .map_err(|source| on_disk("make a directory in", state_dir, &source))
    }
}

/// Removes what a daemon that was killed in the middle of a backup or a restore has left behind.
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
