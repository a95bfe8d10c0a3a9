//! The ruleset file: TOML to ruleset and back.

use std::fmt;

use thiserror::Error;

use super::ruleset::{Rule, Ruleset};

/// Everything that is wrong with a document, in the order of the text.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct DocumentError {
    /// The file name, or `<stdin>`, as the messages show it.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong, with the value.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Refused for safety; `--force` lets it pass.
    pub forceable: bool,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problems)
    }
}

/// Reads a ruleset. Rule identities are 0: the caller gives them.
///
/// `force` allows what is refused for safety, such as a block rule that matches `0.0.0.0/0`.
pub fn parse(text: &str, file: &str, force: bool) -> Result<Ruleset, DocumentError> {
    todo!("{text} {file} {force}")
}

/// Writes a ruleset so that [`parse`] gives it back, identities apart.
#[must_use]
pub fn print(ruleset: &Ruleset) -> String {
    todo!("{ruleset:?}")
}

/// Reads one rule, as `rule edit` opens it: the keys of `[[rule]]` without the header. `ruleset`
/// says which lists and zones exist.
pub fn parse_rule(
    text: &str,
    file: &str,
    ruleset: &Ruleset,
    force: bool,
) -> Result<Rule, DocumentError> {
    todo!("{text} {file} {ruleset:?} {force}")
}

/// Writes one rule so that [`parse_rule`] gives it back.
#[must_use]
pub fn print_rule(rule: &Rule) -> String {
    todo!("{rule:?}")
}
