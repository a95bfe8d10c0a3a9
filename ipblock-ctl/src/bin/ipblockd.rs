//! The daemon: reads the flags, logs to standard error, runs.

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use ipblock::{
    daemon::{
        self, RunError, Settings,
        settings::{DEFAULT_BPFFS, DEFAULT_SOCKET, DEFAULT_STATE_DIR, parse_interface},
    },
    datapath::kernel_log,
    store::Interface,
};
use ipblock_common::limits::DEFAULT_CAPACITY;
use tracing::error;
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Blocks IP addresses at the network interface.
///
/// Runs in the foreground. On SIGTERM it stops and leaves the filter in force; only
/// `ipblock-ctl detach` takes it off an interface. `IPBLOCK_LOG` sets what is logged, as in
/// `IPBLOCK_LOG=debug`.
#[derive(Parser)]
#[command(name = "ipblockd", version)]
struct Flags {
    /// Unix socket to listen on.
    #[arg(long, value_name = "PATH", default_value = DEFAULT_SOCKET)]
    socket: PathBuf,
    /// Directory for revisions, counters and everything else that has to last.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    state_dir: PathBuf,
    /// Mounted bpffs to pin to.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
    /// Interface to attach, remembered like those of `ipblock-ctl attach`; may be repeated.
    #[arg(long = "interface", value_name = "IF[=native|generic|auto][@ZONE]", value_parser = parse_interface)]
    interfaces: Vec<Interface>,
    /// Kernel entries that one zone may have, both families together.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CAPACITY, value_parser = clap::value_parser!(u32).range(1..))]
    capacity: u32,
    /// Diagnostics of the XDP program: off, or debug for a record of each malformed frame.
    #[arg(long, value_name = "LEVEL", default_value_t = kernel_log::Level::Off)]
    bpf_log: kernel_log::Level,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    let unless_set = match flags.bpf_log {
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
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false),
        )
        .init();
    match start(flags) {
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

fn start(flags: Flags) -> anyhow::Result<()> {
    let settings = Settings {
        socket: flags.socket,
        state_dir: flags.state_dir,
        bpffs: flags.bpffs,
        interfaces: flags.interfaces,
        capacity: flags.capacity,
        bpf_log: flags.bpf_log,
        ..Settings::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(daemon::run(settings))?;
    Ok(())
}
