//! Files that named lists are read from: how they are named, and what stands in them.
//!
//! Nothing here opens a file: the daemon does, and only below its lists directory.

use std::{fmt, path::Path, str::FromStr};

use ipnet::IpNet;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    address::{self, AddressError, Written, shown},
    ruleset::ListElement,
};

/// Longest path of a list file, in bytes.
pub const MAX_PATH_LEN: usize = 255;

/// Prefixes that one list file may stand for: what a zone holds by default. A range of IPv6 addresses
/// in a few bytes of text stands for up to 254.
pub const MAX_PREFIXES: usize = ipblock_common::limits::DEFAULT_CAPACITY as usize;

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

/// A line of a list file that cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {error}{}", more_lines(*.more))]
pub struct LineError {
    /// From 1.
    pub line: usize,
    /// What is wrong with it, and what to write instead.
    pub error: AddressError,
    /// How many lines further down cannot be read either.
    pub more: usize,
}

fn more_lines(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => " (and 1 more line)".to_owned(),
        more => format!(" (and {more} more lines)"),
    }
}

/// Reads the text of a list file: an address, prefix or range a line, each prefix once.
///
/// `#` and `;` begin a comment; what stands after an address, comment or not, is its note. The first
/// line that leads beyond [`MAX_PREFIXES`] is refused, and nothing after it is read.
pub fn read(text: &str) -> Result<Vec<ListElement>, LineError> {
    read_at_most(text, MAX_PREFIXES)
}

fn read_at_most(text: &str, limit: usize) -> Result<Vec<ListElement>, LineError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut elements = Vec::new();
    let mut seen: FxHashSet<IpNet> = FxHashSet::default();
    let mut first: Option<LineError> = None;
    for (line, text) in (1..).zip(text.lines()) {
        match read_line(text.trim()) {
            Ok((prefixes, note)) => {
                let new = prefixes.into_iter().filter(|prefix| seen.insert(*prefix));
                elements.extend(new.map(|prefix| ListElement {
                    prefix,
                    note: note.into(),
                }));
                if elements.len() > limit {
                    return Err(LineError {
                        line,
                        error: too_many(text, limit),
                        more: 0,
                    });
                }
            }
            Err(error) => match &mut first {
                Some(first) => first.more += 1,
                None => {
                    first = Some(LineError {
                        line,
                        error,
                        more: 0,
                    });
                }
            },
        }
    }
    first.map_or(Ok(elements), Err)
}

fn too_many(line: &str, limit: usize) -> AddressError {
    let problem = format!("more than {limit} prefixes up to here");
    AddressError::in_line(
        line.trim(),
        &problem,
        "split the file into several lists".to_owned(),
    )
}

fn read_line(line: &str) -> Result<(Vec<IpNet>, &str), AddressError> {
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok((Vec::new(), ""));
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '#' || c == ';');
    let (address, rest) = line
        .split_at_checked(end.unwrap_or(line.len()))
        .unwrap_or((line, ""));
    let prefixes = address::parse_prefixes(address)?;
    let rest = rest.trim_start();
    // Anything that may have been meant as addresses would be lost as a note.
    if rest.starts_with(['-', '/']) {
        let joined: String = line.split_whitespace().take(3).collect();
        let hint = format!("write `{joined}`, without spaces");
        return Err(AddressError::in_line(
            line,
            "a space inside a range or a prefix",
            hint,
        ));
    }
    let word = rest.split_whitespace().next().unwrap_or_default();
    let word = word.trim_end_matches(',');
    if matches!(
        address::parse_written(word),
        Ok(Written::Prefix(_) | Written::Range(_))
    ) {
        let hint = "write each on a line of its own; a `#` before a note sets it apart".to_owned();
        return Err(AddressError::in_line(
            line,
            "more than one address on a line",
            hint,
        ));
    }
    Ok((prefixes, rest.trim_start_matches(['#', ';', ' ', '\t'])))
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

    #[track_caller]
    fn refused(text: &str) -> LineError {
        read(text).unwrap_err()
    }

    #[test]
    fn addresses_prefixes_and_ranges_stand_one_a_line() {
        let text = "192.0.2.1\n2001:db8::/32\r\n\n  198.51.100.4-198.51.100.7  \n";
        assert_eq!(
            shown_elements(text),
            ["192.0.2.1/32", "2001:db8::/32", "198.51.100.4/30"]
        );
    }

    #[test]
    fn comments_are_left_out_and_what_follows_an_address_is_its_note() {
        let text = "\u{feff}# a feed\n; of two kinds\n192.0.2.0/24 ; SBL1\n192.0.3.0/24# x # y\n\
                    192.0.4.1\tthe printer\n192.0.5.1 #\n";
        assert_eq!(
            shown_elements(text),
            [
                "192.0.2.0/24 SBL1",
                "192.0.3.0/24 x # y",
                "192.0.4.1/32 the printer",
                "192.0.5.1/32"
            ]
        );
    }

    #[test]
    fn a_prefix_that_comes_twice_is_held_once_with_its_first_note() {
        let text = "192.0.2.1 a\n192.0.2.0/31\n192.0.2.1 b\n";
        assert_eq!(shown_elements(text), ["192.0.2.1/32 a", "192.0.2.0/31"]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_counted() {
        let error = refused("# x\n192.0.2.1/24\n192.0.2.7\nfoo\n\nbar\n");
        assert_eq!((error.line, error.more), (2, 2));
        assert_eq!(
            error.to_string(),
            "line 2: `192.0.2.1/24`: host bits set (and 2 more lines)"
        );
        assert!(error.error.hint.unwrap().contains("192.0.2.0/24"));
        assert!(
            refused("192.0.2.1\n192.0.2.300\n")
                .to_string()
                .starts_with("line 2: ")
        );
    }

    #[test]
    fn what_may_have_been_meant_as_addresses_is_no_note() {
        let spaced = refused("192.0.2.1 - 192.0.2.9\n");
        assert_eq!(
            spaced.error.hint.as_deref(),
            Some("write `192.0.2.1-192.0.2.9`, without spaces")
        );
        let length = refused("192.0.2.0 / 24\n");
        assert_eq!(
            length.error.hint.as_deref(),
            Some("write `192.0.2.0/24`, without spaces")
        );
        for text in ["192.0.2.1 192.0.2.2\n", "192.0.2.1 192.0.2.2, 192.0.2.3\n"] {
            let error = refused(text).to_string();
            assert!(error.contains("more than one address"), "{error}");
        }
        assert!(
            refused("192.0.2.1, 192.0.2.2\n")
                .to_string()
                .contains("`192.0.2.1,`")
        );
    }

    #[test]
    fn a_file_of_ranges_that_stand_for_too_many_prefixes_is_refused_where_it_does() {
        let text = "192.0.2.1\n192.0.2.1\n2001:db8::1-2001:db8::6\n198.51.100.1\n";
        assert_eq!(read_at_most(text, 6).unwrap().len(), 6);
        let error = read_at_most(text, 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 3: `2001:db8::1-2001:db8::6`: more than 4 prefixes up to here"
        );
    }

    #[test]
    fn a_list_in_a_list_file_is_refused() {
        assert!(
            refused("@office\n")
                .to_string()
                .contains("a list cannot stand here")
        );
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
