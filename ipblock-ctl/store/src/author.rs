//! The author of an action, in the store and in the log.

use std::fmt;

use rusqlite::Row;

/// The value of the column `uid`, which is never NULL, for an author who is not a user of this
/// host. The kernel assigns this number to no user.
const NOT_A_USER: u32 = u32::MAX;

/// The author of an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    /// The user id; `None` if the author is not a user of this host.
    pub uid: Option<u32>,
    /// The name of the person at that time, who may act as another user; may be empty.
    pub name: String,
}

impl Author {
    /// A user of this host.
    pub fn user(uid: u32, name: impl Into<String>) -> Self {
        Self {
            uid: Some(uid),
            name: name.into(),
        }
    }

    /// The daemon, for actions without a request.
    #[must_use]
    pub fn daemon() -> Self {
        Self::user(0, "ipblockd")
    }

    /// Reads the author from the column `first` and the next one.
    pub(super) fn from_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let uid: u32 = row.get(first)?;
        Ok(Self {
            uid: (uid != NOT_A_USER).then_some(uid),
            name: row.get(first + 1)?,
        })
    }

    /// Returns the value for the column `uid`.
    pub(super) fn uid_column(&self) -> u32 {
        self.uid.unwrap_or(NOT_A_USER)
    }
}

impl fmt::Display for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.uid, self.name.as_str()) {
            (Some(uid), "") => write!(f, "uid {uid}"),
            (Some(uid), name) => write!(f, "uid {uid} ({name})"),
            (None, name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str) -> Author {
        Author {
            uid: None,
            name: name.to_owned(),
        }
    }

    #[test]
    fn an_author_is_shown_with_the_uid_or_else_by_name() {
        let ada = Author::user(1_000, "ada");
        assert_eq!(ada.to_string(), "uid 1000 (ada)");
        assert_eq!(Author::user(1_000, "").to_string(), "uid 1000");
        assert_eq!(token("console").to_string(), "console");
    }
}
