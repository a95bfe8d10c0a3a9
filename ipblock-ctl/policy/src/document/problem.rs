//! Problems of a document, with their positions.

use std::{collections::BTreeMap, fmt};

use thiserror::Error;

use crate::{Classified, ErrorKind, Hinted, name::RuleName, text::counted};

/// Maximum of problems in a [`DocumentError`]; the others are only counted.
pub const MAX_PROBLEMS: usize = 100;

/// All problems of a document, in the order of the text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct DocumentError {
    /// The file name, or `<stdin>`, as the messages show it.
    pub file: String,
    /// At least one, at most [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// Number of other problems, further down in the text.
    pub more: usize,
}

/// One problem of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The problem, with the value.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Refused for safety; `--force` allows it.
    pub forceable: bool,
}

impl Classified for DocumentError {
    /// A conflict if `--force` would allow all of it.
    fn kind(&self) -> ErrorKind {
        if self.problems.iter().all(|problem| problem.forceable) {
            ErrorKind::Conflict
        } else {
            ErrorKind::Invalid
        }
    }
}

impl Hinted for DocumentError {
    /// The message contains the hint of each problem below it.
    fn hint(&self) -> Option<String> {
        None
    }
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let Problem { line, column, .. } = problem;
            write!(f, "{}:{line}:{column}: {}", self.file, problem.message)?;
            for hint in problem.hint.iter().flat_map(|hint| hint.lines()) {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        if self.more > 0 {
            let more = counted(self.more, "more problem", "more problems");
            write!(f, "\n{}: and {more}", self.file)?;
        }
        Ok(())
    }
}

/// A problem whose position is still a byte offset: lines are counted once, at the end.
struct UnplacedProblem {
    at: usize,
    message: String,
    /// Another position, whose line the end of the message gives.
    see: Option<usize>,
    hint: Option<String>,
    forceable: bool,
}

/// Collects problems in any order and in limited memory.
pub(super) struct Problems {
    found: Vec<UnplacedProblem>,
    more: usize,
    force: bool,
}

impl Problems {
    pub(super) fn new(force: bool) -> Self {
        Self {
            found: Vec::new(),
            more: 0,
            force,
        }
    }

    /// Adds a problem at a byte offset.
    pub(super) fn add(&mut self, at: usize, message: String, hint: Option<String>) {
        self.push(UnplacedProblem {
            at,
            message,
            see: None,
            hint,
            forceable: false,
        });
    }

    /// Reports that the name at `at` was defined at `first` already.
    pub(super) fn add_duplicate(&mut self, at: usize, name: &RuleName, first: usize) {
        self.push(UnplacedProblem {
            at,
            message: format!("duplicate rule name `{name}`: the first is on line "),
            see: Some(first),
            hint: Some("give each rule a name of its own".to_owned()),
            forceable: false,
        });
    }

    /// Adds a refusal for safety, unless `force` is set.
    pub(super) fn add_forceable(&mut self, at: usize, message: String, hint: String) {
        if !self.force {
            self.push(UnplacedProblem {
                at,
                message,
                see: None,
                hint: Some(hint),
                forceable: true,
            });
        }
    }

    /// Reports why the text is not TOML.
    pub(super) fn add_syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        self.add(at, format!("invalid TOML: {}", error.message()), None);
    }

    fn push(&mut self, found: UnplacedProblem) {
        self.found.push(found);
        // Sorts only at twice the size, so that a million problems cost little each.
        if self.found.len() >= 2 * MAX_PROBLEMS {
            self.keep_first();
        }
    }

    fn keep_first(&mut self) {
        self.found.sort_by_key(|found| found.at);
        self.more += self.found.len().saturating_sub(MAX_PROBLEMS);
        self.found.truncate(MAX_PROBLEMS);
    }

    /// Returns the value, if there are no problems.
    pub(super) fn finish<T>(
        mut self,
        text: &str,
        file: &str,
        value: Option<T>,
    ) -> Result<T, DocumentError> {
        if let (Some(value), []) = (value, self.found.as_slice()) {
            return Ok(value);
        }
        self.keep_first();
        // One pass over the text finds all positions.
        let mut places: BTreeMap<usize, (usize, usize)> = self
            .found
            .iter()
            .flat_map(|found| [Some(found.at), found.see])
            .flatten()
            .map(|at| (at, (1, 1)))
            .collect();
        let mut place = Place::start(text);
        for (at, line_and_column) in &mut places {
            place.advance(*at);
            *line_and_column = (place.line, place.column);
        }
        let place_of = |at: usize| places.get(&at).copied().unwrap_or((1, 1));
        let problems = self.found.into_iter().map(|found| {
            let (line, column) = place_of(found.at);
            let mut message = found.message;
            if let Some(first) = found.see {
                message.push_str(&place_of(first).0.to_string());
            }
            Problem {
                line,
                column,
                message,
                hint: found.hint,
                forceable: found.forceable,
            }
        });
        Err(DocumentError {
            file: file.to_owned(),
            problems: problems.collect(),
            more: self.more,
        })
    }
}

/// Line and column of an ascending byte offset.
struct Place<'t> {
    rest: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Place<'t> {
    fn start(text: &'t str) -> Self {
        Self {
            rest: text,
            at: 0,
            line: 1,
            column: 1,
        }
    }

    fn advance(&mut self, to: usize) {
        while self.at < to {
            let Some(character) = self.rest.chars().next() else {
                return;
            };
            let width = character.len_utf8();
            self.rest = self.rest.get(width..).unwrap_or_default();
            self.at += width;
            match character {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                // A byte order mark takes no column.
                '\u{feff}' if self.at == width => {}
                _ => self.column += 1,
            }
        }
    }
}
