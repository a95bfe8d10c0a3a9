//! Differences between two rulesets, in rules and in addresses.

mod addresses;
mod lists;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt::Display};

use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

pub(super) use self::addresses::{allowed, dropped};
pub use self::{
    addresses::{AddressDiff, diff_addresses},
    lists::{ListDiff, diff_lists},
};
use super::{
    duplicates::duplicates,
    ruleset::{At, Element, Rule, RuleId, Ruleset},
};

/// Number of elements that a line lists; it gives the number of the others.
const NAMED: usize = 10;

/// The differences between two rulesets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesetDiff {
    /// Changed rules: first those of `after` in its order, then removed ones.
    pub rules: Vec<RuleChange>,
    /// Changes of allow lists, zones and named lists, one line each.
    pub other: Vec<String>,
}

impl RulesetDiff {
    /// Whether nothing changes. The order of rules has no meaning, so a new order is not a change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.other.is_empty()
    }
}

/// The change of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleChange {
    /// Its name after the change.
    pub name: String,
    /// The kind of change.
    pub kind: ChangeKind,
    /// One line per field.
    pub detail: Vec<String>,
}

/// The kind of change of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// New.
    Added,
    /// Edited.
    Changed,
    /// Removed.
    Removed,
}

/// Compares two rulesets. Pairs rules by identity, and by name if the identity is 0.
#[must_use]
pub fn diff(before: &Ruleset, after: &Ruleset) -> RulesetDiff {
    RulesetDiff {
        rules: rule_changes(before, after),
        other: other_changes(before, after),
    }
}

fn rule_changes(before: &Ruleset, after: &Ruleset) -> Vec<RuleChange> {
    let by_id: FxHashMap<_, _> = before.rules.iter().map(|rule| (rule.id, rule)).collect();
    let by_name: FxHashMap<_, _> = before.rules.iter().map(|rule| (&rule.name, rule)).collect();
    let known = |id| id != RuleId::default();
    let mut paired = FxHashSet::default();
    let mut changes = Vec::new();
    for rule in &after.rules {
        let same_id = by_id.get(&rule.id).filter(|_| known(rule.id));
        // Rules with different identities are different rules, even with the same name.
        let same_name = by_name
            .get(&rule.name)
            .filter(|old| !known(rule.id) || !known(old.id));
        let (kind, detail) = match same_id.or(same_name) {
            Some(old) => {
                paired.insert(&old.name);
                (ChangeKind::Changed, changed_fields(old, rule))
            }
            None => (ChangeKind::Added, fields(rule, '+')),
        };
        if kind == ChangeKind::Added || !detail.is_empty() {
            changes.push(RuleChange {
                name: rule.name.to_string(),
                kind,
                detail,
            });
        }
    }
    let removed = before
        .rules
        .iter()
        .filter(|rule| !paired.contains(&rule.name));
    changes.extend(removed.map(|rule| RuleChange {
        name: rule.name.to_string(),
        kind: ChangeKind::Removed,
        detail: fields(rule, '-'),
    }));
    changes
}

/// Returns the fields of an added or removed rule, with `sign` before its elements.
fn fields(rule: &Rule, sign: char) -> Vec<String> {
    let mut lines = vec![format!("action: {}", rule.action)];
    for (field, elements) in [("match", &rule.matches), ("except", &rule.except)] {
        if !elements.is_empty() {
            let signed = elements.iter().map(|element| (sign, &element.at));
            lines.push(format!("{field}: {}", named(signed)));
        }
    }
    if let Some(end) = rule.expires {
        lines.push(format!("expires: {end:.0}"));
    }
    if !rule.note.is_empty() {
        lines.push(format!("note: {}", quoted(&rule.note)));
    }
    if !rule.enabled {
        lines.push("enabled: false".to_owned());
    }
    if rule.alert {
        lines.push("alert: true".to_owned());
    }
    if !rule.zones.is_empty() {
        lines.push(format!("zones: {}", zones(rule)));
    }
    lines
}

fn changed_fields(old: &Rule, new: &Rule) -> Vec<String> {
    let mut lines = Vec::new();
    if old.name != new.name {
        lines.push(format!("renamed from `{}`", old.name));
    }
    lines.extend(changed("action", &old.action, &new.action, |action| {
        action.as_str()
    }));
    lines.extend(changed_elements("match", &old.matches, &new.matches));
    lines.extend(changed_elements("except", &old.except, &new.except));
    lines.extend(changed("expires", &old.expires, &new.expires, |end| {
        until(*end)
    }));
    lines.extend(changed("note", &old.note, &new.note, |note| quoted(note)));
    lines.extend(changed(
        "enabled",
        &old.enabled,
        &new.enabled,
        bool::to_string,
    ));
    lines.extend(changed("alert", &old.alert, &new.alert, bool::to_string));
    if old.zones != new.zones {
        lines.push(format!("zones: {} -> {}", zones(old), zones(new)));
    }
    lines
}

fn changed<T: PartialEq, S: Display>(
    field: &str,
    old: &T,
    new: &T,
    show: impl Fn(&T) -> S,
) -> Option<String> {
    (old != new).then(|| format!("{field}: {} -> {}", show(old), show(new)))
}

/// Describes how two lists of elements differ.
fn changed_elements(field: &str, old: &[Element], new: &[Element]) -> Option<String> {
    if old == new {
        return None;
    }
    // An edit usually leaves most of a large list unchanged and in place.
    let same = old.iter().zip(new).take_while(|(old, new)| old == new);
    let same = same.count();
    let old_rest = old.get(same..).unwrap_or_default();
    let new_rest = new.get(same..).unwrap_or_default();
    let added = missing(new_rest, old).map(|at| ('+', at));
    let removed = missing(old_rest, new).map(|at| ('-', at));
    let changes = named(added.chain(removed));
    if !changes.is_empty() {
        return Some(format!("{field}: {changes}"));
    }
    let known: FxHashSet<_> = old
        .iter()
        .map(|element| (&element.at, &element.note))
        .collect();
    let noted = new.iter().filter(|e| !known.contains(&(&e.at, &e.note)));
    Some(match noted.count() {
        0 => format!("{field}: the same elements in another order or number"),
        1 => format!("{field}: note of 1 element"),
        count => format!("{field}: notes of {count} elements"),
    })
}

/// Returns the elements of `rest` that are not in `others`, in order. Builds a table of the shorter
/// one only.
fn missing<'a>(rest: &'a [Element], others: &'a [Element]) -> impl Iterator<Item = &'a At> {
    let at = |element: &'a Element| &element.at;
    let is_few = rest.len() <= others.len();
    let (few, many) = if is_few {
        (rest, others)
    } else {
        (others, rest)
    };
    let mut table: FxHashSet<_> = few.iter().map(at).collect();
    if is_few && !table.is_empty() {
        for other in many {
            table.remove(&other.at);
        }
    }
    let rest = rest.iter().map(at);
    rest.filter(move |at| table.contains(at) == is_few)
}

/// Lists the first elements without duplicates, with their signs, and the number of the others.
fn named<'a>(signed: impl Iterator<Item = (char, &'a At)>) -> String {
    let (mut first, mut nets) = (Vec::new(), Vec::new());
    let mut lists = FxHashSet::default();
    for (sign, at) in signed {
        if first.len() < NAMED && !first.contains(&(sign, at)) {
            first.push((sign, at));
        }
        match at {
            At::Prefix(net) => nets.push(*net),
            At::List(list) => drop(lists.insert(list)),
        }
    }
    let again = duplicates(nets.iter().copied().enumerate()).len();
    let more = lists.len() + nets.len() - again - first.len();
    let names = first.into_iter().map(|(sign, at)| match at {
        At::Prefix(net) => format!("{sign}{net}"),
        At::List(list) => format!("{sign}@{list}"),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    if more == 0 {
        names
    } else {
        format!("{names} and {more} more")
    }
}

fn other_changes(before: &Ruleset, after: &Ruleset) -> Vec<String> {
    let mut lines: Vec<_> = changed_elements("allow", &before.allow, &after.allow)
        .into_iter()
        .collect();
    let zones: BTreeSet<_> = [before.zone_names(), after.zone_names()]
        .concat()
        .into_iter()
        .collect();
    for name in zones {
        let (old, new) = (before.zone(&name), after.zone(&name));
        match (&old, &new) {
            (None, Some(_)) => lines.push(format!("zone `{name}`: added")),
            (Some(_), None) => lines.push(format!("zone `{name}`: removed")),
            _ => {}
        }
        // A new zone is compared with the default settings.
        if let Some(new) = new {
            let old = old.unwrap_or_default();
            let field = |field: &str| format!("zone `{name}`: {field}");
            lines.extend(changed(
                &field("default"),
                &old.default,
                &new.default,
                |default| default.as_str(),
            ));
            lines.extend(changed(
                &field("malformed"),
                &old.malformed,
                &new.malformed,
                |policy| policy.as_str(),
            ));
            lines.extend(changed_elements(&field("allow"), &old.allow, &new.allow));
        }
    }
    let lists: BTreeSet<_> = before.lists.keys().chain(after.lists.keys()).collect();
    for name in lists {
        lines.extend(lists::changes(
            name,
            before.lists.get(name),
            after.lists.get(name),
        ));
    }
    lines
}

fn until(end: Option<Timestamp>) -> String {
    end.map_or_else(|| "never".to_owned(), |end| format!("{end:.0}"))
}

fn zones(rule: &Rule) -> String {
    if rule.zones.is_empty() {
        return "all".to_owned();
    }
    let names: Vec<_> = rule.zones.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Returns free text on one line of limited length.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?} and more", text.get(..end).unwrap_or(text)),
        None => format!("{text:?}"),
    }
}
