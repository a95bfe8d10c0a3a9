//! A part of a patch: the changes of some rules.

use super::Patch;
use crate::{name::ListName, ruleset::RuleId};

impl Patch {
    /// Splits it into the changes of these rules, and all others.
    #[must_use]
    pub fn split(self, rules: &[RuleId]) -> (Self, Self) {
        let (these, others) = self
            .rules
            .into_iter()
            .partition(|change| rules.contains(&change.key));
        let these = Self {
            rules: these,
            ..Self::default()
        };
        let others = Self {
            rules: others,
            ..self
        };
        (these, others)
    }

    /// Whether it changes this rule.
    #[must_use]
    pub fn changes_rule(&self, rule: RuleId) -> bool {
        self.rules.iter().any(|change| change.key == rule)
    }

    /// Whether it changes this list or its content.
    #[must_use]
    pub fn changes_list(&self, list: &ListName) -> bool {
        self.lists.iter().any(|change| change.key == *list)
            || self.list_elements.contains_key(list)
            || self.list_contents.contains_key(list)
    }
}
