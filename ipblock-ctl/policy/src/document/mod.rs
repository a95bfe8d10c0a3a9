//! The ruleset file: TOML to ruleset and back.
//!
//! Reading reports everything that is wrong, each with its place; printing gives what a person
//! would have written. Neither keeps comments: a document stands for a ruleset and nothing else.

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
    /// What it says. Rule identities are 0: the caller gives them.
    pub ruleset: Ruleset,
    /// Where it was made from, if it says so.
    pub origin: Option<Origin>,
}

/// Reads a ruleset. Rule identities are 0: the caller gives them.
///
/// `force` allows what is refused for safety, such as a block rule that matches `0.0.0.0/0`.
pub fn parse(text: &str, file: &str, force: bool) -> Result<Ruleset, DocumentError> {
    parse_after(text, file, force, &Ruleset::default()).map(|document| document.ruleset)
}

/// As [`parse`], for a file that takes the place of `before`: what is dangerous there already is
/// not refused again.
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

/// Reads one rule, as `rule edit` opens it: the keys of `[[rule]]` without the header. `ruleset`
/// says which lists and zones exist.
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
