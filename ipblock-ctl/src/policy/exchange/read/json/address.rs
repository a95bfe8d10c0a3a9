//! An element of an array of addresses: a text, or an object that holds one.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Under which keys an object holds its address.
const ADDRESS: [&str; 15] = [
    "address",
    "cidr",
    "ip",
    "prefix",
    "at",
    "network",
    "range",
    "subnet",
    "ip_prefix",
    "ipv6_prefix",
    "ipv4Prefix",
    "ipv6Prefix",
    "ip_address",
    "val",
    "elem",
];
const NOTE: [&str; 5] = ["note", "comment", "description", "reason", "sblid"];

const NONE: &str = "no address";
const TWO: &str = "two addresses in one object";

/// What an element says.
#[derive(Debug)]
pub(super) struct Address {
    /// The address, prefix or range; else what is wrong.
    pub(super) text: Result<String, &'static str>,
    /// Where its text ends.
    pub(super) line: u64,
    pub(super) note: String,
    pub(super) timed: bool,
    pub(super) except: bool,
}

/// Reads an [`Address`]; knows the present line.
#[derive(Clone, Copy)]
pub(super) struct AddressSeed<'w>(pub(super) &'w Cell<u64>);

impl AddressSeed<'_> {
    const fn of(self, text: Result<String, &'static str>) -> Address {
        Address {
            text,
            line: self.0.get(),
            note: String::new(),
            timed: false,
            except: false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for AddressSeed<'_> {
    type Value = Address;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Address, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AddressSeed<'_> {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }

    fn visit_str<E>(self, text: &str) -> Result<Address, E> {
        Ok(self.of(Ok(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Address, E> {
        Ok(self.of(Err(NONE)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Address, E> {
        Ok(self.of(Err(NONE)))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Address, E> {
        Ok(self.of(Err(NONE)))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Address, E> {
        Ok(self.of(Err(NONE)))
    }

    fn visit_unit<E>(self) -> Result<Address, E> {
        Ok(self.of(Err(NONE)))
    }

    /// The ends of a range, as nft prints it.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Address, A::Error> {
        let mut ends = Vec::new();
        while let Some(end) = array.next_element_seed(self)? {
            // A third one is too many already.
            if ends.len() < 3 {
                ends.push(end);
            }
        }
        Ok(match ends.as_slice() {
            [
                Address {
                    text: Ok(first), ..
                },
                Address { text: Ok(last), .. },
            ] => self.of(Ok(format!("{first}-{last}"))),
            _ => self.of(Err(NONE)),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Address, A::Error> {
        let mut found = self.of(Err(NONE));
        // `start` and `end`, or `addr` and `len`.
        let (mut first, mut last) = (None, None);
        let mut separator = '-';
        while let Some(key) = object.next_key::<String>()? {
            match key.as_str() {
                key if ADDRESS.contains(&key) => merge(&mut found, object.next_value_seed(self)?),
                key if NOTE.contains(&key) => found.note = text(object.next_value()?),
                "start" | "from" | "first" | "addr" => first = Some(text(object.next_value()?)),
                "end" | "to" | "last" => last = Some(text(object.next_value()?)),
                "len" => (last, separator) = (Some(text(object.next_value()?)), '/'),
                "timeout" => found.timed = object.next_value::<Value>()? != 0,
                "expires" => found.timed |= !object.next_value::<Value>()?.is_null(),
                "kind" => found.except = text(object.next_value()?).starts_with("except"),
                _ => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        if let (Some(first), Some(last)) = (first, last) {
            let pair = self.of(Ok(format!("{first}{separator}{last}")));
            merge(&mut found, pair);
        }
        Ok(found)
    }
}

/// Takes over the address that stands under one key.
fn merge(found: &mut Address, value: Address) {
    match (&found.text, &value.text) {
        // A key that is there with null or nothing of use.
        (_, Err(_)) => return,
        (Ok(_), Ok(_)) => found.text = Err(TWO),
        (Err(problem), Ok(_)) if *problem == TWO => {}
        (Err(_), Ok(_)) => found.text = value.text,
    }
    found.line = value.line;
    found.timed |= value.timed;
    found.except |= value.except;
    if found.note.is_empty() {
        found.note = value.note;
    }
}

/// A text as it is, a number in digits, anything else as nothing.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
