//! Origins: the owners of bans.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::text::excerpt;

/// Maximum length of an origin in bytes. All characters are ASCII.
pub const MAX_ORIGIN_LEN: usize = 96;

/// Why an origin is rejected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OriginError {
    /// It is empty, too long, or has a character that is not allowed.
    #[error(
        "`{0}` is not an origin: an origin has 1 to {MAX_ORIGIN_LEN} letters, digits, `/`, `.`, \
         `-`, `_` and `:`, and starts with a letter or a digit"
    )]
    Invalid(String),
}

/// The owner of a ban, such as `manual` or `fail2ban/sshd`. A prefix can have one ban of each.
///
/// All bans with the same particulars share the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(Arc<str>);

impl Origin {
    /// The origin of bans that a person makes, and of bans from before bans had origins.
    pub const MANUAL: &'static str = "manual";

    /// Returns the origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is [`Origin::MANUAL`].
    #[must_use]
    pub fn is_manual(&self) -> bool {
        self.as_str() == Self::MANUAL
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self(Self::MANUAL.into())
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "/.-_:".contains(c);
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !starts_well || text.len() > MAX_ORIGIN_LEN || !text.chars().all(is_allowed) {
            return Err(OriginError::Invalid(excerpt(text)));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.as_str().to_owned()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_names_a_program_and_a_part_of_it() {
        let longest = "a".repeat(MAX_ORIGIN_LEN);
        for text in [
            "manual",
            "fail2ban/sshd",
            "auto/web-abuse_2",
            "host:10.1",
            "7",
            &longest,
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_not_an_origin_is_refused_with_the_rule() {
        let long = "a".repeat(MAX_ORIGIN_LEN + 1);
        for text in [
            "",
            "/sshd",
            "-all",
            "a b",
            "a\nb",
            "caf\u{e9}",
            "a,b",
            "\u{1b}[2J",
            &long,
        ] {
            let error = text.parse::<Origin>().unwrap_err().to_string();
            assert!(error.contains("1 to 96 letters, digits"), "{error}");
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }
}
