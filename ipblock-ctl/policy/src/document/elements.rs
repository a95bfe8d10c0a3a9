//! Reads arrays of addresses and the other kinds of value from parsed TOML.

use std::{collections::BTreeSet, str::FromStr};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::problem::Problems;
use crate::{
    address::{self, Written, excerpt},
    name::NameError,
    ruleset::{At, Element, ListElement},
    shared_vec::SharedVec,
    suggest::{did_you_mean, name_hint},
};

pub(super) type Value<'t> = Spanned<DeValue<'t>>;

const ELEMENT_FORM: &str =
    "write a string such as \"192.0.2.0/24\", or { at = \"192.0.2.0/24\", note = \"why\" }";

/// Names that the document, or the ruleset around it, defines.
pub(super) struct KnownNames<'a> {
    pub(super) lists: BTreeSet<&'a str>,
    pub(super) zones: BTreeSet<&'a str>,
}

/// Reports the keys of a table that are not in `allowed`.
pub(super) fn check_keys(
    table: &DeTable<'_>,
    allowed: &[&str],
    place: &str,
    problems: &mut Problems,
) {
    for key in table.keys() {
        check_key(key, allowed, place, problems);
    }
}

/// Reports a key that is not in `allowed`.
fn check_key(key: &Spanned<DeString<'_>>, allowed: &[&str], place: &str, problems: &mut Problems) {
    let name = key.get_ref().as_ref();
    if allowed.contains(&name) {
        return;
    }
    let hint = did_you_mean(name, allowed.iter().copied())
        .unwrap_or_else(|| format!("{place} may hold {}", allowed.join(", ")));
    let message = format!("unknown key `{}` in {place}", excerpt(name));
    problems.add(key.span().start, message, Some(hint));
}

/// Reports a value of the wrong type.
pub(super) fn wrong_type(
    key: &str,
    wanted: &str,
    value: &Value<'_>,
    hint: &str,
    problems: &mut Problems,
) {
    let message = format!(
        "`{key}` is {wanted}, not {}",
        with_article(value.get_ref().type_str())
    );
    problems.add(value.span().start, message, Some(hint.to_owned()));
}

fn with_article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

/// Reads a name at the byte offset `at`.
pub(super) fn checked_name<T: FromStr<Err = NameError>>(
    text: &str,
    at: usize,
    problems: &mut Problems,
) -> Option<T> {
    // The shown text is rejected for the same reason, and contains no control characters.
    if let (Err(_), Err(error)) = (text.parse::<T>(), excerpt(text).parse::<T>()) {
        problems.add(at, error.to_string(), Some(name_hint(text)));
    }
    text.parse().ok()
}

/// Returns the text under `key` and its offset; `None` if it is absent or not a text.
pub(super) fn text<'v>(
    table: &'v DeTable<'_>,
    key: &str,
    problems: &mut Problems,
) -> Option<(&'v str, usize)> {
    let value = table.get(key)?;
    let Some(text) = value.get_ref().as_str() else {
        let hint = format!("write {key} = \"...\"");
        wrong_type(key, "a string", value, &hint, problems);
        return None;
    };
    Some((text, value.span().start))
}

/// Returns the Boolean under `key`.
pub(super) fn switch(table: &DeTable<'_>, key: &str, problems: &mut Problems) -> Option<bool> {
    let value = table.get(key)?;
    let switch = value.get_ref().as_bool();
    if switch.is_none() {
        let hint = format!("write {key} = true or {key} = false");
        wrong_type(key, "true or false", value, &hint, problems);
    }
    switch
}

/// Returns the value of one of a few words under `key`.
pub(super) fn word<T: Copy>(
    table: &DeTable<'_>,
    key: &str,
    words: &[(T, &str)],
    problems: &mut Problems,
) -> Option<T> {
    let (text, at) = text(table, key, problems)?;
    let found = words.iter().find(|(_, word)| *word == text);
    if found.is_none() {
        let choices: Vec<_> = words
            .iter()
            .map(|(_, word)| format!("{key} = \"{word}\""))
            .collect();
        let hint = format!("write {}", choices.join(" or "));
        let message = format!("unknown {key} `{}`", excerpt(text));
        problems.add(at, message, Some(hint));
    }
    found.map(|(value, _)| *value)
}

/// Returns the elements under `key` of a rule, an allow list or a zone; none if absent.
pub(super) fn elements(
    table: &DeTable<'_>,
    key: &str,
    known: &KnownNames<'_>,
    problems: &mut Problems,
) -> SharedVec<Element> {
    let mut elements = Vec::with_capacity(len(table, key));
    each(table, key, problems, &mut |written, note, at, problems| {
        let mut push = |at: At| {
            elements.push(Element {
                at,
                note: note.into(),
            });
        };
        match written {
            Written::Prefix(prefix) => push(At::Prefix(prefix)),
            Written::Range(prefixes) => prefixes.into_iter().map(At::Prefix).for_each(push),
            Written::List(name) if known.lists.contains(name.as_str()) => push(At::List(name)),
            Written::List(name) => {
                let hint = did_you_mean(name.as_str(), known.lists.iter().copied())
                    .unwrap_or_else(|| format!("add it: [list.{name}] with match = [...]"));
                problems.add(at, format!("unknown list `@{name}`"), Some(hint));
            }
        }
    });
    elements.into()
}

/// Returns the elements under `key` of a named list.
pub(super) fn list_elements(
    table: &DeTable<'_>,
    key: &str,
    problems: &mut Problems,
) -> SharedVec<ListElement> {
    let mut elements = Vec::with_capacity(len(table, key));
    each(table, key, problems, &mut |written, note, at, problems| {
        let mut push = |prefix| {
            elements.push(ListElement {
                prefix,
                note: note.into(),
            });
        };
        match written {
            Written::Prefix(prefix) => push(prefix),
            Written::Range(prefixes) => prefixes.into_iter().for_each(push),
            Written::List(name) => {
                let hint = format!("write the addresses, or use `@{name}` in the rules as well");
                let message = format!("`@{name}`: a list cannot hold another list");
                problems.add(at, message, Some(hint));
            }
        }
    });
    elements.into()
}

/// Returns the number of elements under `key`.
fn len(table: &DeTable<'_>, key: &str) -> usize {
    let value = table.get(key).map(Spanned::get_ref);
    value
        .and_then(DeValue::as_array)
        .map_or(0, |array| array.len())
}

/// Passes each element on with its note and its byte offset.
fn each(
    table: &DeTable<'_>,
    key: &str,
    problems: &mut Problems,
    emit: &mut dyn FnMut(Written, &str, usize, &mut Problems),
) {
    let Some(value) = table.get(key) else {
        return;
    };
    let Some(array) = value.get_ref().as_array() else {
        let hint = format!("write {key} = [\"192.0.2.0/24\"]");
        wrong_type(key, "an array of addresses", value, &hint, problems);
        return;
    };
    for element in array {
        let (written, at, note) = match element.get_ref() {
            DeValue::String(text) => (text.as_ref(), element.span().start, ""),
            DeValue::Table(table) => {
                check_keys(table, &["at", "note"], "an element", problems);
                let note = text(table, "note", problems).map_or("", |(note, _)| note);
                let Some((written, at)) = text(table, "at", problems) else {
                    if !table.contains_key("at") {
                        let message = "an element without `at`".to_owned();
                        let at = element.span().start;
                        problems.add(at, message, Some(ELEMENT_FORM.to_owned()));
                    }
                    continue;
                };
                (written, at, note)
            }
            _ => {
                let wanted = "an array of addresses, an element";
                wrong_type(key, wanted, element, ELEMENT_FORM, problems);
                continue;
            }
        };
        match address::parse_written(written) {
            Ok(written) => emit(written, note, at, problems),
            Err(error) => problems.add(at, error.to_string(), error.hint),
        }
    }
}
