//! Staged edits, the changes that they cause, and deploys.

use ipblock_policy::edit::{Edit, wire};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/staged/edits`: all edits or none; answered with [`Staged`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditRequest {
    /// In order.
    #[serde(deserialize_with = "wire::edits")]
    pub edits: Vec<Edit>,
    /// Allows what is refused for safety, such as blocking `0.0.0.0/0`.
    #[serde(default)]
    pub force: bool,
}

/// What is staged after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// Number of staged edits.
    pub staged: u64,
    /// The revision that they are based on.
    pub base: u64,
    /// What the request did, one line per edit.
    pub done: Vec<String>,
    /// After a request that staged something: `DELETE /v1/staged?undo=` with this number discards
    /// it again, until anything else is staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<u64>,
}

/// `GET /v1/diff`, and the main part of a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Changed rules.
    pub rules: Vec<RuleChange>,
    /// Other changes (allow lists, zones, lists), one line each.
    #[serde(default)]
    pub other: Vec<String>,
    /// Number of addresses that change between passed and dropped.
    pub addresses: AddressChange,
    /// Number of kernel entries before and after.
    pub entries: EntryChange,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
    /// Established peers that would be cut.
    pub cut_peers: Vec<String>,
    /// The staged edits, in order, with their authors: a deploy includes all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<StagedEditInfo>,
    /// What was both staged and deployed meanwhile, differently. If there is any, the rest compares
    /// with the revision that the edits are based on, and a deploy is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<ConflictInfo>,
}

/// Query of `GET /v1/diff`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffQuery {
    /// Compares from this revision, in place of what is staged; 0 is the empty one before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// With `from`: to this revision; default the deployed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
}

/// One staged edit in a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedEditInfo {
    /// When it was staged.
    pub time: Timestamp,
    /// By whom: `uid 0 (root)`.
    pub author: String,
    /// What it did, in lines.
    pub summary: Vec<String>,
}

/// An object that staged edits and a deploy changed differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictInfo {
    /// The object: `rule abuse`, `the allow list`.
    pub subject: String,
    /// The conflict in words.
    pub problem: String,
    /// The staged form, one line per field; empty unless it is a rule.
    pub staged: Vec<String>,
    /// The deployed form, likewise.
    pub deployed: Vec<String>,
}

/// One rule in a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Its name after the change.
    pub name: String,
    /// The kind of change.
    pub change: RuleChangeKind,
    /// One line per field.
    pub detail: Vec<String>,
}

/// The kind of change of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleChangeKind {
    /// New.
    Added,
    /// Edited.
    Changed,
    /// Removed.
    Removed,
}

/// Addresses that change between passed and dropped, as decimal strings. An address counts once,
/// even if it changes in several zones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressChange {
    /// Passed before, dropped after.
    pub newly_blocked: String,
    /// Dropped before, passed after.
    pub newly_passed: String,
}

impl Default for AddressChange {
    fn default() -> Self {
        Self {
            newly_blocked: "0".to_owned(),
            newly_passed: "0".to_owned(),
        }
    }
}

/// Kernel entries over all zones and both families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryChange {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// `POST /v1/deploy`; answered with [`Deployed`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployRequest {
    /// Kept with the revision.
    #[serde(default)]
    pub comment: String,
    /// Seconds until the rollback to the previous revision, unless this one is confirmed.
    #[serde(default)]
    pub confirm_within: Option<u64>,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows a deploy that newly drops at least one percent of an address family.
    #[serde(default)]
    pub wide: bool,
    /// Deploys edits that others staged, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// With `all`: only if exactly this number of edits is staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<u64>,
    /// Deploys only the staged edits of these rules; empty means all edits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
}

/// `POST /v1/apply`; answered with [`Applied`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// The ruleset as TOML.
    pub ruleset: String,
    /// The name of its file, for error messages.
    pub file: String,
    /// Only reports what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// How it is deployed.
    #[serde(flatten)]
    pub deploy: DeployRequest,
}

/// The result of a deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The deployed revision.
    pub revision: u64,
    /// False if there was nothing to do.
    pub changed: bool,
    /// Number of rules, enabled or not.
    pub rules: u64,
    /// Kernel entries over all zones and both families.
    pub entries: u64,
    /// Milliseconds to build and fill the maps.
    pub build_ms: u64,
    /// Milliseconds to put them in force.
    pub switch_ms: u64,
    /// The deadline of the confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_deadline: Option<Timestamp>,
    /// The staged edits that were deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<StagedEditInfo>,
    /// Number of edits that stay staged, after a deploy of some rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_staged: Option<u64>,
    /// What would have been refused without `force`, and special-purpose addresses that staged
    /// edits newly drop, one line each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The result of an apply, or of its dry run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The differences from the deployed ruleset.
    pub diff: Diff,
    /// False if the file equals the deployed ruleset.
    pub changed: bool,
    /// Absent in a dry run.
    pub deployed: Option<Deployed>,
    /// What a restore changes apart from the ruleset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// What a restore changes apart from the ruleset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Bans in force.
    pub bans: RestoredBans,
    /// Packets judged in all zones since the counters started.
    pub packets: BeforeAfter,
    /// The dropped ones among them.
    pub dropped: BeforeAfter,
    /// The deployed revision; 0 if there is none.
    pub revision: BeforeAfter,
    /// Staged edits.
    pub staged: BeforeAfter,
}

impl Restored {
    /// Whether any of it differs afterwards.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        let numbers = [self.packets, self.dropped, self.revision, self.staged];
        self.bans != RestoredBans::default()
            || numbers.iter().any(|number| number.before != number.after)
    }
}

/// Bans that a restore adds and removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredBans {
    /// Not in force now.
    pub added: u64,
    /// In force now.
    pub removed: u64,
    /// In force before and after, with another end, reason, time or author.
    pub changed: u64,
}

/// A number now, and after a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// Now.
    pub before: u64,
    /// After the restore.
    pub after: u64,
}
