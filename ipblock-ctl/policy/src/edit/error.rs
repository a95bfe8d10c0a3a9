//! Why an edit is refused, and what to do instead.

use std::fmt;

use ipnet::IpNet;
use jiff::Timestamp;
use thiserror::Error;

use crate::{
    Classified, ErrorKind, Hinted,
    action::Action,
    address::AddressError,
    document::DocumentError,
    name::{ListName, NameError, RuleName, ZoneName},
    ruleset::At,
    safety,
    source::{Source, SourceError, SourceKind},
    text::counted,
};

/// The kind of object that a name denotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A rule.
    Rule,
    /// A named list.
    List,
    /// A zone.
    Zone,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rule => "rule",
            Self::List => "list",
            Self::Zone => "zone",
        })
    }
}

/// Why an edit is refused. An error means that nothing was changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// An address argument.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A name argument.
    #[error("{error}")]
    Name {
        /// The error.
        error: NameError,
        /// What to write instead.
        hint: String,
    },
    /// The text of a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// There is no object with this name.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// The kind of object.
        kind: Kind,
        /// The name.
        name: String,
        /// ``did you mean `abuse`?`` or the command that creates it.
        hint: String,
    },
    /// Another rule has this name.
    #[error("there is a rule `{name}` already")]
    Exists {
        /// The name.
        name: RuleName,
        /// An unused name.
        free: String,
    },
    /// A rule without a name, although its zones have rules with its action.
    #[error("there is a {action} rule already: {}", join(existing))]
    SameAction {
        /// The action of both.
        action: Action,
        /// Rules with that action in one of its zones.
        existing: Vec<RuleName>,
        /// The alternatives: add to the first of them, add a rule with the other action, or add a
        /// separate rule.
        commands: [String; 3],
    },
    /// The element to remove does not exist.
    #[error("{place} does not hold {missing}")]
    NotHeld {
        /// Where it was searched for.
        place: String,
        /// The prefix or `@list`.
        missing: String,
        /// What to do instead, if there is a similar element.
        hint: Option<String>,
    },
    /// The rule would have nothing left to match.
    #[error("rule `{rule}` would match nothing")]
    EmptyMatch {
        /// The rule.
        rule: RuleName,
    },
    /// The edit adds, removes and changes nothing.
    #[error("{0}: nothing to do was given")]
    NothingGiven(String),
    /// The number of notes differs from the number of addresses.
    #[error("{} for {}", counted(.notes, "note", "notes"), counted(.addresses, "address", "addresses"))]
    Notes {
        /// Number of addresses.
        addresses: usize,
        /// Number of notes.
        notes: usize,
    },
    /// A name occurs twice.
    #[error("{kind} `{name}` is given twice")]
    Repeated {
        /// The kind of object.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// A list is in use.
    #[error("list `{list}` is in use: {}", shorten(users))]
    InUse {
        /// The list.
        list: ListName,
        /// Its users, in the words of [`users_of`](crate::Ruleset::users_of).
        users: Vec<String>,
    },
    /// The removal of the zone that always exists.
    #[error("zone `default` cannot be removed: it always exists")]
    DefaultZone,
    /// The removal of a zone that rules name.
    #[error("zone `{zone}` is in use by rules: {}", join(rules))]
    ZoneInUse {
        /// The zone.
        zone: ZoneName,
        /// The rules.
        rules: Vec<RuleName>,
    },
    /// A manual change of a list that follows a source.
    #[error("list `{list}` is not kept by hand: its content comes from {from}")]
    Followed {
        /// The list.
        list: ListName,
        /// Its source.
        from: Source,
    },
    /// Addresses and a source for one list.
    #[error("list `{list}`: addresses and a {kind} exclude each other")]
    HandAndSource {
        /// The list.
        list: ListName,
        /// The kind of source.
        kind: SourceKind,
    },
    /// A list inside a list.
    #[error("`@{inner}`: a list cannot hold another list")]
    Nested {
        /// The inner one.
        inner: ListName,
    },
    /// The text of a source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The end is not in the future.
    #[error("the end {end} is not in the future: it is {now}")]
    Past {
        /// The end.
        end: Timestamp,
        /// The time of the edit.
        now: Timestamp,
    },
    /// A duration beyond the end of the calendar.
    #[error("a duration of {seconds} s goes beyond the year 9999")]
    TooFar {
        /// The duration.
        seconds: u64,
    },
    /// A block rule for a whole family.
    #[error("{}", safety::wide_block_message(rule, *family))]
    WideBlock {
        /// The rule.
        rule: RuleName,
        /// `0.0.0.0/0` or `::/0`.
        family: IpNet,
    },
    /// An allow list or exceptions with a whole family.
    #[error("{}", safety::wide_open_message(place, *family))]
    WideOpen {
        /// The place in words: `the allow list`.
        place: String,
        /// `0.0.0.0/0` or `::/0`.
        family: IpNet,
    },
    /// A zone that drops by default and has no allowed address.
    #[error("{}", safety::shut_zone_message(zone))]
    ShutZone {
        /// The zone.
        zone: ZoneName,
    },
}

impl Classified for EditError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Exists { .. }
            | Self::SameAction { .. }
            | Self::InUse { .. }
            | Self::DefaultZone
            | Self::ZoneInUse { .. }
            | Self::Followed { .. }
            | Self::WideBlock { .. }
            | Self::WideOpen { .. }
            | Self::ShutZone { .. } => ErrorKind::Conflict,
            Self::Document(error) => error.kind(),
            _ => ErrorKind::Invalid,
        }
    }
}

impl Hinted for EditError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Address(error) => return error.hint.clone(),
            Self::Document(error) => return error.hint(),
            Self::Name { hint, .. } | Self::NotFound { hint, .. } => hint.clone(),
            Self::Exists { name, free } => format!(
                "choose another name such as `{free}`, or change that rule: \
                 ipblock-ctl rule edit {name}"
            ),
            Self::SameAction {
                existing, commands, ..
            } => same_action_hint(existing, commands),
            Self::NotHeld { hint, .. } => return hint.clone(),
            Self::EmptyMatch { rule } => format!(
                "give an address, or do without the rule: ipblock-ctl rule remove {rule}, \
                 ipblock-ctl rule edit {rule} --disable"
            ),
            Self::NothingGiven(_) => "give at least one address or change".to_owned(),
            Self::Notes { .. } => "give one note for each address, or none at all".to_owned(),
            Self::Repeated { .. } => "give it once".to_owned(),
            Self::InUse { list, .. } => format!(
                "take @{list} out of them first; `ipblock-ctl list show {list}` names them all"
            ),
            Self::DefaultZone => "its settings can change: ipblock-ctl zone set default".to_owned(),
            Self::ZoneInUse { rules, .. } => format!(
                "give them other zones or remove them first: ipblock-ctl rule edit {} --all-zones",
                rules.first().map_or("RULE", RuleName::as_str)
            ),
            Self::Followed { list, from } => format!(
                "edit {from}, or keep the list by hand from now on: ipblock-ctl list set {list} A..."
            ),
            Self::HandAndSource { .. } => "give one of them".to_owned(),
            Self::Nested { inner } => {
                format!("write its addresses, or use `@{inner}` in the rules as well")
            }
            Self::Source(error) => error.hint.clone(),
            Self::Past { .. } => "give a later time, or a duration such as --for 2h".to_owned(),
            Self::TooFar { .. } => "leave the end out: the rule then holds for good".to_owned(),
            Self::WideBlock { .. } | Self::WideOpen { .. } => safety::WIDE_BLOCK_HINT.to_owned(),
            Self::ShutZone { .. } => safety::SHUT_ZONE_HINT.to_owned(),
        })
    }
}

impl EditError {
    pub(super) fn not_held(place: &str, missing: &At, hint: Option<String>) -> Self {
        Self::NotHeld {
            place: place.to_owned(),
            missing: match missing {
                At::Prefix(prefix) => prefix.to_string(),
                At::List(name) => format!("@{name}"),
            },
            hint,
        }
    }
}

fn same_action_hint(existing: &[RuleName], commands: &[String; 3]) -> String {
    let [add, other, separate] = commands;
    let first = join(existing.get(..1).unwrap_or_default());
    format!(
        "add the addresses to {first}:\n    {add}\n\
         give them the other action:\n    {other}\n\
         make a separate rule:\n    {separate}"
    )
}

/// Joins at most five names, and the number of the others.
fn join(names: &[RuleName]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    shorten(&names)
}

/// Returns at most five of them, and the number of the others.
fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<_> = names.iter().take(SHOWN).cloned().collect();
    if names.len() > SHOWN {
        text.push(format!("and {} more", names.len() - SHOWN));
    }
    text.join(", ")
}
