//! What changes between two rulesets, in rules and in addresses.

use num_bigint::BigUint;

use super::{compile::CompiledZone, ruleset::Ruleset};

/// What changes between two rulesets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesetDiff {
    /// Changed rules: those of `after` in its order, then removed ones.
    pub rules: Vec<RuleChange>,
    /// Changes of allow lists, zones and named lists, one line each.
    pub other: Vec<String>,
}

/// What happens to one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// Its name after the change.
    pub name: String,
    /// What happens to it.
    pub kind: ChangeKind,
    /// One line a field.
    pub detail: Vec<String>,
}

/// What happens to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Edited.
    Changed,
    /// Gone.
    Removed,
}

/// Compares two rulesets; rules are paired by identity, and by name where the identity is 0.
#[must_use]
pub fn diff(before: &Ruleset, after: &Ruleset) -> RulesetDiff {
    todo!("{before:?} {after:?}")
}

/// Addresses that change sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressDiff {
    /// Passed before, dropped after.
    pub newly_blocked: BigUint,
    /// Dropped before, passed after.
    pub newly_passed: BigUint,
}

/// Counts the addresses that change sides in at least one of the zones; a zone that is missing on
/// one side is given as a zone without entries and with default `pass`.
#[must_use]
pub fn diff_addresses(zones: &[(&CompiledZone, &CompiledZone)]) -> AddressDiff {
    todo!("{zones:?}")
}
