//! Makes a daemon end or wait at a step: the other end of `ipblock_fault`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::ensure;

/// The file in `$IPBLOCK_FAULT`.
#[derive(Clone, Debug)]
pub struct FaultFile {
    path: PathBuf,
}

impl FaultFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Kills the daemon (`SIGKILL`) when it reaches a step for the `count`-th time.
    pub fn kill_at(&self, step: &str, count: u64) -> anyhow::Result<()> {
        self.write(&format!("{step} {count} kill"))
    }

    /// Makes it wait there until [`FaultFile::clear`].
    pub fn hold_at(&self, step: &str, count: u64) -> anyhow::Result<()> {
        self.write(&format!("{step} {count} hold"))
    }

    /// Whether the step was reached.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.reached().exists()
    }

    /// Starts to record the steps that are reached.
    pub fn trace(&self) -> anyhow::Result<()> {
        self.write("trace")
    }

    /// Returns the recorded steps, in their order.
    pub fn traced(&self) -> anyhow::Result<Vec<String>> {
        let steps = match fs::read_to_string(self.path.with_extension("trace")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            steps => steps?,
        };
        self.clear()?;
        Ok(steps.lines().map(str::to_owned).collect())
    }

    /// Clears the request; a held daemon continues.
    pub fn clear(&self) -> anyhow::Result<()> {
        for path in [
            self.path.clone(),
            self.reached(),
            self.path.with_extension("trace"),
        ] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn reached(&self) -> PathBuf {
        self.path.with_extension("reached")
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        ensure!(
            !self.is_reached(),
            "what was asked for last was not cleared"
        );
        // Atomically: the daemon may read it at any time.
        let next = self.path.with_extension("armed");
        fs::write(&next, text)?;
        Ok(fs::rename(next, &self.path)?)
    }
}
