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

/// What a name stands for.
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

/// Why an edit is refused. Nothing was changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// An address argument.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A name argument.
    #[error("{error}")]
    Name {
        /// What is wrong with it.
        error: NameError,
        /// What to write instead.
        hint: String,
    },
    /// The text of a rule.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A name that does not exist.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// What it should name.
        kind: Kind,
        /// The name.
        name: String,
        /// ``did you mean `abuse`?`` or what creates it.
        hint: String,
    },
    /// A name that another rule has.
    #[error("there is a rule `{name}` already")]
    Exists {
        /// The name.
        name: RuleName,
        /// A name that is free.
        free: String,
    },
    /// A rule without a name, where its zones have rules with its action.
    #[error("there is a {action} rule already: {}", join(existing))]
    SameAction {
        /// What both ask for.
        action: Action,
        /// Rules with that action that share a zone with it.
        existing: Vec<RuleName>,
        /// Add to the first of them; add a rule with the other action; add a separate rule.
        commands: [String; 3],
    },
    /// Something to remove that is not there.
    #[error("{place} does not hold {missing}")]
    NotHeld {
        /// Where it was looked for.
        place: String,
        /// The prefix or `@list`.
        missing: String,
        /// What to do instead, where something near is held.
        hint: Option<String>,
    },
    /// A rule would be left without anything to match.
    #[error("rule `{rule}` would match nothing")]
    EmptyMatch {
        /// The rule.
        rule: RuleName,
    },
    /// An edit that names nothing to add, remove or change.
    #[error("{0}: nothing to do was given")]
    NothingGiven(String),
    /// Notes that do not stand beside addresses one to one.
    #[error("{} for {}", counted(.notes, "note", "notes"), counted(.addresses, "address", "addresses"))]
    Notes {
        /// How many addresses are given.
        addresses: usize,
        /// How many notes are given.
        notes: usize,
    },
    /// A name that is given twice.
    #[error("{kind} `{name}` is given twice")]
    Repeated {
        /// What it names.
        kind: Kind,
        /// The name.
        name: String,
    },
    /// A list that something uses.
    #[error("list `{list}` is in use: {}", shorten(users))]
    InUse {
        /// The list.
        list: ListName,
        /// What uses it, as [`users_of`](crate::Ruleset::users_of) says it.
        users: Vec<String>,
    },
    /// A change by hand of a list that follows a source.
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
        /// What the source is.
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
    /// An end that is no future time.
    #[error("the end {end} is not in the future: it is {now}")]
    Past {
        /// The end.
        end: Timestamp,
        /// The time of the edit.
        now: Timestamp,
    },
    /// A duration past the end of the calendar.
    #[error("a duration of {seconds} s goes beyond the year 9999")]
    TooFar {
        /// The duration.
        seconds: u64,
    },
    /// A block rule over a whole family.
    #[error("{}", safety::wide_block_message(rule, *family))]
    WideBlock {
        /// The rule.
        rule: RuleName,
        /// `0.0.0.0/0` or `::/0`.
        family: IpNet,
    },
    /// An allow list or exceptions that hold a whole family.
    #[error("{}", safety::wide_open_message(place, *family))]
    WideOpen {
        /// In words: `the allow list`.
        place: String,
        /// `0.0.0.0/0` or `::/0`.
        family: IpNet,
    },
    /// A zone that drops by default without any allowed address.
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

/// At most five names, and how many more there are.
fn join(names: &[RuleName]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    shorten(&names)
}

/// At most five of them, and how many more there are.
fn shorten(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<_> = names.iter().take(SHOWN).cloned().collect();
    if names.len() > SHOWN {
        text.push(format!("and {} more", names.len() - SHOWN));
    }
    text.join(", ")
}
