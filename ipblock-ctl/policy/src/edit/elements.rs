//! Adds elements to lists, removes them, and resolves the names in arguments.

use std::str::FromStr;

use ipnet::IpNet;
use rustc_hash::{FxHashMap, FxHashSet};

use super::error::{EditError, Kind};
use crate::{
    address,
    name::{ListName, NameError, RuleName, ZoneName},
    ruleset::{At, Element, Ruleset},
    suggest::{did_you_mean, name_hint},
    text::counted,
};

/// Reads a name.
pub(super) fn name<T: FromStr<Err = NameError>>(text: &str) -> Result<T, EditError> {
    let shown = address::excerpt(text);
    text.parse().map_err(|error| EditError::Name {
        // The same error, without control characters.
        error: shown.parse::<T>().err().unwrap_or(error),
        hint: name_hint(text),
    })
}

/// Returns the index in `ruleset.rules` of the rule with the name in an argument.
pub(super) fn rule_index(ruleset: &Ruleset, text: &str) -> Result<usize, EditError> {
    let found = ruleset.rules.iter().position(|r| r.name.as_str() == text);
    found.ok_or_else(|| {
        let names = ruleset.rules.iter().map(|rule| rule.name.as_str());
        no_such_rule(text, names)
    })
}

/// Returns the error for a rule name that is not in `names`.
pub fn no_such_rule<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> EditError {
    not_found(
        Kind::Rule,
        text,
        names,
        "`ipblock-ctl rule list` shows them",
    )
}

/// Returns the error for a list name that the ruleset does not have.
#[must_use]
pub fn no_such_list(text: &str, ruleset: &Ruleset) -> EditError {
    let names = ruleset.lists.keys().map(ListName::as_str);
    not_found(
        Kind::List,
        text,
        names,
        "`ipblock-ctl list list` shows them",
    )
}

/// Returns the zone with the name in an argument.
pub(super) fn zone_name(ruleset: &Ruleset, text: &str) -> Result<ZoneName, EditError> {
    let zone: ZoneName = name(text)?;
    if zone == ZoneName::default() || ruleset.zones.contains_key(&zone) {
        return Ok(zone);
    }
    let names = ruleset.zone_names();
    let create = format!("create it: ipblock-ctl zone set {zone} --default pass");
    let names = names.iter().map(ZoneName::as_str);
    Err(not_found(Kind::Zone, text, names, &create))
}

/// Returns the zones with the names in arguments.
pub(super) fn zone_names(ruleset: &Ruleset, texts: &[String]) -> Result<Vec<ZoneName>, EditError> {
    let mut zones = Vec::new();
    for text in texts {
        let zone = zone_name(ruleset, text)?;
        if zones.contains(&zone) {
            return Err(EditError::Repeated {
                kind: Kind::Zone,
                name: zone.to_string(),
            });
        }
        zones.push(zone);
    }
    Ok(zones)
}

/// Returns the elements that address arguments denote, in order. Their lists must exist.
pub(super) fn parse(ruleset: &Ruleset, texts: &[String]) -> Result<Vec<At>, EditError> {
    let mut parsed = Vec::new();
    for text in texts {
        let elements = address::parse_elements(text)?;
        if let [At::List(name)] = elements.as_slice()
            && !ruleset.lists.contains_key(name)
        {
            return Err(no_such_list(name.as_str(), ruleset));
        }
        parsed.extend(elements);
    }
    Ok(parsed)
}

pub(super) fn not_found<'a>(
    kind: Kind,
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> EditError {
    EditError::NotFound {
        kind,
        name: address::excerpt(name),
        hint: did_you_mean(name, candidates).unwrap_or_else(|| otherwise.to_owned()),
    }
}

/// Returns an unused rule name, similar to `wish`.
pub(super) fn free_name(ruleset: &Ruleset, wish: &str) -> String {
    let taken: FxHashSet<_> = ruleset
        .rules
        .iter()
        .map(|rule| rule.name.as_str())
        .collect();
    let stem: String = wish.chars().take(crate::name::MAX_NAME_LEN - 8).collect();
    // The stem is a valid name, so the candidate is valid.
    let mut candidates = (2_u32..).map_while(|number| format!("{stem}-{number}").parse().ok());
    candidates
        .find(|name: &RuleName| !taken.contains(name.as_str()))
        .map_or_else(|| wish.to_owned(), String::from)
}

/// Adds the missing elements and describes the result. A non-empty note replaces the note of an
/// existing element. `place` ends the sentence: `match`.
pub(super) fn add(elements: &mut Vec<Element>, added: Vec<At>, note: &str, place: &str) -> String {
    let noun = Noun::of(&added);
    // A hash of the additions, not of the existing ones: a small addition to a large list is fast.
    let mut wanted: FxHashMap<At, bool> = added.iter().map(|at| (at.clone(), false)).collect();
    let (mut new, mut held, mut noted) = (0, 0, 0);
    for element in elements.iter_mut() {
        if let Some(held) = wanted.get_mut(&element.at) {
            *held = true;
            if !note.is_empty() && *element.note != *note {
                element.note = note.into();
                noted += 1;
            }
        }
    }
    for at in added {
        if let Some(false) = wanted.insert(at.clone(), true) {
            let note = note.into();
            elements.push(Element { at, note });
            new += 1;
        } else {
            held += 1;
        }
    }
    let added = noun.count(new);
    let there = match held {
        0 => String::new(),
        _ => format!(" ({} there already)", counted(held, "was", "were")),
    };
    let renoted = match noted {
        0 => String::new(),
        _ => format!(", changed the note of {noted}"),
    };
    format!("added {added} to {place}{there}{renoted}")
}

/// Removes every element that equals one of `removed`, all of which must exist, and describes the
/// result. `place` is for errors; an error leaves `elements` unchanged.
pub(super) fn remove(
    elements: &mut Vec<Element>,
    removed: &[At],
    place: &str,
) -> Result<String, EditError> {
    let mut found: FxHashMap<&At, bool> = removed.iter().map(|at| (at, false)).collect();
    for element in elements.iter() {
        if let Some(found) = found.get_mut(&element.at) {
            *found = true;
        }
    }
    if let Some(missing) = removed.iter().find(|at| found.get(at) == Some(&false)) {
        let held = removed.iter().filter(|at| found.get(at) == Some(&true));
        let hint = near(elements, missing).or_else(|| others(held));
        return Err(EditError::not_held(place, missing, hint));
    }
    let before = elements.len();
    elements.retain(|element| !found.contains_key(&element.at));
    let gone = Noun::of(removed).count(before - elements.len());
    Ok(format!("removed {gone}"))
}

/// Names elements to remove that are held, when another one is not.
fn others<'a>(held: impl Iterator<Item = &'a At>) -> Option<String> {
    let prefixes = held.filter_map(|at| match at {
        At::Prefix(prefix) => Some(prefix.to_string()),
        At::List(_) => None,
    });
    let named: Vec<String> = prefixes.take(3).collect();
    (!named.is_empty()).then(|| {
        format!(
            "of what is to be removed it holds {}: name what it holds, nothing was removed",
            named.join(", ")
        )
    })
}

/// A collective name for elements.
#[derive(Clone, Copy)]
enum Noun {
    Prefixes,
    Lists,
    Elements,
}

impl Noun {
    fn of(elements: &[At]) -> Self {
        let lists = elements
            .iter()
            .filter(|at| matches!(at, At::List(_)))
            .count();
        match lists {
            0 => Self::Prefixes,
            _ if lists == elements.len() => Self::Lists,
            _ => Self::Elements,
        }
    }

    fn count(self, count: usize) -> String {
        let word = match (self, count) {
            (Self::Prefixes, 1) => "prefix",
            (Self::Prefixes, _) => "prefixes",
            (Self::Lists, 1) => "list",
            (Self::Lists, _) => "lists",
            (Self::Elements, 1) => "element",
            (Self::Elements, _) => "elements",
        };
        format!("{count} {word}")
    }
}

/// Describes a number of elements.
pub(super) fn count(elements: &[Element]) -> String {
    let ats: Vec<At> = elements.iter().map(|element| element.at.clone()).collect();
    Noun::of(&ats).count(ats.len())
}

/// Finds an element of the list that is similar to a missing prefix.
fn near(elements: &[Element], missing: &At) -> Option<String> {
    let At::Prefix(missing) = missing else {
        return None;
    };
    let held = || {
        elements.iter().filter_map(|element| match &element.at {
            At::Prefix(prefix) => Some(*prefix),
            At::List(_) => None,
        })
    };
    if let Some(wider) = held().find(|prefix: &IpNet| prefix.contains(missing)) {
        return Some(format!(
            "it holds {wider}, which covers {missing}: remove that and add the rest of it"
        ));
    }
    let inside: Vec<_> = held()
        .filter(|prefix| missing.contains(prefix))
        .take(3)
        .map(|prefix| prefix.to_string())
        .collect();
    (!inside.is_empty()).then(|| format!("it holds parts of it: {}", inside.join(", ")))
}
