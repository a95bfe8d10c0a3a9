//! Ctrl-C: the demo notices between two steps and ends as after an error, by dropping what it made.

use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, Result};

/// Whether the user asked to stop.
#[derive(Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

/// The user asked to stop.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl Error for Interrupted {}

impl Stop {
    /// From now on `SIGINT`, `SIGTERM` and `SIGHUP` ask, and end nothing by themselves.
    pub(crate) fn on_signals() -> Result<Self> {
        let requested = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&requested);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .context("cannot catch Ctrl-C")?;
        Ok(Self(requested))
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once the user asked.
    pub(crate) fn check(&self) -> Result<(), Interrupted> {
        if self.requested() {
            return Err(Interrupted);
        }
        Ok(())
    }
}
