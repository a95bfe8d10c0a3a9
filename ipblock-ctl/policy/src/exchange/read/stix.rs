//! Indicators of STIX 2: a bundle or an array of objects, each with a pattern such as
//! `[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value ISSUBSET '198.51.100.0/24']`.

mod pattern;

use std::{fmt, io::BufRead};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    ReadError,
    collect::{Collector, Entry},
    ignored::Addresses,
    items::{self, Items},
    opposite,
};
use crate::address::End;
use pattern::Pattern;

const FORM: &str = "write indicators with patterns such as [ipv4-addr:value = '192.0.2.1']";

/// Whether a text that begins with this is a bundle or has indicators.
pub(super) fn begins(head: &str) -> bool {
    let dense: String = head
        .chars()
        .filter(|c| !c.is_whitespace())
        .take(4096)
        .collect();
    head.trim_start().starts_with(['{', '['])
        && (dense.contains("\"type\":\"bundle\"") || dense.contains("\"pattern_type\":\"stix\""))
}

/// An object of STIX. Only indicators have patterns.
#[derive(Deserialize)]
struct Object {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    pattern: String,
    pattern_type: Option<String>,
    #[serde(default)]
    name: String,
    valid_until: Option<String>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    indicator_types: Vec<String>,
    /// Of a bundle inside of an array.
    #[serde(default)]
    objects: Vec<Value>,
    /// Of an observed address.
    value: Option<Value>,
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    items::read(input, out, ("STIX", FORM), |items, document| {
        Top(items).deserialize(document)
    })
}

fn add_object(items: &Items<'_>, object: Object) -> Result<(), ReadError> {
    let mut out = items.out();
    let line = items.line();
    if object.kind != "indicator" {
        let value = object
            .value
            .map_or(Ok(0), |value| Addresses.deserialize(value));
        let objects = Value::Array(object.objects);
        let inside = Addresses.deserialize(objects).unwrap_or_default();
        out.pass_over(&object.kind, value.unwrap_or_default() + inside);
        return Ok(());
    }
    // Version 2.0 has no type of pattern.
    if object
        .pattern_type
        .as_deref()
        .is_some_and(|kind| kind != "stix")
    {
        out.pass_over("patterns of other types", 1);
        return Ok(());
    }
    let read = match pattern::read(&object.pattern) {
        Ok(Pattern::Addresses(addresses)) => addresses,
        Ok(Pattern::Other) => return Ok(()),
        Err(problem) => {
            out.refuse(line, &object.pattern, problem, Some(FORM));
            return Ok(());
        }
    };
    if object.revoked {
        let count = u64::try_from(read.len()).unwrap_or(u64::MAX);
        out.pass_over("revoked indicators", count);
        return Ok(());
    }
    let end = object
        .valid_until
        .map_or(End::None, |end| End::under("valid_until", &end));
    for address in read {
        if object.indicator_types.iter().any(|kind| kind == "benign") {
            opposite::refuse(line, &address, &mut out);
            continue;
        }
        let entry = Entry::new(line, &address, object.name.trim());
        out.add(Entry { end, ..entry })?;
    }
    Ok(())
}

/// The document, or the objects of a bundle.
struct Top<'t, 'w>(&'t Items<'w>);

impl<'de> DeserializeSeed<'de> for Top<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bundle or an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(object) = array.next_element::<Object>()? {
            self.0.stop(add_object(self.0, object))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut bundle: A) -> Result<(), A::Error> {
        let mut has_objects = false;
        while let Some(key) = bundle.next_key::<String>()? {
            if key == "objects" {
                has_objects = true;
                bundle.next_value_seed(Top(self.0))?;
            } else {
                let count = bundle.next_value_seed(Addresses)?;
                self.0.out().pass_over(&key, count);
            }
        }
        if !has_objects {
            return Err(A::Error::missing_field("objects"));
        }
        Ok(())
    }
}
