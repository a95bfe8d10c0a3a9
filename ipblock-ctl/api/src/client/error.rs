//! Why a request brought no answer, and what to do.

use std::{io, path::PathBuf};

use ipblock_policy::Hinted;
use thiserror::Error;

use super::super::error::{ApiError, ErrorKind};

/// Why a request brought no answer to work with.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("cannot reach ipblockd at {}: {source}", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What connecting said.
        source: io::Error,
    },
    /// The socket is there, and this user may not open it.
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
    /// The daemon holds the connection and says nothing.
    #[error("ipblockd did not answer {route} within {seconds} s")]
    Silent {
        /// Method and path.
        route: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// An answer that this version does not understand.
    #[error("ipblockd's answer to {route} is not understood: {problem}")]
    Protocol {
        /// Method and path.
        route: String,
        /// What is wrong with the answer.
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
    /// The exit code of `ipblock-ctl`.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => 4,
            Self::NotPermitted { .. } => 5,
            Self::Api(error) => error.kind.exit_code(),
            Self::Lost { .. } | Self::Protocol { .. } => 1,
        }
    }

    /// Whether the daemon refused for a conflict or for safety.
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
