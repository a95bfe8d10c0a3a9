//! The daemon: reads the flags and the file, logs to standard error, runs.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use ipblock::{
    daemon::{self, ConfigFile, Flags, RunError, Settings},
    datapath::kernel_log,
};
use tracing::error;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Bad flags end with this code too, as clap has it.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let check_only = flags.check_config;
    let (file, path) = match ConfigFile::load(flags.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            // Without a log: where the log goes to is the same, and a plain line is what editors
            // and scripts read.
            drop(writeln!(io::stderr(), "error: {error}"));
            return ExitCode::from(BAD_INPUT);
        }
    };
    let settings = flags.resolve(file);
    if check_only {
        let path = path.map_or_else(
            || "no configuration file".to_owned(),
            |path| path.display().to_string(),
        );
        let summary = settings.summary();
        // A reader that has gone has seen enough.
        drop(write!(io::stdout(), "ok: {path}\n{summary}"));
        return ExitCode::SUCCESS;
    }
    start_log(&settings);
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            let hint = error.downcast_ref::<RunError>().and_then(RunError::hint);
            if let Some(hint) = hint {
                error!("hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start_log(settings: &Settings) {
    let unless_set = match settings.bpf_log {
        kernel_log::Level::Off => "info",
        // The program's records are of this level, and come under the name of its crate.
        kernel_log::Level::Debug => "info,ipblock=debug",
    };
    let filter =
        EnvFilter::try_from_env("IPBLOCK_LOG").unwrap_or_else(|_| EnvFilter::new(unless_set));
    tracing_subscriber::registry()
        .with(filter)
        .with(
            fmt::layer()
                .with_writer(io::stderr)
                .with_ansi(io::stderr().is_terminal())
                .with_target(false),
        )
        .init();
}

fn start(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(daemon::run(settings))?;
    Ok(())
}
