//! Texts of rulesets that are computed while they are written.

use std::sync::Arc;

use ipblock_policy::{
    At, Element, Rule, Ruleset, SharedVec,
    document::{Exported, Origin, PrintedRule},
};
use serde::{Serialize, Serializer};

/// Elements as an array of texts.
pub(crate) struct ElementTexts {
    elements: SharedVec<Element>,
    most: usize,
}

impl ElementTexts {
    /// Returns the first elements, at most `most`.
    pub(crate) fn first(elements: &SharedVec<Element>, most: usize) -> Self {
        Self {
            elements: elements.clone(),
            most,
        }
    }

    /// Returns all elements.
    pub(crate) fn all(elements: &SharedVec<Element>) -> Self {
        Self::first(elements, usize::MAX)
    }

    /// Returns the number of omitted elements.
    pub(crate) fn left_out(&self) -> u64 {
        self.elements.len().saturating_sub(self.most) as u64
    }
}

impl Serialize for ElementTexts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed = self.elements.iter().take(self.most);
        serializer.collect_seq(listed.map(|element| Text(&element.at)))
    }
}

struct Text<'a>(&'a At);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            At::Prefix(prefix) => serializer.collect_str(prefix),
            At::List(name) => serializer.collect_str(&format_args!("@{name}")),
        }
    }
}

/// A ruleset as TOML, with its revision.
pub(crate) struct RulesetToml(pub(crate) Arc<Ruleset>, pub(crate) Origin);

impl Serialize for RulesetToml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Exported(&self.0, &self.1))
    }
}

/// A rule as TOML.
pub(crate) struct RuleToml(pub(crate) Rule);

impl Serialize for RuleToml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&PrintedRule(&self.0))
    }
}
