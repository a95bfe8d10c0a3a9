//! The ruleset: rules, allow lists, zones and named lists.
//!
//! These are resolved values: every prefix has zero host bits, every name is valid. Only `document`
//! (TOML) and `edit` (single changes) convert texts to rulesets.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    action::Action,
    name::{ListName, RuleName, ZoneName},
    shared_vec::SharedVec,
    source::Source,
    word::words,
};

/// Identity of a rule: survives rename and rollback, and is never reused in a state directory.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct RuleId(pub u64);

/// The content of a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Rules in the order in which they were added. Order has no meaning for verdicts.
    pub rules: Vec<Rule>,
    /// The global allow list: its addresses pass in every zone.
    pub allow: SharedVec<Element>,
    /// Zones that differ from the default settings. [`Ruleset::zone`] returns the others too.
    pub zones: BTreeMap<ZoneName, Zone>,
    /// Named lists.
    pub lists: BTreeMap<ListName, List>,
}

/// A rule about some addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Identity; 0 until the store has assigned one.
    pub id: RuleId,
    /// Unique in the ruleset.
    pub name: RuleName,
    /// The action.
    pub action: Action,
    /// The addresses that it applies to.
    #[serde(rename = "match")]
    pub matches: SharedVec<Element>,
    /// The exceptions.
    pub except: SharedVec<Element>,
    /// The end: from then on the rule matches nothing.
    pub expires: Option<Timestamp>,
    /// Free text.
    pub note: String,
    /// A disabled rule matches nothing.
    pub enabled: bool,
    /// Whether a block rule alerts like a warn rule.
    pub alert: bool,
    /// The zones that the rule applies to; empty means all.
    pub zones: Vec<ZoneName>,
}

/// One element of a list of addresses.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
pub struct Element {
    /// Its prefix or list.
    pub at: At,
    /// Free text; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub note: Box<str>,
}

/// The address part of an element in a rule or an allow list.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// A prefix with zero host bits; never a single IPv4-mapped address.
    Prefix(IpNet),
    /// Every element of a named list.
    List(ListName),
}

/// A zone's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The verdict on an address that no rule matches.
    pub default: DefaultVerdict,
    /// The verdict on a packet whose source cannot be read.
    pub malformed: MalformedPolicy,
    /// The allow list of this zone.
    pub allow: SharedVec<Element>,
}

words! {
    /// A zone's verdict on an address that no rule matches.
    #[derive(Default)]
    pub enum DefaultVerdict {
        /// A denylist.
        #[default]
        Pass = "pass",
        /// Allow-only.
        Drop = "drop",
    }
}

words! {
    /// A zone's verdict on a packet whose source cannot be read.
    #[derive(Default)]
    pub enum MalformedPolicy {
        /// Count and pass.
        #[default]
        Pass = "pass",
        /// Count and drop.
        Drop = "drop",
    }
}

/// A named list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The source of its elements.
    pub source: Source,
    /// Its elements; lists do not nest.
    pub elements: SharedVec<ListElement>,
}

/// One element of a named list.
#[derive(Clone, Debug, Eq, Serialize, Deserialize)]
pub struct ListElement {
    /// A prefix with zero host bits.
    pub prefix: IpNet,
    /// Free text; may be empty.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub note: Box<str>,
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && is_same_note(&self.note, &other.note)
    }
}

impl PartialEq for ListElement {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix && is_same_note(&self.note, &other.note)
    }
}

/// Nearly all notes are empty, and their pointer is dangling. `memcmp` with AVX-512 takes 100 ns to
/// compare two of them, because even a masked load of no bytes from there faults.
fn is_same_note(one: &str, other: &str) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

impl List {
    /// Returns a list without a source, which the operator maintains.
    #[must_use]
    pub fn by_hand(elements: impl Into<SharedVec<ListElement>>) -> Self {
        Self {
            source: Source::Hand,
            elements: elements.into(),
        }
    }

    /// Whether it follows a source; then manual edits are rejected.
    #[must_use]
    pub const fn is_followed(&self) -> bool {
        self.source.kind().is_some()
    }

    /// Whether it follows the same source as another list.
    #[must_use]
    pub fn follows_as(&self, other: &Self) -> bool {
        self.is_followed() && self.source == other.source
    }

    /// Whether its source was not read yet: after that it has elements.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.is_followed() && self.elements.is_empty()
    }
}

impl Ruleset {
    /// Returns the rule with this name.
    #[must_use]
    pub fn rule(&self, name: &RuleName) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == *name)
    }

    /// Returns the settings of a zone; those of `default` exist even if nothing was set.
    #[must_use]
    pub fn zone(&self, name: &ZoneName) -> Option<Zone> {
        match self.zones.get(name) {
            Some(zone) => Some(zone.clone()),
            None if *name == ZoneName::default() => Some(Zone::default()),
            None => None,
        }
    }

    /// Returns every zone: those with settings, and `default`.
    #[must_use]
    pub fn zone_names(&self) -> Vec<ZoneName> {
        let mut names: Vec<_> = self.zones.keys().cloned().collect();
        if !self.zones.contains_key(&ZoneName::default()) {
            names.push(ZoneName::default());
            names.sort();
        }
        names
    }

    /// Returns every object with elements that may refer to lists, with its description.
    pub(super) fn users_of_elements(&self) -> Vec<(String, &[Element])> {
        let mut users = vec![("the allow list".to_owned(), self.allow.as_slice())];
        for (name, zone) in &self.zones {
            users.push((format!("the allow list of zone {name}"), &zone.allow));
        }
        for rule in &self.rules {
            users.push((format!("rule {}", rule.name), &rule.matches));
            users.push((format!("rule {}", rule.name), &rule.except));
        }
        users
    }

    /// Returns the users of a list: `rule abuse`, `allow` for the global allow list, `allow of zone
    /// dmz`.
    #[must_use]
    pub fn users_of(&self, list: &ListName) -> Vec<String> {
        let holds = |elements: &[Element]| {
            let mut elements = elements.iter();
            elements.any(|element| matches!(&element.at, At::List(name) if name == list))
        };
        let rules = self.rules.iter();
        let rules = rules.filter(|rule| holds(&rule.matches) || holds(&rule.except));
        let mut users: Vec<_> = rules.map(|rule| format!("rule {}", rule.name)).collect();
        users.extend(holds(&self.allow).then(|| "allow".to_owned()));
        let zones = self.zones.iter().filter(|(_, zone)| holds(&zone.allow));
        users.extend(zones.map(|(name, _)| format!("allow of zone {name}")));
        users
    }

    /// Whether `elements` contains a list whose source was not read yet.
    #[must_use]
    pub fn is_unread(&self, elements: &[Element]) -> bool {
        elements.iter().any(|element| match &element.at {
            At::List(name) => self.lists.get(name).is_some_and(List::is_unread),
            At::Prefix(_) => false,
        })
    }

    /// Returns the prefixes of `elements`, with lists resolved, in order, including duplicates.
    ///
    /// A list that does not exist is empty; `document` and `edit` never create a reference to one.
    pub fn prefixes<'a>(&'a self, elements: &'a [Element]) -> impl Iterator<Item = IpNet> + 'a {
        elements.iter().flat_map(move |element| {
            let (one, list) = match &element.at {
                At::Prefix(prefix) => (Some(*prefix), None),
                At::List(name) => (None, self.lists.get(name)),
            };
            let listed = list.into_iter().flat_map(|list| &list.elements);
            one.into_iter().chain(listed.map(|element| element.prefix))
        })
    }
}

impl Rule {
    /// Whether the rule applies to this zone.
    #[must_use]
    pub fn holds_in(&self, zone: &ZoneName) -> bool {
        self.zones.is_empty() || self.zones.contains(zone)
    }

    /// Whether the rule can match at this time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.enabled && self.expires.is_none_or(|end| now < end)
    }

    /// Whether hits of the rule alert.
    #[must_use]
    pub fn alerts(&self) -> bool {
        self.alert || self.action.always_alerts()
    }
}
