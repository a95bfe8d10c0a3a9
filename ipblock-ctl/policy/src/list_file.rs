//! Files that named lists are read from: how they are named.
//!
//! Nothing here opens a file: the daemon does, and only below its lists directory.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::text::shown;

/// Longest path of a list file, in bytes.
pub const MAX_PATH_LEN: usize = 255;

/// Path of a list file, relative to the lists directory: nothing that leads out of it by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListFile(String);

/// Why a path is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("list file `{path}`: {problem}")]
pub struct ListFileError {
    /// The path, clipped and with control characters escaped.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

impl ListFile {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, to be looked up below the lists directory.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for ListFile {
    type Err = ListFileError;

    fn from_str(path: &str) -> Result<Self, ListFileError> {
        let name = path
            .rsplit('/')
            .find(|part| !matches!(*part, "" | "." | ".."));
        let name = shown(name.unwrap_or("feed.txt"));
        let refused = |problem: &str, hint: String| {
            Err(ListFileError {
                path: shown(path),
                problem: problem.to_owned(),
                hint,
            })
        };
        let relative = format!("write its path below the lists directory, such as `{name}`");
        if path.is_empty() {
            return refused("the path is empty", relative);
        }
        if path.len() > MAX_PATH_LEN {
            let problem = format!("the path is longer than {MAX_PATH_LEN} bytes");
            return refused(&problem, "give it a shorter one".to_owned());
        }
        if path.starts_with('/') {
            return refused("an absolute path", relative);
        }
        if path.chars().any(char::is_control) {
            return refused("the path holds control characters", relative);
        }
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return refused("the path holds `.` or `..`", relative);
        }
        if path.split('/').any(str::is_empty) {
            let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
            let hint = format!("write `{}`", parts.join("/"));
            return refused("the path holds an empty component", hint);
        }
        Ok(Self(path.to_owned()))
    }
}

impl TryFrom<String> for ListFile {
    type Error = ListFileError;

    fn try_from(path: String) -> Result<Self, ListFileError> {
        path.parse()
    }
}

impl From<ListFile> for String {
    fn from(file: ListFile) -> Self {
        file.0
    }
}

impl fmt::Display for ListFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_lists_directory() {
        for path in ["feed.txt", "spamhaus/drop.txt", "..x", "a b", ".hidden"] {
            assert_eq!(
                path.parse::<ListFile>().map(String::from).as_deref(),
                Ok(path)
            );
        }
        for (path, problem, hint) in [
            ("", "empty", "`feed.txt`"),
            ("/etc/passwd", "absolute", "`passwd`"),
            ("../x", "`..`", "`x`"),
            ("a/../../x", "`..`", "`x`"),
            ("./x", "`.`", "`x`"),
            ("a//b", "empty component", "`a/b`"),
            ("a/", "empty component", "`a`"),
            ("a\nb", "control", "`a\\nb`"),
        ] {
            let error = path.parse::<ListFile>().unwrap_err();
            assert!(error.to_string().contains(problem), "{path}: {error}");
            assert!(error.hint.contains(hint), "{path}: {}", error.hint);
        }
        assert!("x".repeat(256).parse::<ListFile>().is_err());
    }
}
