//! The daemon: reads flags and configuration, starts the log, and runs.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use ipblock_daemon::{self as daemon, ConfigFile, Flags, RunError, Settings};
use ipblock_output::Output;
use ipblock_policy::Hinted as _;
use tracing::{error, warn};

/// The exit code of clap for bad flags, too.
const BAD_INPUT: u8 = 2;
/// The exit code of `ipblock-ctl` for a missing permission.
const NOT_PERMITTED: u8 = 5;

fn main() -> ExitCode {
    let flags = Flags::parse();
    if flags.man {
        return match daemon::manual().and_then(|page| io::stdout().write_all(&page)) {
            // The reader has closed the pipe because it has read enough.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                drop(writeln!(
                    io::stderr(),
                    "error: cannot print the manual page: {error}"
                ));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        };
    }
    let check_only = flags.check_config;
    let (file, path) = match ConfigFile::load(flags.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            // Without a log: its destination is the same, and editors and scripts read plain lines.
            for line in error.to_string().lines() {
                drop(writeln!(io::stderr(), "error: {line}"));
            }
            return ExitCode::from(BAD_INPUT);
        }
    };
    let warning = path.as_deref().and_then(|path| file.shown_secrets(path));
    let settings = flags.resolve(file);
    let obstacles = settings.obstacles();
    if check_only {
        if let Some(warning) = warning {
            drop(writeln!(io::stderr(), "warning: {warning}"));
        }
        let mut output = Output::plain();
        for obstacle in &obstacles {
            output.report(obstacle);
        }
        if !obstacles.is_empty() {
            return ExitCode::from(BAD_INPUT);
        }
        let path = path.map_or_else(
            || "no configuration file".to_owned(),
            |path| path.display().to_string(),
        );
        let summary = settings.summary();
        // The reader has closed the pipe because it has read enough.
        drop(write!(io::stdout(), "ok: {path}\n{summary}"));
        return ExitCode::SUCCESS;
    }
    daemon::log::start(&settings);
    if let Some(warning) = warning {
        warn!("{warning}");
    }
    // It may exist by the first alert, so it is not a reason to leave packets unfiltered.
    for obstacle in obstacles {
        warn!("{}", obstacle.in_one_line());
    }
    if let Err(error) = daemon::keep_only_what_is_needed(&settings) {
        warn!(%error, "capabilities that are not needed could not be given up");
    }
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{}", once(&error));
            let hint = error.downcast_ref::<RunError>().and_then(RunError::hint);
            if let Some(hint) = hint {
                error!("hint: {hint}");
            }
            let refused = error.downcast_ref::<RunError>();
            if refused.is_some_and(RunError::is_not_permitted) {
                return ExitCode::from(NOT_PERMITTED);
            }
            ExitCode::FAILURE
        }
    }
}

/// Returns an error and its causes without repetitions: many errors contain their cause.
fn once(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn start(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(daemon::run(settings))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let shown = anyhow::anyhow!("no such file").context("cannot read /x: no such file");
        assert_eq!(once(&shown), "cannot read /x: no such file");
        let hidden = anyhow::anyhow!("no such file").context("cannot read /x");
        assert_eq!(once(&hidden), "cannot read /x: no such file");
    }
}
