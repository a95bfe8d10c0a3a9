//! The flags of `ipblockd`, and the settings that follow from them and the file.

use std::{num::NonZeroU32, path::PathBuf, sync::LazyLock};

use clap::Parser;
use ipblock_datapath::{DEFAULT_BPFFS, kernel_log, object::object_sha256_hex};
use ipblock_policy::compile::DEFAULT_CAPACITY;
use ipblock_store::Interface;

use super::{
    config::{ConfigFile, DEFAULT_CONFIG},
    settings::{DEFAULT_SOCKET, DEFAULT_STATE_DIR, Settings, parse_interface},
};

/// The version with the BPF object, in the form of `ipblock-ctl status` and `cargo xtask check`.
static LONG_VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    format!("{version}\nobject sha256 {}", object_sha256_hex())
});

/// Blocks IP addresses at the network interface.
///
/// Runs in the foreground. On SIGTERM it stops and leaves the filter in force; only
/// `ipblock-ctl detach` takes it off an interface. Flags beat the configuration file.
/// `IPBLOCK_LOG` sets what is logged, as in `IPBLOCK_LOG=debug`.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "ipblockd", version, long_version = LONG_VERSION.as_str())]
pub struct Flags {
    /// Configuration file.
    #[arg(long, value_name = "FILE", help = format!(
        "Configuration file [default: {DEFAULT_CONFIG}, where it exists]"
    ))]
    pub config: Option<PathBuf>,
    /// Read the flags and the file, say what is wrong with them or what they come to, and end.
    #[arg(long)]
    pub check_config: bool,
    /// Print the manual page, and end.
    #[arg(long)]
    pub man: bool,
    /// Unix socket to listen on.
    #[arg(long, value_name = "PATH", help = format!(
        "Unix socket to listen on [default: {DEFAULT_SOCKET}]"
    ))]
    pub socket: Option<PathBuf>,
    /// Directory for revisions, counters and everything else that has to last.
    #[arg(long, value_name = "DIR", help = format!(
        "Directory for revisions, counters and everything else that has to last \
         [default: {DEFAULT_STATE_DIR}]"
    ))]
    pub state_dir: Option<PathBuf>,
    /// Mounted bpffs to pin to.
    #[arg(long, value_name = "DIR", help = format!(
        "Mounted bpffs to pin to [default: {DEFAULT_BPFFS}]"
    ))]
    pub bpffs: Option<PathBuf>,
    /// Interface to attach, remembered like those of `ipblock-ctl attach`; may be repeated.
    #[arg(long = "interface", value_name = "IF[=native|generic|auto][@ZONE]", value_parser = parse_interface)]
    pub interfaces: Vec<Interface>,
    /// Kernel entries that one zone may have, both families together.
    #[arg(long, value_name = "N", help = format!(
        "Kernel entries that one zone may have, both families together \
         [default: {DEFAULT_CAPACITY}]"
    ))]
    pub capacity: Option<NonZeroU32>,
    /// Diagnostics of the XDP program: off, or debug for a record of each malformed frame.
    #[arg(
        long,
        value_name = "LEVEL",
        help = "Diagnostics of the XDP program: off, or debug for a record of each malformed \
                frame [default: off]"
    )]
    pub bpf_log: Option<kernel_log::Level>,
}

impl Flags {
    /// Returns the settings. Interfaces in flags replace those in the file.
    #[must_use]
    pub fn resolve(self, file: ConfigFile) -> Settings {
        let default = Settings::default();
        let listed = file.interfaces.unwrap_or_default().into_iter();
        let capacity = self.capacity.or(file.capacity);
        let ports = |ports: Vec<std::num::NonZeroU16>| ports.into_iter().map(Into::into).collect();
        Settings {
            socket: self.socket.or(file.socket).unwrap_or(default.socket),
            state_dir: self
                .state_dir
                .or(file.state_dir)
                .unwrap_or(default.state_dir),
            bpffs: self.bpffs.or(file.bpffs).unwrap_or(default.bpffs),
            interfaces: if self.interfaces.is_empty() {
                listed.map(|interface| interface.0).collect()
            } else {
                self.interfaces
            },
            capacity: capacity.map_or(default.capacity, NonZeroU32::get),
            bpf_log: self.bpf_log.or(file.bpf_log).unwrap_or(default.bpf_log),
            checkpoint_interval: default.checkpoint_interval,
            lists_dir: file.lists_dir.unwrap_or(default.lists_dir),
            max_shrink: file.lists.max_shrink.unwrap_or(default.max_shrink),
            ssh_ports: file.guard.ssh_ports.map(ports),
            alerts: file.alerts.resolve(default.alerts),
            metrics: file.metrics.listen.or(default.metrics),
            log_format: file.log.format.unwrap_or(default.log_format),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::settings::{AlertsConfig, LogFormat};

    fn flags(line: &str) -> Flags {
        Flags::try_parse_from(line.split(' ')).unwrap()
    }

    fn file(text: &str) -> ConfigFile {
        ConfigFile::parse(text, Path::new("d.toml")).unwrap()
    }

    #[test]
    fn flags_beat_the_file_and_the_file_beats_the_defaults() {
        let flags = flags("ipblockd --socket /flag.sock --interface eth1 --capacity 7");
        let settings = flags.resolve(file(
            "socket = \"/file.sock\"\nstate_dir = \"/file\"\ninterfaces = [\"eth0@lan\"]\n\
             capacity = 9\nbpf_log = \"debug\"\n[lists]\nmax_shrink = 0.25\n[guard]\n\
             ssh_ports = [2222]\n[alerts]\nrate = 5\nsink = []\n[metrics]\nlisten = 9477\n[log]\n\
             format = \"json\"",
        ));
        assert_eq!(settings.socket, Path::new("/flag.sock"));
        assert_eq!(settings.state_dir, Path::new("/file"));
        assert_eq!(settings.bpffs, Path::new(DEFAULT_BPFFS));
        let names: Vec<_> = settings.interfaces.iter().map(|one| &one.name).collect();
        assert_eq!(names, ["eth1"]);
        assert_eq!(settings.capacity, 7);
        assert_eq!(settings.bpf_log, kernel_log::Level::Debug);
        assert!((settings.max_shrink - 0.25).abs() < f64::EPSILON);
        assert_eq!(settings.ssh_ports, Some(vec![2222]));
        let default = AlertsConfig::default();
        let alerts = AlertsConfig {
            rate: 5,
            sinks: Vec::new(),
            ..default
        };
        assert_eq!(settings.alerts, alerts);
        assert_eq!(settings.metrics, "127.0.0.1:9477".parse().ok());
        assert_eq!(settings.log_format, LogFormat::Json);
    }

    #[test]
    fn a_capacity_of_nothing_is_a_usage_error() {
        assert!(Flags::try_parse_from(["ipblockd", "--capacity", "0"]).is_err());
    }
}
