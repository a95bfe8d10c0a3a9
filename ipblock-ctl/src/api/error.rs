//! The error that every route may answer with.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a request failed; body of every answer that is not 2xx.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// What sort of failure; decides the HTTP status and the exit code.
    pub kind: ErrorKind,
    /// What failed and with what value.
    pub message: String,
    /// What to do instead; may be several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The field of the request that allows it, where one does and nothing else is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// A field of a request that allows what is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// `wide`: one percent of an address family or more is newly dropped.
    Wide,
}

/// Sorts of failure.
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

impl ApiError {
    /// An error without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            needs: None,
        }
    }

    /// The same error with the field that allows it.
    #[must_use]
    pub const fn needing(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
