//! The daemon's configuration file as it is written; `flags` puts it together with the flags.

use std::{
    collections::BTreeSet,
    fs, io,
    num::{NonZeroU16, NonZeroU32},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, Unexpected},
};
use thiserror::Error;

use super::settings::parse_interface;
use crate::{datapath::kernel_log, store};

/// The file that is read when no other is named; it need not exist.
pub const DEFAULT_CONFIG: &str = "/etc/ipblock/ipblockd.toml";

/// What the file says; what it does not say is `None`.
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
    /// Kernel entries that one zone may have.
    pub capacity: Option<NonZeroU32>,
    /// Diagnostics of the XDP program.
    #[serde(default, deserialize_with = "level")]
    pub bpf_log: Option<kernel_log::Level>,
    /// Where list files are.
    #[serde(default, deserialize_with = "absolute_path")]
    pub lists_dir: Option<PathBuf>,
    /// `[lists]`.
    #[serde(default)]
    pub lists: Lists,
    /// `[guard]`.
    #[serde(default)]
    pub guard: Guard,
}

/// What is said of list files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lists {
    /// The share of its addresses that a list file may lose from one reading to the next.
    #[serde(default, deserialize_with = "share")]
    pub max_shrink: Option<f64>,
}

/// What is said of the guard against lock-out.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The ports that the local sshd listens on.
    pub ssh_ports: Option<Vec<NonZeroU16>>,
}

/// `IF[=native|generic|auto][@ZONE]`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceText(pub store::Interface);

/// Why a configuration file is not used.
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
    /// It says what cannot be meant.
    #[error("{path}:{line}:{column}: {message}", path = .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong, with the value and what to write.
        message: String,
    },
}

impl ConfigFile {
    /// Reads a file; with `None` the default one, where it exists. Returns the path of what was
    /// read as well.
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

    /// Reads a text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let (line, column) = line_and_column(text, at);
            ConfigError::Invalid {
                path: path.to_owned(),
                line,
                column,
                message: error.message().replace('\n', ", "),
            }
        })
    }
}

/// The place of a byte offset, both numbers from 1.
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
        "`{text}` is no absolute path: write it from the root, as in /var/lib/ipblock"
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that is installed.
    const EXAMPLE: &str = include_str!("../../../packaging/ipblockd.toml");

    fn parse(text: &str) -> Result<ConfigFile, String> {
        ConfigFile::parse(text, Path::new("d.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_says_nothing_but_the_defaults_as_it_stands() {
        assert_eq!(parse(EXAMPLE), Ok(ConfigFile::default()));
    }

    #[test]
    fn the_example_without_its_comment_signs_sets_every_key() {
        let all: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let file = parse(&all).unwrap();
        assert!(file.socket.is_some() && file.state_dir.is_some() && file.bpffs.is_some());
        assert!(file.interfaces.is_some() && file.capacity.is_some() && file.bpf_log.is_some());
        assert!(file.lists_dir.is_some() && file.lists.max_shrink.is_some());
        assert!(file.guard.ssh_ports.is_some());
    }

    #[test]
    fn every_key_is_explained_above_it() {
        let lines: Vec<_> = EXAMPLE.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            if line.contains(" = ") && !line.starts_with("# ") {
                let above = lines[..number].iter().rev().take_while(|l| !l.is_empty());
                assert!(above.clone().any(|l| l.starts_with("# ")), "{line}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_value() {
        for (text, said) in [
            ("colour = 1", "d.toml:1:1: unknown field `colour`"),
            ("\n[guard]\nssh_port = [22]", "d.toml:3:1: unknown field"),
            ("socket = 7", "d.toml:1:10: invalid type: integer `7`"),
            (
                "socket = \"a.sock\"",
                "d.toml:1:10: `a.sock` is no absolute",
            ),
            ("capacity = 0", "d.toml:1:12: invalid value: integer `0`"),
            ("capacity = -1", "d.toml:1:12: "),
            ("bpf_log = \"all\"", "d.toml:1:11: `all` is neither `off`"),
            (
                "interfaces = [\"eth0\",\n  \"eth1=fast\"]",
                "d.toml:1:14: mode `fast` is none of",
            ),
            (
                "interfaces = [\"eth0\", \"eth0@lan\"]",
                "d.toml:1:14: interface `eth0` stands here twice",
            ),
            (
                "[lists]\nmax_shrink = 1.5",
                "d.toml:2:14: invalid value: floating point `1.5`, expected a share from 0.0",
            ),
            ("[lists]\nmax_shrink = nan", "d.toml:2:14: "),
            ("[guard]\nssh_ports = [70000]", "d.toml:2:14: "),
            ("[guard]\nssh_ports = [0]", "d.toml:2:14: "),
            ("socket = ", "d.toml:1:10: "),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(said), "{text}: {error}");
            assert!(!error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn only_a_file_that_was_named_has_to_exist() {
        let missing = Path::new("/nonexistent/ipblockd.toml");
        let error = ConfigFile::load(Some(missing)).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nonexistent/ipblockd.toml: "));
    }
}
