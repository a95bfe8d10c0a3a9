//! The elements of named sets from `nft -j list ruleset` and from commands for `nft -j -f`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::Walk;
use crate::{
    address::{End, excerpt},
    exchange::read::{
        ReadError,
        collect::Entry,
        ignored::Addresses,
        keys::text,
        nft::element::{CONCATENATION, LIMIT, MORE, OF_A_MAP, SETS_HINT},
    },
};

const TAKES_HINT: &str =
    "load the file into nft and import what `nft -j list set` prints, or take the command out";

/// One object of the array `nftables`.
#[derive(Clone, Copy)]
pub(super) struct Item<'s, 'w>(pub(super) &'s Walk<'w>);

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of nft")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            match key.as_str() {
                "set" | "element" => object.next_value_seed(Set {
                    walk: self.0,
                    is_map: false,
                })?,
                "map" => object.next_value_seed(Set {
                    walk: self.0,
                    is_map: true,
                })?,
                "add" | "create" => object.next_value_seed(self)?,
                "delete" | "destroy" | "flush" => {
                    let value: Value = object.next_value()?;
                    self.0.stop(take_away(self.0, &key, &value))?;
                }
                _ => {
                    let count = object.next_value_seed(Addresses)?;
                    let what = if key == "rule" { "rules" } else { &key };
                    self.0.pass_over(what, count);
                }
            }
        }
        Ok(())
    }
}

/// Rejects a command that removes elements that were read already.
fn take_away(walk: &Walk<'_>, verb: &str, value: &Value) -> Result<(), ReadError> {
    let mut out = walk.out.borrow_mut();
    let objects = value.as_object().into_iter().flatten();
    for (object, value) in objects {
        let part = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = full_name(part("family"), part("table"), part("name"));
        let is_taken = match (verb, object.as_str()) {
            ("delete" | "destroy", "element") => true,
            ("flush", "table") => false,
            (_, "ruleset") => out.entries(|_| true) > 0,
            (_, "table") => {
                let sets = format!("{} ", full_name(part("family"), "", part("name")));
                out.entries(|set| set.starts_with(&sets)) > 0
            }
            (_, "set" | "map") => out.entries(|set| set == name) > 0,
            _ => false,
        };
        if !is_taken {
            continue;
        }
        let line = walk.line.get();
        if matches!(object.as_str(), "set" | "map" | "element") && !out.enter(&name) {
            return Err(ReadError::TooManySets { line });
        }
        let text = format!("{verb} {object} {name}");
        out.spoil(line, &text, "it takes elements away", TAKES_HINT);
        out.leave();
    }
    Ok(())
}

fn full_name(family: &str, table: &str, name: &str) -> String {
    let parts = [family, table, name];
    let known: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    known.join(" ")
}

/// A set, a map, or elements that are added to one.
struct Set<'s, 'w> {
    walk: &'s Walk<'w>,
    is_map: bool,
}

impl<'de> DeserializeSeed<'de> for Set<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Set<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a set of nft")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let (mut family, mut table, mut name) = (String::new(), String::new(), String::new());
        let mut problem = self.is_map.then(|| "a map".to_owned());
        let kind = if self.is_map { "map" } else { "set" };
        let (mut has_elements, mut end) = (false, End::None);
        while let Some(key) = object.next_key::<String>()? {
            match key.as_str() {
                "family" => family = text(object.next_value()?),
                "table" => table = text(object.next_value()?),
                "name" => name = text(object.next_value()?),
                "type" => {
                    let value: Value = object.next_value()?;
                    let is_address = matches!(value.as_str(), Some("ipv4_addr" | "ipv6_addr"));
                    if !is_address && problem.is_none() {
                        problem = Some(format!("a set of {}", kind_of(&value)));
                    }
                }
                "stmt" => {
                    let value: Value = object.next_value()?;
                    if holds_limit(&value) {
                        problem = Some(LIMIT.to_owned());
                    }
                }
                "timeout" => end = End::under("timeout", &text(object.next_value()?)),
                "elem" => {
                    let full = full_name(&family, &table, &name);
                    self.walk.stop(enter(self.walk, &full))?;
                    let line = self.walk.line.get();
                    if let Some(problem) = &problem {
                        let text = format!("{kind} {full}");
                        let mut out = self.walk.out.borrow_mut();
                        out.refuse(line, &text, problem, Some(SETS_HINT));
                    } else {
                        has_elements = true;
                    }
                    let is_wanted = problem.is_none();
                    object.next_value_seed(Elements {
                        walk: self.walk,
                        is_wanted,
                    })?;
                    self.walk.out.borrow_mut().leave();
                }
                _ => {
                    object.next_value_seed(Addresses)?;
                }
            }
        }
        if !self.is_map {
            self.walk
                .stop(enter(self.walk, &full_name(&family, &table, &name)))?;
            let mut out = self.walk.out.borrow_mut();
            out.end_all(end);
            out.leave();
        }
        // The proof that they are not addresses may come after them.
        if let Some(problem) = problem.filter(|_| has_elements) {
            let full = full_name(&family, &table, &name);
            self.walk.stop(enter(self.walk, &full))?;
            let mut out = self.walk.out.borrow_mut();
            let text = format!("{kind} {full}");
            out.spoil(self.walk.line.get(), &text, &problem, SETS_HINT);
            out.leave();
        }
        Ok(())
    }
}

fn enter(walk: &Walk<'_>, name: &str) -> Result<(), ReadError> {
    if walk.out.borrow_mut().enter(name) {
        return Ok(());
    }
    Err(ReadError::TooManySets {
        line: walk.line.get(),
    })
}

/// Returns a type as nft writes it: `ipv4_addr . inet_service`.
fn kind_of(value: &Value) -> String {
    let kind = match value {
        Value::Array(parts) => {
            let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            parts.join(" . ")
        }
        value => text(value.clone()),
    };
    match kind.as_str() {
        "" => "something else".to_owned(),
        kind => excerpt(kind),
    }
}

/// Whether a statement of a set limits the effect of its elements.
fn holds_limit(value: &Value) -> bool {
    let statements = value.as_array().into_iter().flatten();
    let mut keys = statements.filter_map(Value::as_object).flatten();
    keys.any(|(key, _)| matches!(key.as_str(), "limit" | "ct count" | "quota"))
}

/// The array of elements.
struct Elements<'s, 'w> {
    walk: &'s Walk<'w>,
    is_wanted: bool,
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        if !self.is_wanted {
            while array.next_element_seed(Addresses)?.is_some() {}
            return Ok(());
        }
        while let Some(element) = array.next_element::<Value>()? {
            self.walk.stop(add(self.walk, &element))?;
        }
        Ok(())
    }
}

fn add(walk: &Walk<'_>, element: &Value) -> Result<(), ReadError> {
    walk.has_some.set(true);
    let mut out = walk.out.borrow_mut();
    let line = walk.line.get();
    let (inner, note, end) = match element.get("elem") {
        Some(inner) => {
            let note = inner.get("comment").and_then(Value::as_str);
            let seconds = |key: &str| inner.get(key).cloned().map(text);
            let whole = seconds("timeout").map_or(End::None, |time| End::under("timeout", &time));
            let rest = seconds("expires").map(|time| End::remaining(&time));
            (inner, note.unwrap_or_default(), rest.unwrap_or(whole))
        }
        None => (element, "", End::None),
    };
    match address_of(inner) {
        Ok(text) => out.add(Entry {
            line,
            text: &text,
            note: note.trim(),
            end,
        }),
        Err(problem) => {
            let shown = element_text(inner);
            out.refuse(line, &shown, problem, Some(SETS_HINT));
            Ok(())
        }
    }
}

/// Returns the address, prefix or range of an expression.
fn address_of(value: &Value) -> Result<String, &'static str> {
    let Some(object) = value.as_object() else {
        return match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            // A key and its value.
            Value::Array(_) => Err(OF_A_MAP),
            _ => Err(super::address::NONE),
        };
    };
    if let Some(inner) = object.get("val") {
        for key in object.keys() {
            match key.as_str() {
                "val" | "timeout" | "expires" | "comment" | "counter" | "last" => {}
                "limit" | "ct count" | "quota" => return Err(LIMIT),
                _ => return Err(MORE),
            }
        }
        return address_of(inner);
    }
    if object.contains_key("concat") {
        return Err(CONCATENATION);
    }
    let part = |value: Option<&Value>| value.cloned().map(text).unwrap_or_default();
    if let Some(prefix) = object.get("prefix") {
        let (address, length) = (part(prefix.get("addr")), part(prefix.get("len")));
        return Ok(format!("{address}/{length}"));
    }
    match object.get("range").and_then(Value::as_array) {
        Some(ends) => match ends.as_slice() {
            [first, last] => Ok(format!("{}-{}", part(Some(first)), part(Some(last)))),
            _ => Err(MORE),
        },
        None => Err(super::address::NONE),
    }
}

/// Returns an element as a rejection shows it.
fn element_text(value: &Value) -> String {
    let inner = value.get("val").unwrap_or(value);
    match inner {
        Value::String(text) => text.clone(),
        _ => address_of(inner).unwrap_or_default(),
    }
}
