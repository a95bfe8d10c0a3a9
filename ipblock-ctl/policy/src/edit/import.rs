//! Adds many addresses at once, for `import`.

use std::fmt::Write as _;

use ipnet::IpNet;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::{elements, error::EditError, lists, packed_texts::PackedTexts};
use crate::{
    address::{self, Written},
    duplicates::duplicates,
    name::ListName,
    ruleset::{At, Element, ListElement, Rule, Ruleset},
    safety,
    text::{counted, grouped},
};

/// See [`Edit::Import`](super::Edit::Import).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// An existing rule, or `@list`; the list is created if it does not exist.
    pub into: String,
    /// Addresses, prefixes or ranges; at least one.
    pub addresses: PackedTexts,
    /// A note for each of them, in the same order. If absent, none has a note.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Removes the previous content of the rule's `match` or of the list.
    #[serde(default)]
    pub replace: bool,
}

pub(super) fn import(
    ruleset: &mut Ruleset,
    import: &Import,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let Import {
        into, addresses, ..
    } = import;
    if addresses.is_empty() {
        return Err(EditError::NothingGiven(format!(
            "import into {}",
            address::excerpt(into)
        )));
    }
    if !import.notes.is_empty() && import.notes.len() != addresses.len() {
        return Err(EditError::Notes {
            addresses: addresses.len(),
            notes: import.notes.len(),
        });
    }
    let said = match into.strip_prefix('@') {
        Some(list) => into_list(ruleset, list, import, force)?,
        None => into_rule(ruleset, import, force)?,
    };
    Ok(vec![said])
}

fn into_rule(ruleset: &mut Ruleset, import: &Import, force: bool) -> Result<String, EditError> {
    let index = elements::rule_index(ruleset, &import.into)?;
    let Some(rule) = ruleset.rules.get(index) else {
        return Err(EditError::NothingGiven("import".to_owned()));
    };
    let mut changed = rule.clone();
    let added = parsed(import)?;
    let counts = merge(&mut changed.matches, added, import.replace);
    if !safety::was_wide(ruleset, ruleset, &changed) {
        refuse_wide(ruleset, &changed, force)?;
    }
    let said = format!("rule {}: {counts}", changed.name);
    if let Some(rule) = ruleset.rules.get_mut(index) {
        *rule = changed;
    }
    Ok(said)
}

fn into_list(
    ruleset: &mut Ruleset,
    name: &str,
    import: &Import,
    force: bool,
) -> Result<String, EditError> {
    let name: ListName = elements::name(name)?;
    lists::require_by_hand(&name, ruleset.lists.get(&name))?;
    let added = parsed(import)?;
    let uses = |rule: &&Rule| {
        let mut elements = rule.matches.iter();
        elements.any(|element| element.at == At::List(name.clone()))
    };
    let using = ruleset.rules.iter().filter(uses);
    let wide: Vec<_> = using
        .filter(|rule| safety::wide_block(ruleset, rule).is_some())
        .map(|rule| rule.name.clone())
        .collect();
    let before = ruleset.lists.remove(&name);
    let created = if before.is_none() { "created, " } else { "" };
    let mut list = before.clone().unwrap_or_default();
    let counts = merge(&mut list.elements, added, import.replace);
    ruleset.lists.insert(name.clone(), list);
    let using = ruleset.rules.iter().filter(uses);
    let mut using = using.filter(|rule| !wide.contains(&rule.name));
    let refused = using.try_for_each(|rule| refuse_wide(ruleset, rule, force));
    if let Err(error) = refused {
        match before {
            Some(before) => ruleset.lists.insert(name, before),
            None => ruleset.lists.remove(&name),
        };
        return Err(error);
    }
    Ok(format!("list @{name}: {created}{counts}"))
}

fn refuse_wide(ruleset: &Ruleset, rule: &Rule, force: bool) -> Result<(), EditError> {
    match safety::wide_block(ruleset, rule) {
        Some(family) if !force => Err(EditError::WideBlock {
            rule: rule.name.clone(),
            family,
        }),
        _ => Ok(()),
    }
}

/// Returns the elements that the edit adds, in order.
fn parsed(import: &Import) -> Result<Vec<ListElement>, EditError> {
    let mut notes = import.notes.iter();
    let mut parsed = Vec::with_capacity(import.addresses.len());
    for text in import.addresses.iter() {
        let note = notes.next().map_or("", String::as_str);
        let mut push = |prefix| {
            parsed.push(ListElement {
                prefix,
                note: note.into(),
            });
        };
        match address::parse_written(text)? {
            Written::Prefix(prefix) => push(prefix),
            written => address::prefixes_of(written, text)?
                .into_iter()
                .for_each(push),
        }
    }
    Ok(parsed)
}

/// An element that can be imported into a rule or a list.
trait Slot: From<ListElement> {
    /// Returns its prefix and its note; `None` for `@list`.
    fn parts(&mut self) -> Option<(IpNet, &mut Box<str>)>;
}

impl Slot for ListElement {
    fn parts(&mut self) -> Option<(IpNet, &mut Box<str>)> {
        Some((self.prefix, &mut self.note))
    }
}

impl From<ListElement> for Element {
    fn from(element: ListElement) -> Self {
        Self {
            at: At::Prefix(element.prefix),
            note: element.note,
        }
    }
}

impl Slot for Element {
    fn parts(&mut self) -> Option<(IpNet, &mut Box<str>)> {
        match self.at {
            At::Prefix(prefix) => Some((prefix, &mut self.note)),
            At::List(_) => None,
        }
    }
}

/// Adds missing elements with their notes. A non-empty note replaces that of an existing element.
/// With `replace`, removes the other elements. Describes the result.
fn merge<T: Slot>(held: &mut Vec<T>, mut added: Vec<ListElement>, replace: bool) -> String {
    let duplicates = drop_duplicates(&mut added);
    let before = held.len();
    let (mut kept, mut noted) = (vec![false; added.len()], 0);
    // Usually the target is empty, and there is nothing to search for.
    if !held.is_empty() {
        // Usually many elements are added to few. A table of the few is cheaper.
        let few: Option<FxHashSet<IpNet>> = (held.len() < added.len()).then(|| {
            let held = held.iter_mut();
            held.filter_map(|element| Some(element.parts()?.0))
                .collect()
        });
        let may_be_held = |new: &ListElement| {
            let few = few.as_ref();
            few.is_none_or(|few| few.contains(&new.prefix))
        };
        let places = added.iter().zip(0_usize..);
        let places = places.filter(|(new, _)| may_be_held(new));
        let places: FxHashMap<IpNet, usize> = places.map(|(new, at)| (new.prefix, at)).collect();
        held.retain_mut(|element| {
            let Some((prefix, note)) = element.parts() else {
                return !replace;
            };
            let Some(place) = places.get(&prefix) else {
                return !replace;
            };
            if let Some(new) = added.get(*place)
                && !new.note.is_empty()
                && *note != new.note
            {
                note.clone_from(&new.note);
                noted += 1;
            }
            if let Some(kept) = kept.get_mut(*place) {
                *kept = true;
            }
            true
        });
    }
    let removed = before - held.len();
    let there = kept.iter().filter(|kept| **kept).count();
    let new = added.len() - there;
    held.reserve(new);
    let fresh = added.into_iter().zip(kept).filter(|(_, kept)| !kept);
    held.extend(fresh.map(|(element, _)| T::from(element)));
    let mut said = format!("{} added", prefixes(new));
    for (count, what) in [
        (there + duplicates, "held already"),
        (removed, "removed"),
        (noted, "with another note"),
    ] {
        if count > 0 {
            // Writing into a String does not fail.
            let _ = write!(said, ", {} {what}", grouped(count));
        }
    }
    said
}

/// Keeps only the first of equal prefixes, with the first non-empty note. Returns the number of
/// removed elements.
fn drop_duplicates(added: &mut Vec<ListElement>) -> usize {
    let duplicates = duplicates(added.iter().map(|element| element.prefix).enumerate());
    if duplicates.is_empty() {
        return 0;
    }
    for one in &duplicates {
        let note = added.get(one.again).map(|again| again.note.clone());
        if let (Some(note), Some(first)) = (note, added.get_mut(one.first))
            && first.note.is_empty()
        {
            first.note = note;
        }
    }
    let mut gone = duplicates.iter().map(|one| one.again).peekable();
    let mut position = 0..;
    added.retain(|_| {
        gone.next_if_eq(&position.next().unwrap_or_default())
            .is_none()
    });
    duplicates.len()
}

fn prefixes(count: usize) -> String {
    counted(count, "prefix", "prefixes")
}
