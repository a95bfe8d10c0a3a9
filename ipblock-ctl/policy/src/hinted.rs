//! What every error of ipblock says: what failed, what kind of failure it is, and what to do.

use std::{error::Error, fmt::Display};

use serde::{Deserialize, Serialize};

/// Kinds of failure. They determine the HTTP status of an answer and the exit code of
/// `ipblock-ctl`.
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
    /// Returns the HTTP status code.
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

    /// Returns the exit code of `ipblock-ctl`.
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

/// An error with a hint.
pub trait Hinted: Error {
    /// Returns what to do instead, perhaps in several lines. `None` if the message is enough.
    fn hint(&self) -> Option<String>;

    /// Returns message and hint on one line, for a log or a field: `MESSAGE (HINT)`.
    fn in_one_line(&self) -> String {
        let message = joined(&self.to_string());
        match self.hint() {
            Some(hint) => format!("{message} ({})", joined(&hint)),
            None => message,
        }
    }
}

/// The lines of `text` as one.
fn joined(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join("; ")
}

/// A message with what to do about it: an error that is only shown.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct Diagnostic {
    /// What failed and with what value.
    pub message: String,
    /// What to do instead; may be several lines.
    pub hint: Option<String>,
}

impl Hinted for Diagnostic {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl Diagnostic {
    /// A message without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }

    /// What `error` says.
    #[must_use]
    pub fn of(error: &dyn Hinted) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with where it happened before the message: `PLACE: MESSAGE`.
    #[must_use]
    pub fn at(mut self, place: impl Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }
}

/// An error of a request.
pub trait Classified: Hinted {
    /// Returns the kind of failure.
    fn kind(&self) -> ErrorKind;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_hint_of_several_lines_are_one_line() {
        let error = Diagnostic::new("it would\n  lock out").at("zone `lan`");
        assert_eq!(error.in_one_line(), "zone `lan`: it would; lock out");
        let hinted = error.with_hint("do this\nor that");
        assert_eq!(
            hinted.in_one_line(),
            "zone `lan`: it would; lock out (do this; or that)"
        );
    }
}
