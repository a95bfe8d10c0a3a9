//! An element of an array of addresses: a text, or an object with one or several addresses.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::Walk;
use crate::{
    address::{End, Mask, Written, excerpt, is_address, is_length, names_end, with_mask},
    exchange::read::{
        ignored::Addresses,
        keys::{snake, text, word},
        opposite,
    },
};

/// Keys of an object for its address or for an array of addresses.
pub(super) const ADDRESS: [&str; 13] = [
    "address",
    "cidr",
    "ip",
    "prefix",
    "at",
    "network",
    "range",
    "subnet",
    "ip_prefix",
    "ipv4_prefix",
    "ipv6_prefix",
    "ip_address",
    "ip_range",
];
pub(super) const NOTE: [&str; 5] = ["note", "comment", "description", "reason", "sblid"];

pub(super) const NONE: &str = "no address";
const TWO: &str = "two addresses in one object";
const END: &str = "an address and an end: a range is under `start` and `end`";
const MASKED: &str = "a mask that does not fit what is beside it";
const NUMBER: &str = "a number in the place of an address";
const RANGE: &str = "two addresses under `range`: a range, or a list";

/// The content of an element.
#[derive(Debug)]
pub(super) struct Address {
    /// The addresses, prefixes or ranges with the lines where their texts end, or the problem.
    pub(super) texts: Result<Vec<(String, u64)>, Cow<'static, str>>,
    /// The line where it ends.
    pub(super) line: u64,
    pub(super) note: String,
    pub(super) end: End,
    pub(super) except: bool,
    /// Whether it means the opposite: an exception.
    pub(super) is_let_through: bool,
}

/// Reads an [`Address`].
#[derive(Clone, Copy)]
pub(super) struct AddressSeed<'s, 'w>(pub(super) &'s Walk<'w>);

impl AddressSeed<'_, '_> {
    fn of(self, texts: Result<Vec<(String, u64)>, Cow<'static, str>>) -> Address {
        Address {
            texts,
            line: self.0.line.get(),
            note: String::new(),
            end: End::None,
            except: false,
            is_let_through: false,
        }
    }

    fn none(self, problem: &'static str) -> Address {
        self.of(Err(problem.into()))
    }

    fn one(self, text: &str) -> Address {
        self.of(Ok(vec![(text.to_owned(), self.0.line.get())]))
    }
}

impl<'de> DeserializeSeed<'de> for AddressSeed<'_, '_> {
    type Value = Address;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Address, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AddressSeed<'_, '_> {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address")
    }

    fn visit_str<E>(self, text: &str) -> Result<Address, E> {
        Ok(self.one(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Address, E> {
        Ok(self.none(NONE))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Address, E> {
        Ok(self.none(NUMBER))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Address, E> {
        Ok(self.none(NUMBER))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Address, E> {
        Ok(self.none(NUMBER))
    }

    fn visit_unit<E>(self) -> Result<Address, E> {
        Ok(self.none(NONE))
    }

    /// Several addresses, never a range.
    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Address, A::Error> {
        let mut texts = Vec::new();
        let mut problem = None;
        while let Some(element) = array.next_element_seed(self)? {
            match element.texts {
                Ok(more) => texts.extend(more),
                Err(found) => problem = Some(found),
            }
        }
        let problem = problem.or(texts.is_empty().then_some(NONE.into()));
        Ok(self.of(problem.map_or(Ok(texts), Err)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Address, A::Error> {
        let mut found = self.none(NONE);
        // `start` and `end`, or `addr` and `len`.
        let (mut first, mut last) = (None, None);
        let mut mask: Option<(String, Value, Mask)> = None;
        // A number under an address key, which may be the prefix length of its neighbour.
        let mut number = None;
        let mut separator = '-';
        while let Some(key) = object.next_key::<String>()? {
            let name = snake(&key);
            match name.as_str() {
                name if ADDRESS.contains(&name) => {
                    let value = object.next_value_seed(self)?;
                    if is_number(&value) {
                        number = Some(key);
                    } else {
                        merge(&mut found, value, name);
                    }
                }
                name if NOTE.contains(&name) => found.note = text(object.next_value()?),
                "start" | "from" | "first" | "addr" => first = Some(text(object.next_value()?)),
                "end" | "to" | "last" => {
                    let value = text(object.next_value()?);
                    // A date. With `last` it means that the address was seen then.
                    if name == "end" && !is_address(&value) {
                        found.end = found.end.or(End::under("end", &value));
                    }
                    last = Some(value);
                }
                "len" => (last, separator) = (Some(text(object.next_value()?)), '/'),
                "kind" => found.except = text(object.next_value()?).starts_with("except"),
                name if names_end(name) => {
                    found.end = found.end.or(End::under(name, &text(object.next_value()?)));
                }
                name => {
                    if let Some(kind) = Mask::named(name) {
                        let value: Value = object.next_value()?;
                        // Null means that there is none.
                        mask = (!value.is_null()).then_some((key, value, kind)).or(mask);
                        continue;
                    }
                    let count = if opposite::concerns(name) {
                        let value: Value = object.next_value()?;
                        found.is_let_through |= opposite::says_so(name, &word(&value));
                        Addresses.deserialize(value).unwrap_or_default()
                    } else {
                        object.next_value_seed(Addresses)?
                    };
                    self.0.pass_over(&key, count);
                }
            }
        }
        if first.is_none()
            && separator == '/'
            && let Some(length) = last.take()
        {
            mask = mask.or(Some(("len".to_owned(), Value::String(length), Mask::Net)));
        }
        if let Some((key, value, kind)) = mask {
            apply(&mut found, &key, value, kind);
        }
        // An end without a start, next to an address.
        let is_cut = |last: &str| is_address(last) || is_length(last);
        if first.is_none() && found.texts.is_ok() && last.as_deref().is_some_and(is_cut) {
            found.texts = Err(END.into());
        }
        if let (Some(first), Some(last)) = (first, last) {
            // Otherwise they are the dates when an address was first and last seen.
            let are_ends = is_address(&first) || found.texts.is_err();
            if are_ends {
                let pair = self.one(&format!("{first}{separator}{last}"));
                merge(&mut found, pair, "");
            }
        }
        if let Some(key) = number {
            let is_alone = matches!(&found.texts, Err(problem) if problem == NONE);
            if !is_alone {
                found.texts = Err(beside(&key));
            }
        }
        Ok(found)
    }
}

/// Whether a value is a number, or a text that is only a prefix length.
fn is_number(value: &Address) -> bool {
    match &value.texts {
        Err(problem) => problem == NUMBER,
        Ok(texts) => matches!(texts.as_slice(), [(text, _)] if is_length(text)),
    }
}

/// Describes the problem of a number next to an address.
fn beside(key: &str) -> Cow<'static, str> {
    format!(
        "`{}` has a number beside the address, its prefix length or something else: write \
         192.0.2.0/24 in one text, or leave the number out",
        excerpt(key)
    )
    .into()
}

/// Applies the mask next to an address.
fn apply(found: &mut Address, key: &str, mask: Value, kind: Mask) {
    let texts = match &mut found.texts {
        Ok(texts) => texts.as_mut_slice(),
        Err(problem) if problem == NONE => &mut [],
        Err(_) => return,
    };
    if let [(address, _)] = texts
        && let Ok(Written::Prefix(prefix)) = with_mask(address, &text(mask), kind)
    {
        *address = prefix.to_string();
        return;
    }
    let key = excerpt(key);
    let problem = format!("{MASKED}: `{key}`: write 192.0.2.0/24 in one text");
    found.texts = Err(problem.into());
}

/// Merges the value of one key.
fn merge(found: &mut Address, value: Address, key: &str) {
    let ambiguous = |texts: &Vec<(String, u64)>| key == "range" && texts.len() == 2;
    match (&found.texts, value.texts) {
        // The key exists with null or a useless value.
        (_, Err(problem)) if problem == NONE => return,
        (_, Err(problem)) => found.texts = Err(problem),
        (_, Ok(texts)) if ambiguous(&texts) => found.texts = Err(RANGE.into()),
        (Ok(_), Ok(_)) => found.texts = Err(TWO.into()),
        (Err(problem), Ok(_)) if problem != NONE => {}
        (Err(_), Ok(texts)) => found.texts = Ok(texts),
    }
    found.line = value.line;
    found.end = found.end.or(value.end);
    found.except |= value.except;
    found.is_let_through |= value.is_let_through;
    if found.note.is_empty() {
        found.note = value.note;
    }
}
