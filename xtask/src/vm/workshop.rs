//! `target/vm`: images and jobs, with one run at a time.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use nix::fcntl::{Flock, FlockArg};

use crate::command::target_dir;

/// The directory, locked for this run. `Drop` removes what only this run needs.
#[derive(Debug)]
pub(super) struct Workshop {
    path: PathBuf,
    _held: Flock<File>,
}

impl Workshop {
    pub(super) fn open() -> Result<Self> {
        let path = target_dir()?.join("vm");
        fs::create_dir_all(&path)?;
        let file = File::create(path.join("lock"))?;
        let held = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, error)| anyhow!(error))
            .with_context(|| format!("another run holds {}", path.display()))?;
        let workshop = Self { path, _held: held };
        // Of a run that was killed.
        workshop.clear()?;
        Ok(workshop)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A fresh directory for a job.
    pub(super) fn job(&self) -> Result<PathBuf> {
        let job = self.path.join("job");
        fs::create_dir_all(&job)?;
        Ok(job)
    }

    fn clear(&self) -> Result<()> {
        let job = self.path.join("job");
        if job.exists() {
            fs::remove_dir_all(&job)?;
        }
        for extension in ["img", "status"] {
            let file = job.with_extension(extension);
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // The next run removes the rest.
        let _ = self.clear();
    }
}
