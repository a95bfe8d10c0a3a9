//! Rulesets as JSON: the tables and names of the TOML file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::{
    action::Action,
    document::Origin,
    name::{ListName, ZoneName},
    ruleset::{
        At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, Rule, Ruleset, Zone,
    },
    source::SourceText,
    text::printable_json,
};

/// Writes a ruleset so that `ruleset_toml` and `document::parse` return it, without identities.
///
/// Omits default values, as in TOML.
#[must_use]
pub fn json(ruleset: &Ruleset) -> String {
    json_from(ruleset, None)
}

/// As [`json`], with the key for the revision that the file is made from.
#[must_use]
pub fn json_from(ruleset: &Ruleset, origin: Option<&Origin>) -> String {
    let lists = ruleset.lists.iter();
    let document = Document {
        revision: origin.map(ToString::to_string),
        list: lists.map(|(name, list)| (name, list_table(list))).collect(),
        allow: (!ruleset.allow.is_empty()).then(|| Table {
            matches: Elements(&ruleset.allow),
        }),
        zone: ruleset
            .zones
            .iter()
            .map(|(name, zone)| (name, zone_table(zone)))
            .collect(),
        rule: ruleset.rules.iter().map(rule_table).collect(),
    };
    // With strings as keys and a String as the target, this cannot fail.
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    let mut text = printable_json(&text).into_owned();
    text.push('\n');
    text
}

#[derive(Serialize)]
struct Document<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    list: BTreeMap<&'r ListName, ListTable<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<Table<Elements<'r>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    zone: BTreeMap<&'r ZoneName, ZoneTable<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rule: Vec<RuleTable<'r>>,
}

#[derive(Serialize)]
struct Table<T> {
    #[serde(rename = "match")]
    matches: T,
}

#[derive(Serialize)]
struct ListTable<'r> {
    /// Under the key of its kind, with its options; null for a list without a source.
    #[serde(flatten)]
    source: Option<SourceText>,
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matches: Option<Listed<'r>>,
}

fn list_table(list: &List) -> ListTable<'_> {
    ListTable {
        source: list.is_followed().then(|| SourceText::from(&list.source)),
        matches: (!list.is_unread()).then_some(Listed(&list.elements)),
    }
}

#[derive(Serialize)]
struct ZoneTable<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<DefaultVerdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed: Option<MalformedPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow: Option<Elements<'r>>,
}

fn zone_table(zone: &Zone) -> ZoneTable<'_> {
    ZoneTable {
        default: (zone.default != DefaultVerdict::default()).then_some(zone.default),
        malformed: (zone.malformed != MalformedPolicy::default()).then_some(zone.malformed),
        allow: some(&zone.allow),
    }
}

#[derive(Serialize)]
struct RuleTable<'r> {
    name: &'r str,
    action: Action,
    #[serde(rename = "match")]
    matches: Elements<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    except: Option<Elements<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    zones: &'r [ZoneName],
}

fn rule_table(rule: &Rule) -> RuleTable<'_> {
    RuleTable {
        name: rule.name.as_str(),
        action: rule.action,
        matches: Elements(&rule.matches),
        except: some(&rule.except),
        expires: rule.expires,
        note: &rule.note,
        enabled: (!rule.enabled).then_some(false),
        alert: rule.alert.then_some(true),
        zones: &rule.zones,
    }
}

fn some(elements: &[Element]) -> Option<Elements<'_>> {
    (!elements.is_empty()).then_some(Elements(elements))
}

/// Elements of a rule or an allow list.
struct Elements<'r>(&'r [Element]);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|element| Noted {
            at: match &element.at {
                At::Prefix(prefix) => prefix.to_string(),
                At::List(name) => format!("@{name}"),
            },
            note: &element.note,
        }))
    }
}

/// Elements of a named list.
struct Listed<'r>(&'r [ListElement]);

impl Serialize for Listed<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|element| Noted {
            at: element.prefix.to_string(),
            note: &element.note,
        }))
    }
}

/// `"192.0.2.1/32"`, or an object if there is a note.
struct Noted<'r> {
    at: String,
    note: &'r str,
}

impl Serialize for Noted<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.note.is_empty() {
            return to.serialize_str(&self.at);
        }
        let mut object = to.serialize_map(Some(2))?;
        object.serialize_entry("at", &self.at)?;
        object.serialize_entry("note", self.note)?;
        object.end()
    }
}
