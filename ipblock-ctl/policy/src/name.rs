//! Names of rules, lists and zones.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::text::{excerpt, is_safe};

/// Maximum length of a name in bytes. All characters are ASCII.
pub const MAX_NAME_LEN: usize = 64;

/// Why a name is rejected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// The name is empty.
    #[error("a {kind} name must not be empty")]
    Empty {
        /// `rule`, `list` or `zone`.
        kind: &'static str,
    },
    /// The name has more than [`MAX_NAME_LEN`] characters.
    #[error("{kind} name `{name}` is longer than {MAX_NAME_LEN} characters")]
    TooLong {
        /// `rule`, `list` or `zone`.
        kind: &'static str,
        /// Its beginning, with control characters escaped.
        name: String,
    },
    /// A character is not allowed, or the first one is not a letter, digit or underscore.
    #[error(
        "{kind} name `{name}` may hold only letters, digits, `_`, `-` and `.`, \
         and starts with a letter, a digit or `_`"
    )]
    Character {
        /// `rule`, `list` or `zone`.
        kind: &'static str,
        /// The name, shortened and with control characters escaped.
        name: String,
    },
}

/// Maximum length of an interface name in bytes: `IFNAMSIZ` of Linux without its NUL.
const MAX_INTERFACE_NAME: usize = 15;

/// Rejects a name that no network interface can have (net/core/dev.c, `dev_valid_name`), and one
/// with characters that are not safe to print.
pub fn check_interface_name(name: &str) -> Result<(), String> {
    let refused = |c: char| c == '/' || c == ':' || c.is_whitespace() || !is_safe(c);
    if name.is_empty() || name == "." || name == ".." || name.contains(refused) {
        return Err(format!(
            "`{}` is not an interface name; `ip -brief link` lists them",
            excerpt(name)
        ));
    }
    if name.len() > MAX_INTERFACE_NAME {
        return Err(format!(
            "`{}` is longer than the {MAX_INTERFACE_NAME} bytes that an interface name can have; \
             `ip -brief link` lists them",
            excerpt(name)
        ));
    }
    Ok(())
}

fn check(kind: &'static str, name: &str) -> Result<(), NameError> {
    let mut characters = name.chars();
    let Some(first) = characters.next() else {
        return Err(NameError::Empty { kind });
    };
    if name.len() > MAX_NAME_LEN {
        let name = excerpt(name.get(..MAX_NAME_LEN).unwrap_or(name));
        return Err(NameError::TooLong { kind, name });
    }
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !word(first) || !characters.all(|c| word(c) || c == '-' || c == '.') {
        return Err(NameError::Character {
            kind,
            name: excerpt(name),
        });
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                check($kind, name)?;
                Ok(Self(name.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                check($kind, &name)?;
                Ok(Self(name))
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name_type!(
    /// Name of a rule, unique in a ruleset.
    RuleName,
    "rule"
);
name_type!(
    /// Name of a list, without the `@` before it in a rule.
    ListName,
    "list"
);
name_type!(
    /// Name of a zone. The zone `default` always exists.
    ZoneName,
    "zone"
);

impl ZoneName {
    /// The zone that always exists.
    pub const DEFAULT: &'static str = "default";
}

impl Default for ZoneName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_refused_moves_no_cursor_in_the_message() {
        for name in [
            "a\u{1b}[2J",
            "a\nb",
            &"\u{7}".repeat(70),
            &"\u{e9}\r".repeat(50),
        ] {
            let error = name.parse::<RuleName>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn interface_names_are_what_linux_allows() {
        for name in ["eth0", "wan0.100", "a23456789012345", "br-%d@x"] {
            assert_eq!(check_interface_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "eth0:1", "a234567890123456"] {
            assert!(check_interface_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_interface_name_with_an_escape_is_refused_and_shown_safely() {
        for name in ["e\u{1b}[31m", "e\u{202e}0", "e\u{200b}"] {
            let error = check_interface_name(name).unwrap_err();
            assert!(error.chars().all(is_safe), "{error:?}");
        }
    }
}
