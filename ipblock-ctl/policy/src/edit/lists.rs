//! Edits of named lists.

use super::{elements, error::EditError};
use crate::{
    address::{self, Written},
    name::{ListName, ZoneName},
    ruleset::{At, Element, List, ListElement, Ruleset},
    safety,
    shared_vec::SharedVec,
    source::SourceText,
    text::counted,
};

pub(super) fn add(
    ruleset: &mut Ruleset,
    list: &str,
    addresses: &[String],
    note: &str,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let name: ListName = elements::name(list)?;
    let added = prefixes(&name, addresses)?;
    let old = ruleset.lists.get(&name);
    require_by_hand(&name, old)?;
    let place = format!("list {name}");
    let mut held = old.map(to_elements).unwrap_or_default();
    let mut said = elements::add(&mut held, added, note, &place);
    if old.is_none() {
        said.push_str(", which is new");
    }
    put(ruleset, name, List::by_hand(from_elements(held)), force)?;
    Ok(vec![said])
}

pub(super) fn remove(
    ruleset: &mut Ruleset,
    list: &str,
    addresses: &[String],
    force: bool,
) -> Result<Vec<String>, EditError> {
    let name = known(ruleset, list)?;
    let removed = prefixes(&name, addresses)?;
    let old = ruleset.lists.get(&name);
    require_by_hand(&name, old)?;
    let place = format!("list {name}");
    let mut held = old.map(to_elements).unwrap_or_default();
    let said = elements::remove(&mut held, &removed, &place)?;
    put(ruleset, name, List::by_hand(from_elements(held)), force)?;
    Ok(vec![format!("{said} from {place}")])
}

pub(super) fn set(
    ruleset: &mut Ruleset,
    list: &str,
    addresses: Option<&[String]>,
    note: &str,
    source: &SourceText,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let name: ListName = elements::name(list)?;
    let followed = source.written().map(|(kind, _)| kind);
    let source = source.parse()?;
    let new = match (addresses, followed) {
        (Some(addresses), None) => {
            let mut held = Vec::new();
            let all = parse(addresses)?;
            elements::add(&mut held, all, note, "");
            List::by_hand(from_elements(held))
        }
        (None, Some(_)) => List {
            source,
            elements: SharedVec::default(),
        },
        (None, None) => return Err(EditError::NothingGiven(format!("list {name}"))),
        (Some(_), Some(kind)) => return Err(EditError::HandAndSource { list: name, kind }),
    };
    let holds = match new.source.kind() {
        Some(kind) => format!("follows the {kind} {}", new.source),
        None => format!(
            "holds {}",
            counted(new.elements.len(), "prefix", "prefixes")
        ),
    };
    put(ruleset, name.clone(), new, force)?;
    Ok(vec![format!("list {name}: {holds}")])
}

pub(super) fn remove_list(ruleset: &mut Ruleset, list: &str) -> Result<Vec<String>, EditError> {
    let name = known(ruleset, list)?;
    let users = ruleset.users_of(&name);
    if !users.is_empty() {
        return Err(EditError::InUse { list: name, users });
    }
    ruleset.lists.remove(&name);
    Ok(vec![format!("list {name}: removed")])
}

/// Rejects new dangers in `after` that `before` did not have: a block rule for a whole family, or a
/// zone that drops everything. For a change of the content of lists.
pub fn require_no_new_danger(before: &Ruleset, after: &Ruleset) -> Result<(), EditError> {
    for rule in &after.rules {
        let Some(family) = safety::wide_block(after, rule) else {
            continue;
        };
        if !safety::was_wide(before, after, rule) {
            let rule = rule.name.clone();
            return Err(EditError::WideBlock { rule, family });
        }
    }
    require_nothing_newly_open(before, after)?;
    let shut: Option<ZoneName> = after
        .zone_names()
        .into_iter()
        .find(|name| safety::is_shut(after, name) && !safety::is_shut(before, name));
    shut.map_or(Ok(()), |zone| Err(EditError::ShutZone { zone }))
}

/// Rejects an allow list or exceptions that newly allow a whole family.
pub(super) fn require_nothing_newly_open(
    before: &Ruleset,
    after: &Ruleset,
) -> Result<(), EditError> {
    match safety::newly_open(before, after) {
        Some((place, family)) => Err(EditError::WideOpen { place, family }),
        None => Ok(()),
    }
}

/// Returns the list with the name in an argument.
fn known(ruleset: &Ruleset, list: &str) -> Result<ListName, EditError> {
    let name: ListName = elements::name(list)?;
    if ruleset.lists.contains_key(&name) {
        return Ok(name);
    }
    Err(elements::no_such_list(list, ruleset))
}

/// Returns the prefixes that address arguments denote; at least one.
fn prefixes(list: &ListName, addresses: &[String]) -> Result<Vec<At>, EditError> {
    if addresses.is_empty() {
        return Err(EditError::NothingGiven(format!("list {list}")));
    }
    parse(addresses)
}

fn parse(addresses: &[String]) -> Result<Vec<At>, EditError> {
    let mut parsed = Vec::new();
    for text in addresses {
        match address::parse_written(text)? {
            Written::Prefix(prefix) => parsed.push(At::Prefix(prefix)),
            Written::Range(prefixes) => parsed.extend(prefixes.into_iter().map(At::Prefix)),
            Written::List(inner) => return Err(EditError::Nested { inner }),
        }
    }
    Ok(parsed)
}

/// Rejects a manual change of content from a source.
pub(super) fn require_by_hand(name: &ListName, list: Option<&List>) -> Result<(), EditError> {
    match list.filter(|list| list.is_followed()) {
        Some(list) => Err(EditError::Followed {
            list: name.clone(),
            from: list.source.clone(),
        }),
        None => Ok(()),
    }
}

/// Inserts a list, unless that is dangerous: then nothing changes.
fn put(ruleset: &mut Ruleset, name: ListName, new: List, force: bool) -> Result<(), EditError> {
    // Only users of the list can become dangerous; most additions need no second ruleset.
    if force || ruleset.users_of(&name).is_empty() {
        ruleset.lists.insert(name, new);
        return Ok(());
    }
    let mut after = ruleset.clone();
    after.lists.insert(name, new);
    require_no_new_danger(ruleset, &after)?;
    *ruleset = after;
    Ok(())
}

fn to_elements(list: &List) -> Vec<Element> {
    let elements = list.elements.iter().map(|element| Element {
        at: At::Prefix(element.prefix),
        note: element.note.clone(),
    });
    elements.collect()
}

fn from_elements(elements: Vec<Element>) -> SharedVec<ListElement> {
    let elements = elements.into_iter().filter_map(|element| match element.at {
        At::Prefix(prefix) => Some(ListElement {
            prefix,
            note: element.note,
        }),
        At::List(_) => None,
    });
    elements.collect()
}
