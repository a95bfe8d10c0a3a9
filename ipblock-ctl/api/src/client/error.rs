//! Why a request failed, and what to do.

use std::{io, path::PathBuf};

use ipblock_policy::Hinted;
use thiserror::Error;

use super::super::error::{ApiError, ErrorKind, Needs};

/// Why a request failed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No process listens on the socket.
    #[error("cannot reach ipblockd at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The error of the connection.
        source: io::Error,
    },
    /// The socket exists, but this user may not open it.
    #[error("not permitted to open {}", path.display())]
    NotPermitted {
        /// The socket.
        path: PathBuf,
    },
    /// The daemon answered with an error.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The daemon closed the connection before it answered.
    #[error("ipblockd closed the connection before it answered {route}: {problem}")]
    Lost {
        /// Method and path.
        route: String,
        /// What happened to the connection.
        problem: String,
    },
    /// The daemon accepted the request but does not answer.
    #[error("ipblockd did not answer {route} within {seconds} s")]
    Silent {
        /// Method and path.
        route: String,
        /// How long the client waited, in seconds.
        seconds: u64,
    },
    /// This version does not understand the answer.
    #[error("ipblockd's answer to {route} is not understood: {problem}")]
    Protocol {
        /// Method and path.
        route: String,
        /// The problem of the answer.
        problem: String,
    },
}

impl Hinted for ClientError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { .. } => {
                "start the daemon with `systemctl start ipblockd`, or name its socket with --socket"
            }
            Self::NotPermitted { .. } => "run the command as root, for example with sudo",
            Self::Api(error) => return error.hint.clone(),
            Self::Lost { .. } => {
                "it may or may not have been carried out: see `ipblock-ctl status` and \
                 `ipblock-ctl diff`"
            }
            Self::Silent { .. } => {
                "it is stuck or very busy, and may still carry it out: see \
                 `journalctl -u ipblockd`; `systemctl restart ipblockd` leaves the filter in force"
            }
            Self::Protocol { .. } => {
                "ipblock-ctl and ipblockd may be of different versions: compare \
                 `ipblock-ctl --version` with `ipblock-ctl status`, and restart the daemon"
            }
        };
        Some(hint.to_owned())
    }
}

impl ClientError {
    /// Returns the exit code of `ipblock-ctl`.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => 4,
            Self::NotPermitted { .. } => 5,
            Self::Api(error) => error.kind.exit_code(),
            Self::Lost { .. } | Self::Protocol { .. } => 1,
        }
    }

    /// Returns the number of staged edits that were judged, if the daemon refused because some of
    /// them are edits of others.
    #[must_use]
    pub fn needs_all(&self) -> Option<u64> {
        match self {
            Self::Api(error) if error.needs == Some(Needs::All) => error.staged,
            _ => None,
        }
    }

    /// Whether the daemon refused because of a conflict or for safety.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Api(ApiError {
                kind: ErrorKind::Conflict,
                ..
            })
        )
    }
}
