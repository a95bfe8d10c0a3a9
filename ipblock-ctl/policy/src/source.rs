//! The source of the content of a named list.
//!
//! This module has everything that the ruleset file, edits, the API and the command line know about
//! a kind of source. It never reads a source: the daemon does that (`feeds`).

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::text::excerpt;

/// The source of the content of a named list.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The operator enters it.
    #[default]
    Hand,
    /// A file below the daemon's lists directory.
    File(ListFile),
}

impl Source {
    /// Returns the kind of source that is followed; `None` if the operator enters the content.
    #[must_use]
    pub const fn kind(&self) -> Option<SourceKind> {
        match self {
            Self::Hand => None,
            Self::File(_) => Some(SourceKind::File),
        }
    }

    /// Returns the followed file.
    #[must_use]
    pub const fn file(&self) -> Option<&ListFile> {
        match self {
            Self::Hand => None,
            Self::File(file) => Some(file),
        }
    }
}

/// Writes the text under the key of its kind.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hand => f.pad("none, kept by hand"),
            Self::File(file) => file.fmt(f),
        }
    }
}

/// A kind of source that the daemon follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceKind {
    /// [`Source::File`].
    File,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::File];

    /// Returns its key in ruleset files and in JSON, which is also its flag and the noun in
    /// messages.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::File => "file",
        }
    }

    /// Returns the title of a column with such sources.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::File => "FILE",
        }
    }

    /// Returns the name of the flag's value and its description, for `--help`.
    #[must_use]
    pub const fn help(self) -> (&'static str, &'static str) {
        match self {
            Self::File => (
                "FILE",
                "A file below the daemon's lists directory, in any format that `import` reads",
            ),
        }
    }

    /// Returns an example text.
    #[must_use]
    pub const fn example(self) -> &'static str {
        match self {
            Self::File => "feed.txt",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// A source as text under the key of its kind: in a ruleset file, as a flag, in an edit, and in
/// answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceText {
    /// A path below the lists directory.
    #[serde(default)]
    file: Option<String>,
}

impl SourceText {
    /// Returns the text and its key.
    #[must_use]
    pub fn written(&self) -> Option<(SourceKind, &str)> {
        let Self { file } = self;
        Some((SourceKind::File, file.as_deref()?))
    }

    /// Parses the source.
    pub fn parse(&self) -> Result<Source, SourceError> {
        let Self { file } = self;
        match file {
            None => Ok(Source::Hand),
            Some(path) => path.parse().map(Source::File),
        }
    }
}

/// Builds it from the text under each key.
impl<S: Into<String>> FromIterator<(SourceKind, S)> for SourceText {
    fn from_iter<I: IntoIterator<Item = (SourceKind, S)>>(texts: I) -> Self {
        let mut written = Self::default();
        for (kind, text) in texts {
            match kind {
                SourceKind::File => written.file = Some(text.into()),
            }
        }
        written
    }
}

impl From<&Source> for SourceText {
    fn from(source: &Source) -> Self {
        let kind = source.kind();
        kind.map(|kind| (kind, source.to_string()))
            .into_iter()
            .collect()
    }
}

/// Why the text of a source is rejected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("list {kind} `{text}`: {problem}")]
pub struct SourceError {
    /// Its key.
    pub kind: SourceKind,
    /// The text, shortened and with control characters escaped.
    pub text: String,
    /// The problem.
    pub problem: String,
    /// What to write instead.
    pub hint: String,
}

/// Maximum length of the path of a list file in bytes.
pub const MAX_PATH_LEN: usize = 255;

/// Path of a list file, relative to the lists directory. It contains no component that leads out of
/// it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListFile(String);

impl ListFile {
    /// Returns the path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path, to be looked up below the lists directory.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for ListFile {
    type Err = SourceError;

    fn from_str(path: &str) -> Result<Self, SourceError> {
        let name = path
            .rsplit('/')
            .find(|part| !matches!(*part, "" | "." | ".."));
        let name = excerpt(name.unwrap_or("feed.txt"));
        let refused = |problem: &str, hint: String| {
            Err(SourceError {
                kind: SourceKind::File,
                text: excerpt(path),
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

impl fmt::Display for ListFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_text_under_the_key_of_its_kind() {
        assert_eq!(SourceText::default().parse(), Ok(Source::Hand));
        for kind in SourceKind::ALL {
            let written: SourceText = [(kind, kind.example())].into_iter().collect();
            let source = written.parse().unwrap();
            assert_eq!(source.kind(), Some(kind));
            assert_eq!(SourceText::from(&source), written);
            assert_eq!(written.written(), Some((kind, kind.example())));
            let json = serde_json::to_value(&written).unwrap();
            assert_eq!(json[kind.key()], kind.example());
        }
        let by_hand = serde_json::to_value(SourceText::from(&Source::Hand)).unwrap();
        assert_eq!(by_hand, serde_json::json!({"file": null}));
    }

    #[test]
    fn a_path_stays_below_the_lists_directory() {
        for path in ["feed.txt", "spamhaus/drop.txt", "..x", "a b", ".hidden"] {
            let file: ListFile = path.parse().unwrap();
            assert_eq!(file.as_str(), path);
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
