//! Single changes to a ruleset as data, which the command line sends and the audit trail keeps.

mod add_rule;
mod allow;
mod elements;
mod error;
mod exceptions;
mod import;
mod ipv4_mapped;
mod lists;
mod packed_texts;
mod rules;
pub mod wire;
mod zones;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use elements::{no_such_list, no_such_rule};
pub use error::{EditError, Kind};
pub use import::Import;
pub use lists::require_no_new_danger;
pub use packed_texts::PackedTexts;

use super::{
    action::Action,
    ruleset::{DefaultVerdict, MalformedPolicy, Ruleset},
    source::SourceText,
};

/// One change. Addresses and names are texts as the operator wrote them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Adds a rule.
    AddRule(AddRule),
    /// Changes fields of a rule.
    EditRule(EditRule),
    /// Replaces a rule with the text from `$EDITOR`: `toml` as `document::parse_rule` reads it.
    /// Keeps the identity, even if the name in the text differs.
    ReplaceRule {
        /// Its present name.
        name: String,
        /// The new text.
        toml: String,
    },
    /// Removes rules.
    RemoveRules {
        /// Their names.
        names: Vec<String>,
    },
    /// Adds to an allow list. Existing elements are not an error.
    AddAllow {
        /// The zone; `None` means the global list.
        #[serde(default)]
        zone: Option<String>,
        /// Addresses, prefixes, ranges or `@lists`.
        addresses: Vec<String>,
        /// A note for each of them.
        #[serde(default)]
        note: String,
    },
    /// Removes from an allow list. A missing entry is an error.
    RemoveAllow {
        /// The zone; `None` means the global list.
        #[serde(default)]
        zone: Option<String>,
        /// Addresses, prefixes, ranges or `@lists`.
        addresses: Vec<String>,
    },
    /// Adds exceptions to a rule. Existing exceptions are not an error.
    AddException {
        /// The rule's name.
        rule: String,
        /// Addresses, prefixes, ranges or `@lists`.
        addresses: Vec<String>,
        /// A note for each of them.
        #[serde(default)]
        note: String,
    },
    /// Replaces one exception of a rule and keeps its note.
    EditException {
        /// The rule's name.
        rule: String,
        /// The present exception, as address, prefix, range or `@list`.
        old: String,
        /// The new exception.
        new: String,
    },
    /// Removes exceptions from a rule. A missing one is an error.
    RemoveException {
        /// The rule's name.
        rule: String,
        /// Addresses, prefixes, ranges or `@lists`.
        addresses: Vec<String>,
    },
    /// Adds to a named list without a source, and creates it if it does not exist. Existing
    /// elements are not an error.
    AddToList {
        /// Its name.
        list: String,
        /// Addresses, prefixes or ranges; lists do not nest.
        addresses: Vec<String>,
        /// A note for each of them.
        #[serde(default)]
        note: String,
    },
    /// Removes from a named list without a source. A missing element is an error.
    RemoveFromList {
        /// Its name.
        list: String,
        /// Addresses, prefixes or ranges.
        addresses: Vec<String>,
    },
    /// Sets the content of a named list to exactly these addresses, or to that of a source. Creates
    /// the list if it does not exist. With a source, the list is unread afterwards: the daemon
    /// reads it.
    SetList {
        /// Its name.
        list: String,
        /// Addresses, prefixes or ranges; `None` if a source is given.
        #[serde(default)]
        addresses: Option<Vec<String>>,
        /// A note for each of them.
        #[serde(default)]
        note: String,
        /// The source to follow.
        #[serde(flatten)]
        source: SourceText,
    },
    /// Removes an unused named list.
    RemoveList {
        /// Its name.
        list: String,
    },
    /// Sets a zone's settings, and creates the zone if it does not exist.
    SetZone {
        /// Its name.
        name: String,
        /// The new default.
        #[serde(default)]
        default: Option<DefaultVerdict>,
        /// The new policy for malformed packets.
        #[serde(default)]
        malformed: Option<MalformedPolicy>,
    },
    /// Removes a zone with its allow list. No rule may name it, and `default` cannot be removed.
    RemoveZone {
        /// Its name.
        name: String,
    },
    /// Adds many addresses to a rule or a list. Existing elements are not an error.
    Import(Import),
}

/// See [`Edit::AddRule`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddRule {
    /// The name; `None` means the action's word, unless a rule with this action shares a zone with
    /// it.
    #[serde(default)]
    pub name: Option<String>,
    /// The rule's action.
    pub action: Action,
    /// Addresses, prefixes, ranges or `@lists`; at least one.
    #[serde(rename = "match")]
    pub matches: Vec<String>,
    /// The exceptions.
    #[serde(default)]
    pub except: Vec<String>,
    /// When it ends.
    #[serde(default)]
    pub expires: Expiry,
    /// Free text.
    #[serde(default)]
    pub note: String,
    /// Whether hits of a block rule alert.
    #[serde(default)]
    pub alert: bool,
    /// Whether the rule is added as disabled.
    #[serde(default)]
    pub disabled: bool,
    /// The zones of the rule; empty means all.
    #[serde(default)]
    pub zones: Vec<String>,
}

/// See [`Edit::EditRule`]. Absent fields stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditRule {
    /// Its present name.
    pub name: String,
    /// The new name.
    #[serde(default)]
    pub rename: Option<String>,
    /// The new action.
    #[serde(default)]
    pub action: Option<Action>,
    /// Elements to add to `match`. Existing elements are not an error.
    #[serde(default)]
    pub add_match: Vec<String>,
    /// Elements to remove from `match`. A missing element is an error.
    #[serde(default)]
    pub remove_match: Vec<String>,
    /// Elements to add to `except`.
    #[serde(default)]
    pub add_except: Vec<String>,
    /// Elements to remove from `except`.
    #[serde(default)]
    pub remove_except: Vec<String>,
    /// The new note.
    #[serde(default)]
    pub note: Option<String>,
    /// The new end.
    #[serde(default)]
    pub expires: Option<Expiry>,
    /// Enables or disables the rule.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Whether hits of a block rule alert.
    #[serde(default)]
    pub alert: Option<bool>,
    /// The new zones; empty means all.
    #[serde(default)]
    pub zones: Option<Vec<String>>,
}

/// When a rule ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Never.
    #[default]
    Never,
    /// At this time.
    At(Timestamp),
    /// This number of seconds after the edit is staged.
    After(u64),
}

/// Executes one edit and describes the result, in lines. An error leaves `ruleset` unchanged.
///
/// New rules get identity 0: the caller assigns the real one. `force` allows what is refused for
/// safety.
pub fn apply(
    ruleset: &mut Ruleset,
    edit: &Edit,
    now: Timestamp,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let before = (!force).then(|| ruleset.clone());
    let mut said = carry_out(ruleset, edit, now, force)?;
    if let Some(before) = before
        && let Err(error) = lists::require_nothing_newly_open(&before, ruleset)
    {
        *ruleset = before;
        return Err(error);
    }
    said.extend(ipv4_mapped::remark(edit));
    Ok(said)
}

fn carry_out(
    ruleset: &mut Ruleset,
    edit: &Edit,
    now: Timestamp,
    force: bool,
) -> Result<Vec<String>, EditError> {
    match edit {
        Edit::AddRule(rule) => add_rule::add(ruleset, rule, now, force),
        Edit::EditRule(change) => rules::edit(ruleset, change, now, force),
        Edit::ReplaceRule { name, toml } => rules::replace(ruleset, name, toml, now, force),
        Edit::RemoveRules { names } => rules::remove(ruleset, names),
        Edit::AddAllow {
            zone,
            addresses,
            note,
        } => allow::add(ruleset, zone.as_deref(), addresses, note),
        Edit::RemoveAllow { zone, addresses } => {
            allow::remove(ruleset, zone.as_deref(), addresses, force)
        }
        Edit::AddException {
            rule,
            addresses,
            note,
        } => exceptions::add(ruleset, rule, addresses, note),
        Edit::EditException { rule, old, new } => exceptions::replace(ruleset, rule, old, new),
        Edit::RemoveException { rule, addresses } => exceptions::remove(ruleset, rule, addresses),
        Edit::AddToList {
            list,
            addresses,
            note,
        } => lists::add(ruleset, list, addresses, note, force),
        Edit::RemoveFromList { list, addresses } => lists::remove(ruleset, list, addresses, force),
        Edit::SetList {
            list,
            addresses,
            note,
            source,
        } => lists::set(ruleset, list, addresses.as_deref(), note, source, force),
        Edit::RemoveList { list } => lists::remove_list(ruleset, list),
        Edit::SetZone {
            name,
            default,
            malformed,
        } => zones::set(ruleset, name, *default, *malformed, force),
        Edit::RemoveZone { name } => zones::remove(ruleset, name),
        Edit::Import(import) => import::import(ruleset, import, force),
    }
}

#[cfg(test)]
mod tests;
