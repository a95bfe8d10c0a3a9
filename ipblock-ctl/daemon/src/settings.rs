//! The resolved settings of the daemon.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use ipblock_common::limits::DEFAULT_CAPACITY;
use ipblock_datapath::{DEFAULT_BPFFS, kernel_log};
use ipblock_policy::{ZoneName, mode::asked, name::check_interface_name, words};
use ipblock_store::{AlertRetention, Interface};

/// Default path of the socket.
pub const DEFAULT_SOCKET: &str = "/run/ipblock/ipblock.sock";
/// Default state directory.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/ipblock";
/// Default directory of list files.
pub const DEFAULT_LISTS_DIR: &str = "/etc/ipblock/lists";
/// Default share of its addresses that a list file may lose: half.
pub const DEFAULT_MAX_SHRINK: f64 = 0.5;

/// Default maximum of alerts that wait for one sink.
pub const DEFAULT_SINK_QUEUE: usize = 10_000;

/// Default maximum size of a sink's file in bytes.
pub const DEFAULT_FILE_MAX: u64 = 64 << 20;
/// Default number of renamed files that a sink keeps.
pub const DEFAULT_FILE_KEEP: u32 = 5;
/// Default timeout of a webhook's request.
pub const DEFAULT_WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Default maximum of alerts in one request of a webhook.
pub const DEFAULT_WEBHOOK_BATCH: usize = 100;

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The unix socket.
    pub socket: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// A mounted bpffs.
    pub bpffs: PathBuf,
    /// Interfaces to attach at start; remembered like those of `attach`.
    pub interfaces: Vec<Interface>,
    /// Maximum of kernel entries in one zone.
    pub capacity: u32,
    /// Diagnostics of the XDP program.
    pub bpf_log: kernel_log::Level,
    /// Interval to save counters, which limits the loss after a power failure.
    pub checkpoint_interval: Duration,
    /// Directory of the files for named lists.
    pub lists_dir: PathBuf,
    /// The share of its addresses, 0 to 1, that a list file may lose between two reads.
    pub max_shrink: f64,
    /// Ports of the local sshd; `None` means those in its configuration.
    pub ssh_ports: Option<Vec<u16>>,
    /// Alerts and their sinks.
    pub alerts: AlertsConfig,
    /// TCP address for `GET /metrics`; `None` means only on the unix socket.
    pub metrics: Option<SocketAddr>,
    /// The format of the log.
    pub log_format: LogFormat,
}

/// Settings for making, keeping and delivering alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertsConfig {
    /// A source and a rule cause one alert in this time.
    pub window: Duration,
    /// Maximum of packets that the kernel announces per second.
    pub rate: u64,
    /// Maximum of alerts in the store; the oldest are deleted first.
    pub keep: u64,
    /// Maximum age of alerts in the store.
    pub keep_for: Duration,
    /// Every sink, each with a unique name.
    pub sinks: Vec<SinkConfig>,
}

impl AlertsConfig {
    /// Returns the limits of the store.
    pub(super) fn retention(&self) -> AlertRetention {
        AlertRetention {
            count: self.keep,
            time: self.keep_for,
        }
    }
}

/// One sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// Its name in `status` and in metrics.
    pub name: String,
    /// Maximum of alerts that wait for it; with more, the oldest are lost for this sink.
    pub queue: usize,
    /// The receiver.
    pub target: SinkTarget,
}

/// The receiver of a sink.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkTarget {
    /// The daemon's log.
    Log,
    /// A file with one JSON object per line.
    File {
        /// The file.
        path: PathBuf,
        /// A file of this size is renamed and a new one started.
        max_bytes: u64,
        /// Number of renamed files to keep.
        keep: u32,
    },
    /// HTTP POST of JSON arrays.
    Webhook {
        /// `http://` or `https://`.
        url: String,
        /// Sent with each request. They may be secrets, so they are never logged.
        headers: Vec<(String, String)>,
        /// Timeout of a request.
        timeout: Duration,
        /// Maximum of alerts in one request.
        batch: usize,
    },
}

words! {
    /// The format of the log.
    #[derive(Default)]
    pub enum LogFormat {
        /// Fields of the journal under systemd, else text.
        #[default]
        Auto = "auto",
        /// Lines for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_mins(1),
            rate: 1_000,
            keep: 100_000,
            keep_for: Duration::from_hours(30 * 24),
            sinks: vec![SinkConfig {
                name: "log".to_owned(),
                queue: DEFAULT_SINK_QUEUE,
                target: SinkTarget::Log,
            }],
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.into(),
            state_dir: DEFAULT_STATE_DIR.into(),
            bpffs: DEFAULT_BPFFS.into(),
            interfaces: Vec::new(),
            capacity: DEFAULT_CAPACITY,
            bpf_log: kernel_log::Level::Off,
            checkpoint_interval: Duration::from_secs(10),
            lists_dir: DEFAULT_LISTS_DIR.into(),
            max_shrink: DEFAULT_MAX_SHRINK,
            ssh_ports: None,
            alerts: AlertsConfig::default(),
            metrics: None,
            log_format: LogFormat::default(),
        }
    }
}

/// Parses `IF[=native|generic|auto][@ZONE]`.
///
/// The zone follows the last `@`, and the mode the last `=` in the rest.
pub fn parse_interface(text: &str) -> Result<Interface, String> {
    let (rest, zone) = match text.rsplit_once('@') {
        Some((rest, zone)) => (
            rest,
            ZoneName::from_str(zone).map_err(|error| error.to_string())?,
        ),
        None => (text, ZoneName::default()),
    };
    let (name, mode) = match rest.rsplit_once('=') {
        Some((name, mode)) => {
            let hint = "write eth0, eth0=native or eth0=native@ZONE";
            let mode = asked::parse(mode).map_err(|none| format!("mode {none}: {hint}"))?;
            (name, mode)
        }
        None => (rest, None),
    };
    check_interface_name(name)?;
    Ok(Interface {
        name: name.to_owned(),
        mode,
        zone,
    })
}

#[cfg(test)]
mod tests {
    use ipblock_policy::Mode;

    use super::*;

    #[test]
    fn an_interface_is_a_name_with_an_optional_mode_and_zone() {
        let all = parse_interface("eth0.100=native@web").unwrap();
        assert_eq!(all.name, "eth0.100");
        assert_eq!(all.mode, Some(Mode::Native));
        assert_eq!(all.zone.as_str(), "web");
        let bare = parse_interface("eth0").unwrap();
        assert_eq!((bare.name.as_str(), bare.mode), ("eth0", None));
        assert_eq!(bare.zone, ZoneName::default());
    }

    #[test]
    fn a_bad_interface_says_what_to_write() {
        assert!(
            parse_interface("eth0=fast")
                .unwrap_err()
                .contains("eth0=native")
        );
        assert!(parse_interface("").unwrap_err().contains("ip -brief link"));
        assert!(parse_interface("a-name-much-too-long").is_err());
        assert!(parse_interface("eth0@not a zone").is_err());
    }
}
