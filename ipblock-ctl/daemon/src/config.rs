//! The daemon's configuration file; `flags` combines it with the flags.

mod alerts;
mod problems;
mod sinks;
#[cfg(test)]
mod tests;
mod values;

use std::{
    collections::BTreeSet,
    fs, io,
    num::{NonZeroU16, NonZeroU32},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    str::FromStr,
};

use ipblock_datapath::kernel_log;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Unexpected},
};
use thiserror::Error;

pub use self::{
    alerts::{Alerts, Log, Metrics},
    sinks::SinkConfigs,
};

use super::settings::parse_interface;

/// The default file, which does not have to exist.
pub const DEFAULT_CONFIG: &str = "/etc/ipblock/ipblockd.toml";

/// The content of the file; missing values are `None`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The unix socket.
    #[serde(default, deserialize_with = "absolute_path")]
    pub socket: Option<PathBuf>,
    /// The state directory.
    #[serde(default, deserialize_with = "absolute_path")]
    pub state_dir: Option<PathBuf>,
    /// A mounted bpffs.
    #[serde(default, deserialize_with = "absolute_path")]
    pub bpffs: Option<PathBuf>,
    /// Interfaces to attach at start.
    #[serde(default, deserialize_with = "interfaces")]
    pub interfaces: Option<Vec<InterfaceText>>,
    /// Maximum of kernel entries in one zone.
    pub capacity: Option<NonZeroU32>,
    /// Diagnostics of the XDP program.
    #[serde(default, deserialize_with = "level")]
    pub bpf_log: Option<kernel_log::Level>,
    /// The directory of list files.
    #[serde(default, deserialize_with = "absolute_path")]
    pub lists_dir: Option<PathBuf>,
    /// `[lists]`.
    #[serde(default)]
    pub lists: Lists,
    /// `[guard]`.
    #[serde(default)]
    pub guard: Guard,
    /// `[alerts]`.
    #[serde(default)]
    pub alerts: Alerts,
    /// `[metrics]`.
    #[serde(default)]
    pub metrics: Metrics,
    /// `[log]`.
    #[serde(default)]
    pub log: Log,
}

/// Settings of list files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lists {
    /// The share of its addresses that a list file may lose between two reads.
    #[serde(default, deserialize_with = "share")]
    pub max_shrink: Option<f64>,
}

/// Settings of the guard against lock-out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The ports of the local sshd.
    pub ssh_ports: Option<Vec<NonZeroU16>>,
}

/// A parsed `IF[=native|generic|auto][@ZONE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceText(pub ipblock_store::Interface);

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its content is invalid.
    #[error("{}", .problems.join("\n"))]
    Invalid {
        /// `FILE:LINE:COLUMN: ` and the problem, with the value and what to write.
        problems: Vec<String>,
    },
}

impl ConfigFile {
    /// Reads a file, or the default one if it exists. Also returns the path of the file that was
    /// read.
    pub fn load(named: Option<&Path>) -> Result<(Self, Option<PathBuf>), ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_CONFIG));
        match fs::read_to_string(path) {
            Ok(text) => Ok((Self::parse(&text, path)?, Some(path.to_owned()))),
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok((Self::default(), None))
            }
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Returns a warning if the file contains secrets and every user can read it.
    #[must_use]
    pub fn shown_secrets(&self, path: &Path) -> Option<String> {
        let holds_secrets = self.alerts.sinks.as_ref()?.holds_secrets;
        let mode = fs::metadata(path).ok()?.mode();
        (holds_secrets && mode & 0o004 != 0).then(|| {
            let path = path.display();
            format!(
                "{path} holds headers of a webhook and every user can read it: chmod 600 {path}, \
                 or write {{ file = \"/PATH\" }} for their values"
            )
        })
    }

    /// Parses a text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        problems::read(text).map_err(|problems| {
            let problems = problems.into_iter().map(|(at, message)| {
                let (line, column) = line_and_column(text, at);
                format!("{}:{line}:{column}: {message}", path.display())
            });
            ConfigError::Invalid {
                problems: problems.collect(),
            }
        })
    }
}

/// Returns line and column of a byte offset, both from 1.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or(before);
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

fn absolute_path<'de, D: Deserializer<'de>>(value: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(value)?;
    if path.is_absolute() {
        return Ok(Some(path));
    }
    let text = path.display();
    Err(D::Error::custom(format_args!(
        "`{text}` is not an absolute path: write it from the root, as in /var/lib/ipblock"
    )))
}

fn level<'de, D: Deserializer<'de>>(value: D) -> Result<Option<kernel_log::Level>, D::Error> {
    let text = String::deserialize(value)?;
    let level = kernel_log::Level::from_str(&text);
    level.map(Some).map_err(D::Error::custom)
}

fn share<'de, D: Deserializer<'de>>(value: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(value)?;
    if (0.0..=1.0).contains(&share) {
        return Ok(Some(share));
    }
    Err(D::Error::invalid_value(
        Unexpected::Float(share),
        &"a share from 0.0 to 1.0",
    ))
}

fn interfaces<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<InterfaceText>>, D::Error> {
    let interfaces: Vec<InterfaceText> = Vec::deserialize(value)?;
    let mut seen = BTreeSet::new();
    match interfaces.iter().find(|one| !seen.insert(&one.0.name)) {
        Some(twice) => Err(D::Error::custom(format_args!(
            "interface `{}` stands here twice: write it once",
            twice.0.name
        ))),
        None => Ok(Some(interfaces)),
    }
}

impl<'de> Deserialize<'de> for InterfaceText {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let text = String::deserialize(value)?;
        parse_interface(&text).map(Self).map_err(D::Error::custom)
    }
}
