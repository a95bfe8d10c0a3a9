//! The forms in JSON, read decision by decision.

use std::{fmt, io::BufRead};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Decision, FORM};
use crate::exchange::read::{
    ReadError,
    collect::Collector,
    items::{self, Items},
};

/// An alert with its decisions, or a decision.
#[derive(Deserialize)]
struct Item {
    /// Of an alert, which may have none.
    #[serde(default, deserialize_with = "present")]
    decisions: Option<Vec<Fields>>,
    #[serde(flatten)]
    own: Fields,
}

/// Reads null as an empty array.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Vec<Fields>>, D::Error> {
    Option::<Vec<Fields>>::deserialize(value).map(|decisions| Some(decisions.unwrap_or_default()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    value: Option<String>,
    scope: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    scenario: Option<String>,
    duration: Option<String>,
    simulated: Option<bool>,
}

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    items::read(
        input,
        out,
        ("decisions of CrowdSec", FORM),
        |items, document| Top(items).deserialize(document),
    )
}

fn add_item(items: &Items<'_>, item: &Item) -> Result<(), ReadError> {
    let Some(decisions) = &item.decisions else {
        return add_decision(items, &item.own, false);
    };
    // cscli prints the newest decision of an address. An alert whose decision it leaves out is empty.
    if decisions.is_empty() {
        items.out().pass_over("alerts without a decision", 1);
    }
    // A simulated alert has simulated decisions, whatever they say.
    let is_simulated = item.own.simulated == Some(true);
    decisions
        .iter()
        .try_for_each(|decision| add_decision(items, decision, is_simulated))
}

fn add_decision(items: &Items<'_>, fields: &Fields, is_simulated: bool) -> Result<(), ReadError> {
    let decision = Decision {
        line: items.line(),
        value: fields.value.as_deref().unwrap_or_default(),
        scope: fields.scope.as_deref().unwrap_or_default(),
        kind: fields.kind.as_deref().unwrap_or_default(),
        note: fields.scenario.as_deref().unwrap_or_default(),
        duration: fields.duration.as_deref().unwrap_or_default(),
        is_simulated: is_simulated || fields.simulated == Some(true),
    };
    decision.add_to(&mut items.out())
}

/// The document.
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
        f.write_str("an array, or an object with `new` and `deleted`")
    }

    /// No decisions.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(item) = array.next_element::<Item>()? {
            self.0.stop(add_item(self.0, &item))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(key) = object.next_key::<String>()? {
            match key.as_str() {
                "new" => object.next_value_seed(Top(self.0))?,
                "deleted" => {
                    let deleted: Option<Vec<IgnoredAny>> = object.next_value()?;
                    let count = deleted.map_or(0, |deleted| deleted.len());
                    let count = u64::try_from(count).unwrap_or(u64::MAX);
                    self.0.out().pass_over("deleted decisions", count);
                }
                key => return Err(A::Error::unknown_field(key, &["new", "deleted"])),
            }
        }
        Ok(())
    }
}
