//! The ruleset file: parses and prints TOML.
//!
//! The parser reports every problem with its position. The printer writes what a person would have
//! written. Comments are not kept: a document contains a ruleset and nothing else.

mod elements;
mod origin;
mod print;
mod problem;
mod read;
mod rule;

use toml::de::DeTable;

pub use origin::Origin;
pub use print::{Exported, Printed, PrintedRule, print, print_rule};
pub use problem::{DocumentError, MAX_PROBLEMS, Problem};

use super::ruleset::{Rule, Ruleset};
use problem::Problems;

/// A ruleset file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its ruleset. Rule identities are 0: the caller assigns them.
    pub ruleset: Ruleset,
    /// The revision that it was made from, if given.
    pub origin: Option<Origin>,
}

/// Parses a ruleset. Rule identities are 0: the caller assigns them.
///
/// `force` allows what is refused for safety, such as a block rule that matches `0.0.0.0/0`.
pub fn parse(text: &str, file: &str, force: bool) -> Result<Ruleset, DocumentError> {
    parse_after(text, file, force, &Ruleset::default()).map(|document| document.ruleset)
}

/// As [`parse`], for a file that replaces `before`. Dangers that `before` had already are not
/// refused again.
pub fn parse_after(
    text: &str,
    file: &str,
    force: bool,
    before: &Ruleset,
) -> Result<Document, DocumentError> {
    let mut problems = Problems::new(force);
    let document = match DeTable::parse(text) {
        Ok(document) => Some(read::document(document.get_ref(), before, &mut problems)),
        Err(error) => {
            problems.add_syntax(&error);
            None
        }
    };
    problems.finish(text, file, document)
}

/// Parses one rule, as `rule edit` opens it: the keys of `[[rule]]` without the header. `ruleset`
/// defines which lists and zones exist.
pub fn parse_rule(
    text: &str,
    file: &str,
    ruleset: &Ruleset,
    force: bool,
) -> Result<Rule, DocumentError> {
    let mut problems = Problems::new(force);
    let rule = match DeTable::parse(text) {
        Ok(document) => read::single_rule(document.get_ref(), ruleset, &mut problems),
        Err(error) => {
            problems.add_syntax(&error);
            None
        }
    };
    problems.finish(text, file, rule)
}

#[cfg(test)]
pub(crate) mod tests;
