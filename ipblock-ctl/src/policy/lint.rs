//! What an operator should think twice about; none of it is an error.

use super::ruleset::Ruleset;

/// Warnings about a ruleset, in a stable order, each one sentence with the names.
#[must_use]
pub fn lint(ruleset: &Ruleset) -> Vec<String> {
    todo!("{ruleset:?}")
}
