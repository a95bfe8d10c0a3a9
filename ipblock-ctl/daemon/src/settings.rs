//! What the daemon was told, resolved.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use ipblock_common::limits::DEFAULT_CAPACITY;
use ipblock_datapath::{DEFAULT_BPFFS, kernel_log};
use ipblock_policy::{ZoneName, mode::asked, name::check_interface_name, words};
use ipblock_store::{AlertRetention, Interface};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ipblock/ipblock.sock";
/// Where it keeps its state unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/ipblock";
/// Where it reads list files from unless told otherwise.
pub const DEFAULT_LISTS_DIR: &str = "/etc/ipblock/lists";
/// How much of its addresses a list file may lose unless told otherwise: half.
pub const DEFAULT_MAX_SHRINK: f64 = 0.5;

/// Alerts that may wait for one sink unless told otherwise.
pub const DEFAULT_SINK_QUEUE: usize = 10_000;

/// How large a sink's file gets unless told otherwise, in bytes.
pub const DEFAULT_FILE_MAX: u64 = 64 << 20;
/// Renamed files that a sink keeps unless told otherwise.
pub const DEFAULT_FILE_KEEP: u32 = 5;
/// How long a webhook's request may take unless told otherwise.
pub const DEFAULT_WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Alerts in one request of a webhook, at most, unless told otherwise.
pub const DEFAULT_WEBHOOK_BATCH: usize = 100;

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The unix socket.
    pub socket: PathBuf,
    /// The state directory.
    pub state_dir: PathBuf,
    /// A mounted bpffs.
    pub bpffs: PathBuf,
    /// Interfaces to attach at start; remembered like those that `attach` names.
    pub interfaces: Vec<Interface>,
    /// Kernel entries that one zone may have.
    pub capacity: u32,
    /// Diagnostics of the XDP program.
    pub bpf_log: kernel_log::Level,
    /// How often counters are saved, so that a power loss costs no more than that.
    pub checkpoint_interval: Duration,
    /// Directory of the files that named lists may be read from.
    pub lists_dir: PathBuf,
    /// The share of its addresses, 0 to 1, that a list file may lose from one reading to the next.
    pub max_shrink: f64,
    /// Ports of the local sshd; `None`: what its configuration says.
    pub ssh_ports: Option<Vec<u16>>,
    /// Alerts and where they go.
    pub alerts: AlertsConfig,
    /// Where `GET /metrics` is answered over TCP; `None`: on the unix socket alone.
    pub metrics: Option<SocketAddr>,
    /// The form of the log.
    pub log_format: LogFormat,
}

/// When there are alerts, how long they are kept, and where they go.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertsConfig {
    /// A source and a rule are told of once in so long.
    pub window: Duration,
    /// Packets that the kernel announces in a second, at most.
    pub rate: u64,
    /// Alerts that the store keeps, oldest go first.
    pub keep: u64,
    /// How long it keeps them.
    pub keep_for: Duration,
    /// Every sink, each with a name of its own.
    pub sinks: Vec<SinkConfig>,
}

impl AlertsConfig {
    /// What the store keeps.
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
    /// Alerts that may wait for it; when there are more, the oldest are lost for this sink.
    pub queue: usize,
    /// Where its alerts go.
    pub target: SinkTarget,
}

/// Where a sink's alerts go.
#[derive(Clone, Debug, PartialEq)]
pub enum SinkTarget {
    /// The daemon's log.
    Log,
    /// A file, one JSON object a line.
    File {
        /// The file.
        path: PathBuf,
        /// A file that has grown to so many bytes is renamed and a new one begun.
        max_bytes: u64,
        /// Renamed files that are kept.
        keep: u32,
    },
    /// HTTP POST of JSON arrays.
    Webhook {
        /// `http://` or `https://`.
        url: String,
        /// Sent with each request, secrets among them: never logged.
        headers: Vec<(String, String)>,
        /// How long a request may take.
        timeout: Duration,
        /// Alerts in one request, at most.
        batch: usize,
    },
}

words! {
    /// The form of the log.
    #[derive(Default)]
    pub enum LogFormat {
        /// Fields of the journal under systemd, else text.
        #[default]
        Auto = "auto",
        /// Lines for people.
        Text = "text",
        /// One JSON object a line.
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

/// Reads `IF[=native|generic|auto][@ZONE]`.
///
/// The zone is what follows the last `@`, the mode what then follows the last `=`.
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
