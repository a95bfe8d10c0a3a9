//! The ruleset file: TOML to ruleset and back.
//!
//! Reading reports everything that is wrong, each with its place; printing gives what a person
//! would have written. Neither keeps comments: a document stands for a ruleset and nothing else.

mod elements;
mod print;
mod problem;
mod read;
mod rule;

use toml::de::DeTable;

pub use print::{Printed, PrintedRule, print, print_rule};
pub use problem::{DocumentError, MAX_PROBLEMS, Problem};

use super::ruleset::{Rule, Ruleset};
use problem::Problems;

/// Reads a ruleset. Rule identities are 0: the caller gives them.
///
/// `force` allows what is refused for safety, such as a block rule that matches `0.0.0.0/0`.
pub fn parse(text: &str, file: &str, force: bool) -> Result<Ruleset, DocumentError> {
    let mut problems = Problems::new(force);
    let ruleset = match DeTable::parse(text) {
        Ok(document) => Some(read::ruleset(document.get_ref(), &mut problems)),
        Err(error) => {
            problems.add_syntax(&error);
            None
        }
    };
    problems.finish(text, file, ruleset)
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
pub(in crate::policy) mod tests;
