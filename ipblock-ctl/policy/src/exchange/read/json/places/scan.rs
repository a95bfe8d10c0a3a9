//! The walk over a document that finds the places.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::{OUTERMOST, Places, ROOT, Step, Walk, What};
use crate::{
    address::{End, Mask, is_address, names_end},
    exchange::read::{
        ReadError,
        json::address::{ADDRESS, AddressSeed, NOTE},
        keys::{snake, text, word},
        opposite,
    },
};

/// Keys of a decision of CrowdSec.
const DECISION: [&str; 4] = ["scenario", "scope", "type", "value"];

/// A value, its place, and the object around it.
#[derive(Clone, Copy)]
pub(in crate::exchange::read::json) struct Scan<'s, 'w> {
    pub(super) walk: &'s Walk<'w>,
    pub(super) places: &'s Places<'s>,
    pub(super) place: usize,
    pub(super) scope: usize,
}

impl<'s, 'w> Scan<'s, 'w> {
    /// A whole document.
    pub(in crate::exchange::read::json) const fn new(
        walk: &'s Walk<'w>,
        places: &'s Places<'s>,
    ) -> Self {
        Self {
            walk,
            places,
            place: ROOT,
            scope: OUTERMOST,
        }
    }

    fn line(self) -> u64 {
        self.walk.line.get()
    }

    fn stop<E: serde::de::Error>(self, result: Result<(), ReadError>) -> Result<(), E> {
        self.walk.stop(result)
    }

    /// Records a number or a flag.
    fn scalar(self, text: &str) {
        if self.places.is_wanted(self.place) {
            self.places.other(self.place, self.line(), text);
        }
    }
}

impl<'de> DeserializeSeed<'de> for Scan<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scan<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.stop(self.places.text(self.place, self.scope, self.line(), text))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.scalar(&flag.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.scalar(&number.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.scalar(&number.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.scalar(&number.to_string());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        // An array at the requested place is several addresses.
        let place = if self.places.is_wanted(self.place) {
            self.place
        } else {
            self.places.inside(self.place, Step::Each)
        };
        while array.next_element_seed(Scan { place, ..self })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        if self.places.is_wanted(self.place) {
            let address = AddressSeed(self.walk).visit_map(object)?;
            let what = What::Object(Box::new(address));
            return self.stop(self.places.found(self.place, self.scope, self.line(), what));
        }
        let before = self.places.count_found();
        let scope = self.places.begin(self.scope);
        let mut of_decision = 0;
        while let Some(key) = object.next_key::<String>()? {
            if is_address(&key) {
                let what = What::Text(self.line(), key.as_str().into());
                self.stop(self.places.found(super::KEYS, scope, self.line(), what))?;
            }
            of_decision += usize::from(DECISION.contains(&key.as_str()));
            let name = snake(&key);
            let inside = Scan {
                place: self.places.inside(self.place, Step::Key(key.into())),
                scope,
                ..self
            };
            if !says_something(&name) {
                object.next_value_seed(inside)?;
                continue;
            }
            let value: Value = object.next_value()?;
            inside.note(&name, &value);
            inside.deserialize(value).map_err(A::Error::custom)?;
        }
        if of_decision == DECISION.len() {
            self.places.state.borrow_mut().has_decisions = true;
        }
        self.places.end(scope, before);
        Ok(())
    }
}

/// Whether a key may say something about the addresses beside it.
fn says_something(name: &str) -> bool {
    NOTE.contains(&name)
        || names_end(name)
        || opposite::concerns(bare(name))
        || Mask::named(name).is_some()
}

/// Returns `whitelisted` of `is_whitelisted`.
fn bare(name: &str) -> &str {
    name.strip_prefix("is_").unwrap_or(name)
}

impl Scan<'_, '_> {
    /// Records what a value says about the object that has it.
    fn note(self, name: &str, value: &Value) {
        let said = word(value);
        self.places.say(self.scope, |scope| {
            if NOTE.contains(&name) {
                scope.note = text(value.clone()).trim().into();
            }
            if names_end(name) {
                scope.end = scope.end.or(End::under(name, &said));
            }
            scope.is_let_through |= opposite::says_so(bare(name), &said);
            // `prefix` and `cidr` may have a whole address.
            let is_mask = Mask::named(name).is_some() && !value.is_null();
            let has_address = ADDRESS.contains(&name) && is_address(&said);
            scope.is_masked |= is_mask && !has_address;
        });
    }
}
