//! The source of the content of a named list.
//!
//! This module has everything that the ruleset file, edits, the API and the command line know about
//! a kind of source. It never reads a source: the daemon does that (`feeds`).

use std::{
    fmt::{self, Write as _},
    path::Path,
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    exchange::{FORMAT, KEYS, ReadOptions},
    text::excerpt,
};
use crate::Hinted as _;

/// The source of the content of a named list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The operator enters it.
    #[default]
    Hand,
    /// A file below the daemon's lists directory, and how it is read.
    File(ListFile, Box<ReadOptions>),
}

impl Source {
    /// Returns the kind of source that is followed; `None` if the operator enters the content.
    #[must_use]
    pub const fn kind(&self) -> Option<SourceKind> {
        match self {
            Self::Hand => None,
            Self::File(..) => Some(SourceKind::File),
        }
    }

    /// Returns the followed file.
    #[must_use]
    pub const fn file(&self) -> Option<&ListFile> {
        match self {
            Self::Hand => None,
            Self::File(file, _) => Some(file),
        }
    }

    /// Returns the given options, each as its key and texts: as ruleset files have them.
    #[must_use]
    pub fn options(&self) -> Vec<(&'static str, Vec<String>)> {
        match self {
            Self::Hand => Vec::new(),
            Self::File(_, options) => options.written(),
        }
    }

    /// Returns the flags of `list set` for this source.
    #[must_use]
    pub fn flags(&self) -> String {
        let Self::File(file, options) = self else {
            return String::new();
        };
        let mut flags = format!("--file {}", quoted(file.as_str()));
        for (key, texts) in options.written() {
            for text in texts {
                // Writing into a String does not fail.
                let _ = write!(flags, " --{key} {}", quoted(&text));
            }
        }
        flags
    }

    /// Returns the text under the key of its kind, without options; empty for none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.file().map_or("", ListFile::as_str)
    }
}

/// Quotes a text for a shell, if it needs that.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+,:@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Writes the text under the key of its kind, and the options in parentheses.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::File(file, options) = self else {
            return f.pad("none, kept by hand");
        };
        file.fmt(f)?;
        let options: Vec<String> = options
            .written()
            .into_iter()
            .map(|(key, texts)| format!("{key} {}", excerpt(&texts.join(" "))))
            .collect();
        if options.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", options.join(", "))
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
/// answers. The options of a reader are beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceText {
    /// A path below the lists directory.
    #[serde(default)]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    set: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    column: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delimiter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<String>,
}

impl SourceText {
    /// Returns the text and its key.
    #[must_use]
    pub fn written(&self) -> Option<(SourceKind, &str)> {
        Some((SourceKind::File, self.file.as_deref()?))
    }

    /// Adds the text of an option. A later one replaces an earlier one, unless there may be several.
    pub fn put(&mut self, key: &str, text: String) {
        match key {
            "set" => self.set.push(text),
            "column" => self.column = Some(text),
            "delimiter" => self.delimiter = Some(text),
            "at" => self.at = Some(text),
            "where" => self.conditions.push(text),
            _ => self.format = Some(text),
        }
    }

    /// Returns the texts of the option with this key.
    #[must_use]
    pub fn option(&self, key: &str) -> &[String] {
        match key {
            "set" => &self.set,
            "column" => self.column.as_slice(),
            "delimiter" => self.delimiter.as_slice(),
            "at" => self.at.as_slice(),
            "where" => &self.conditions,
            _ => self.format.as_slice(),
        }
    }

    /// Parses the source.
    pub fn parse(&self) -> Result<Source, SourceError> {
        let mut options = ReadOptions::default();
        for key in KEYS {
            for text in self.option(key) {
                let refused = |problem| SourceError {
                    key,
                    text: excerpt(text),
                    problem,
                    hint: "docs/formats.md lists the options".to_owned(),
                };
                options.put(key, text).map_err(refused)?;
            }
        }
        options.check().map_err(|error| SourceError {
            key: FORMAT,
            text: self.format.as_deref().map(excerpt).unwrap_or_default(),
            problem: error.to_string(),
            hint: error.hint().unwrap_or_default(),
        })?;
        match &self.file {
            Some(path) => Ok(Source::File(path.parse()?, Box::new(options))),
            None => match options.written().first() {
                None => Ok(Source::Hand),
                Some((key, texts)) => Err(SourceError {
                    key,
                    text: excerpt(&texts.join(" ")),
                    problem: "the list follows no file that is read so".to_owned(),
                    hint: format!("add {}, or leave `{key}` out", SourceKind::File.key()),
                }),
            },
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
        let mut written: Self = kind.map(|kind| (kind, source.text())).into_iter().collect();
        for (key, texts) in source.options() {
            for text in texts {
                written.put(key, text);
            }
        }
        written
    }
}

/// Why the text of a source is rejected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("list {key} `{text}`: {problem}")]
pub struct SourceError {
    /// Its key.
    pub key: &'static str,
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
                key: SourceKind::File.key(),
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
    fn options_of_a_source_are_printed_as_they_are_read() {
        let json = serde_json::json!({"file": "a b.csv", "format": "csv", "column": "1-2",
            "delimiter": "|", "where": ["3=CN", "3=RU"]});
        let written: SourceText = serde_json::from_value(json.clone()).unwrap();
        let source = written.parse().unwrap();
        assert_eq!(SourceText::from(&source), written);
        assert_eq!(serde_json::to_value(&written).unwrap(), json);
        assert_eq!(
            source.to_string(),
            "a b.csv (format csv, column 1-2, delimiter |, where 3=CN 3=RU)"
        );
        assert_eq!(
            source.flags(),
            "--file 'a b.csv' --format csv --column 1-2 --delimiter '|' --where 3=CN --where 3=RU"
        );
    }

    #[test]
    fn options_that_do_not_fit_are_refused_with_their_key() {
        let refused = |texts: &[(&str, &str)], file: Option<&str>| {
            let file = file.map(|file| (SourceKind::File, file));
            let mut written: SourceText = file.into_iter().collect();
            for (key, text) in texts {
                written.put(key, (*text).to_owned());
            }
            let error = written.parse().unwrap_err();
            assert!(!error.hint.is_empty());
            error.to_string()
        };
        for (texts, said) in [
            (
                &[("format", "xml")][..],
                "list format `xml`: `xml` is none of",
            ),
            (
                &[("delimiter", "ab")],
                "list delimiter `ab`: write one ASCII",
            ),
            (
                &[("format", "plain"), ("column", "2")],
                "`column` is not an option of",
            ),
        ] {
            let error = refused(texts, Some("feed.txt"));
            assert!(error.contains(said), "{error}");
        }
        let error = refused(&[("column", "2")], None);
        assert_eq!(
            error,
            "list column `2`: the list follows no file that is read so"
        );
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
