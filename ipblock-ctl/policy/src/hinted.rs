//! What every error of ipblock says beside its message: whose turn it is, and what to do.

use std::error::Error;

use serde::{Deserialize, Serialize};

/// Sorts of failure. An answer's HTTP status and the exit code of `ipblock-ctl` follow from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// HTTP 500, exit 1.
    Failed,
    /// HTTP 422, exit 2: bad input.
    Invalid,
    /// HTTP 404, exit 2: a name that does not exist.
    NotFound,
    /// HTTP 409, exit 3: conflict, or refused for safety.
    Conflict,
    /// HTTP 403, exit 5.
    NotPermitted,
}

impl ErrorKind {
    /// The HTTP status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Failed => 500,
            Self::Invalid => 422,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::NotPermitted => 403,
        }
    }

    /// The exit code of `ipblock-ctl`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Invalid | Self::NotFound => 2,
            Self::Conflict => 3,
            Self::NotPermitted => 5,
        }
    }
}

/// An error that says what to do about it.
pub trait Hinted: Error {
    /// What to do instead; may be several lines. `None` where the message says everything.
    fn hint(&self) -> Option<String>;

    /// Message and hint on one line, for a log or a field: `MESSAGE (HINT)`.
    fn in_one_line(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }
}

/// An error that a request can end with.
pub trait Classified: Hinted {
    /// What sort of failure the request has.
    fn kind(&self) -> ErrorKind;
}
