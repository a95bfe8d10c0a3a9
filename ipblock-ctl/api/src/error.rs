//! The error of every route.

use ipblock_policy::Classified;
pub use ipblock_policy::{Diagnostic, ErrorKind, Hinted};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a request failed. This is the body of every answer that is not 2xx.
#[derive(Clone, Debug, Error, PartialEq, Eq, Serialize, Deserialize)]
#[error("{message}")]
pub struct ApiError {
    /// The kind of failure, which determines the HTTP status and the exit code.
    pub kind: ErrorKind,
    /// What failed, with its value.
    pub message: String,
    /// What to do instead, perhaps in several lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The field of the request that allows it, if nothing else prevents it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// With `needs` `all`: the number of staged edits that were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<u64>,
}

/// A field of a request that allows what is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Needs {
    /// `wide`: one percent of an address family or more is newly dropped.
    Wide,
    /// `all`: staged edits of others would be deployed, too.
    All,
}

impl<E: Classified> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::of(&error)
    }
}

impl Hinted for ApiError {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl ApiError {
    /// Returns the answer to a request that causes this error.
    pub fn of(error: &dyn Classified) -> Self {
        Self {
            kind: error.kind(),
            message: error.to_string(),
            hint: error.hint(),
            needs: None,
            staged: None,
        }
    }

    /// Returns an error without a hint.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            needs: None,
            staged: None,
        }
    }

    /// Adds the field that allows it.
    #[must_use]
    pub const fn needing(mut self, needs: Needs) -> Self {
        self.needs = Some(needs);
        self
    }

    /// Adds a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
