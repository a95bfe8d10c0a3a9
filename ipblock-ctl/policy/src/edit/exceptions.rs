//! Edits of a rule's exceptions, each with its own note.

use rustc_hash::FxHashSet;

use super::{elements, error::EditError};
use crate::ruleset::{At, Element, Rule, Ruleset};

pub(super) fn add(
    ruleset: &mut Ruleset,
    rule: &str,
    addresses: &[String],
    note: &str,
) -> Result<Vec<String>, EditError> {
    let added = parse(ruleset, rule, addresses)?;
    let rule = find(ruleset, rule)?;
    let said = elements::add(&mut rule.except, added, note, "except");
    Ok(vec![format!("rule {}: {said}", rule.name)])
}

pub(super) fn remove(
    ruleset: &mut Ruleset,
    rule: &str,
    addresses: &[String],
) -> Result<Vec<String>, EditError> {
    let removed = parse(ruleset, rule, addresses)?;
    let rule = find(ruleset, rule)?;
    let place = format!("`except` of rule `{}`", rule.name);
    let said = elements::remove(&mut rule.except, &removed, &place)?;
    Ok(vec![format!("rule {}: {said} from except", rule.name)])
}

/// Replaces `old` with `new`, and keeps its note.
pub(super) fn replace(
    ruleset: &mut Ruleset,
    rule: &str,
    old: &str,
    new: &str,
) -> Result<Vec<String>, EditError> {
    let removed = parse(ruleset, rule, &[old.to_owned()])?;
    let added = parse(ruleset, rule, &[new.to_owned()])?;
    let rule = find(ruleset, rule)?;
    let is_old = |element: &Element| removed.contains(&element.at);
    let first = rule.except.iter().position(is_old).unwrap_or(0);
    let note = rule.except.get(first).map(|element| element.note.clone());
    let place = format!("`except` of rule `{}`", rule.name);
    let mut after = rule.except.clone();
    elements::remove(&mut after, &removed, &place)?;
    // An element that exists elsewhere stays there, with its own note.
    let held: FxHashSet<At> = after.iter().map(|element| element.at.clone()).collect();
    let fresh = added
        .into_iter()
        .filter(|at| !held.contains(at))
        .map(|at| Element {
            at,
            note: note.clone().unwrap_or_default(),
        });
    let place = first.min(after.len());
    after.splice(place..place, fresh);
    rule.except = after;
    Ok(vec![format!(
        "rule {}: except {old} is {new} now",
        rule.name
    )])
}

/// Returns the elements that address arguments denote. Requires at least one, and that the rule
/// exists.
fn parse(ruleset: &Ruleset, rule: &str, addresses: &[String]) -> Result<Vec<At>, EditError> {
    elements::rule_index(ruleset, rule)?;
    if addresses.is_empty() {
        return Err(EditError::NothingGiven(format!(
            "exceptions of rule {rule}"
        )));
    }
    elements::parse(ruleset, addresses)
}

fn find<'a>(ruleset: &'a mut Ruleset, name: &str) -> Result<&'a mut Rule, EditError> {
    let index = elements::rule_index(ruleset, name)?;
    let rule = ruleset.rules.get_mut(index);
    rule.ok_or_else(|| EditError::NothingGiven(format!("rule {name}")))
}
