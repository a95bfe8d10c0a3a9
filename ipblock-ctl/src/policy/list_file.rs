//! Files that named lists are read from: how they are named, and what stands in them.
//!
//! Nothing here opens a file: the daemon does, and only below its lists directory.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    address::shown,
    exchange::{self, Refusal},
    ruleset::ListElement,
};

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

/// Why the content of a list file is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{problem}")]
pub struct ContentError {
    /// Which line, what is wrong with it, and how many more are.
    pub problem: String,
    /// What to write instead, where that can be said.
    pub hint: Option<String>,
}

/// Reads what a list file holds, each prefix once, in any format that `import` knows: which one is
/// found out from the content.
pub fn read(content: &str) -> Result<Vec<ListElement>, ContentError> {
    let parsed = exchange::read(content.as_bytes(), None).map_err(|error| ContentError {
        problem: error.to_string(),
        hint: None,
    })?;
    let refused_lines = parsed.refused.len() as u64 + parsed.more_refused;
    let Some(first) = parsed.refused.into_iter().next() else {
        return Ok(parsed.elements);
    };
    let more = match refused_lines - 1 {
        0 => String::new(),
        1 => " (and 1 more)".to_owned(),
        more => format!(" (and {more} more)"),
    };
    let Refusal {
        line,
        text,
        problem,
        hint,
    } = first;
    Err(ContentError {
        problem: format!("line {line}: `{text}`: {problem}{more}"),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_elements(text: &str) -> Vec<String> {
        let elements = read(text).unwrap();
        let shown = elements.iter().map(|element| match &*element.note {
            "" => element.prefix.to_string(),
            note => format!("{} {note}", element.prefix),
        });
        shown.collect()
    }

    #[test]
    fn what_follows_an_address_is_its_note() {
        let text = "# a feed\n192.0.2.0/24 ; SBL1\n198.51.100.4-198.51.100.7\n";
        assert_eq!(
            shown_elements(text),
            ["192.0.2.0/24 SBL1", "198.51.100.4/30"]
        );
    }

    #[test]
    fn a_feed_may_have_any_format_that_import_reads() {
        let spamhaus = "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"apnic\"}\n\
                        {\"type\":\"metadata\",\"records\":1}\n";
        assert_eq!(shown_elements(spamhaus), ["192.0.2.0/24 SBL1"]);
        let ipset = "create bad hash:net family inet\nadd bad 192.0.2.0/24\n";
        assert_eq!(shown_elements(ipset), ["192.0.2.0/24"]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_counted() {
        let error = read("# x\n192.0.2.1/24\n192.0.2.7\nfoo\n\nbar\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: `192.0.2.1/24`: host bits set (and 2 more)"
        );
        assert!(error.hint.unwrap().contains("192.0.2.0/24"));
    }

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
