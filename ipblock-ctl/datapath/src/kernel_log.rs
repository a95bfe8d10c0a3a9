//! Diagnostics that the XDP program writes; off by default.

use std::{fmt, str::FromStr};

use aya_log::EbpfLogger;

use super::error::DatapathError;

/// The constant in the BPF object for the log level.
pub(super) const LEVEL: &str = aya_log::LEVEL;

/// How much the program writes. The verifier removes the code above the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Nothing, at no cost.
    #[default]
    Off,
    /// Malformed frames, one record each: for debugging, not for use during a flood.
    Debug,
}

impl Level {
    /// The number that aya-log compares with.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Debug => aya_log::Level::Debug as u8,
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "debug" => Ok(Self::Debug),
            _ => Err(format!("`{text}` is neither `off` nor `debug`")),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Debug => "debug",
        })
    }
}

/// Reads the records of one generation's program and passes them to the `log` facade.
pub struct Reader(EbpfLogger<&'static dyn log::Log>);

impl Reader {
    /// Opens the ring buffer of a loaded program.
    pub fn open(program_id: u32) -> Result<Self, DatapathError> {
        EbpfLogger::init_from_id(program_id)
            .map(Self)
            .map_err(|error| DatapathError::KernelLog(error.to_string()))
    }

    /// Passes on the records written since the last call.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}
