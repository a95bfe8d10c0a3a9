//! What the daemon was told, resolved.

use std::{path::PathBuf, str::FromStr, time::Duration};

use ipblock_common::limits::DEFAULT_CAPACITY;

use crate::{
    datapath::kernel_log,
    policy::ZoneName,
    store::{AskedMode, Interface},
};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ipblock/ipblock.sock";
/// Where it keeps its state unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/ipblock";
/// Where it pins unless told otherwise.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf";
/// Where it reads list files from unless told otherwise.
pub const DEFAULT_LISTS_DIR: &str = "/etc/ipblock/lists";
/// How much of its addresses a list file may lose unless told otherwise: half.
pub const DEFAULT_MAX_SHRINK: f64 = 0.5;

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
        Some((name, "native")) => (name, AskedMode::Native),
        Some((name, "generic")) => (name, AskedMode::Generic),
        Some((name, "auto")) => (name, AskedMode::Auto),
        Some((_, mode)) => {
            return Err(format!(
                "mode `{mode}` is none of native, generic and auto: write eth0, eth0=native or \
                 eth0=native@ZONE"
            ));
        }
        None => (rest, AskedMode::Auto),
    };
    check_interface_name(name)?;
    Ok(Interface {
        name: name.to_owned(),
        mode,
        zone,
    })
}

/// Refuses what the kernel takes for no interface name (net/core/dev.c, `dev_valid_name`).
pub fn check_interface_name(name: &str) -> Result<(), String> {
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c == '\0';
    if name.is_empty()
        || name.len() >= libc::IFNAMSIZ
        || name.contains(bad)
        || name == "."
        || name == ".."
    {
        return Err(format!(
            "`{name}` is no interface name: 1 to 15 characters without `/`, `:` and spaces"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_a_name_with_an_optional_mode_and_zone() {
        let all = parse_interface("eth0.100=native@web").unwrap();
        assert_eq!(all.name, "eth0.100");
        assert_eq!(all.mode, AskedMode::Native);
        assert_eq!(all.zone.as_str(), "web");
        let bare = parse_interface("eth0").unwrap();
        assert_eq!((bare.name.as_str(), bare.mode), ("eth0", AskedMode::Auto));
        assert_eq!(bare.zone, ZoneName::default());
    }

    #[test]
    fn a_bad_interface_says_what_to_write() {
        assert!(
            parse_interface("eth0=fast")
                .unwrap_err()
                .contains("eth0=native")
        );
        assert!(parse_interface("").unwrap_err().contains("1 to 15"));
        assert!(parse_interface("a-name-much-too-long").is_err());
        assert!(parse_interface("eth0@not a zone").is_err());
    }
}
