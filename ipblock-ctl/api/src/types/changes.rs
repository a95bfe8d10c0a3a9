//! Staged edits, what they would change, and deploys.

use ipblock_policy::edit::{Edit, wire};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/staged/edits`: all of them or none; answered with [`Staged`].
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
    /// The revision that they started from.
    pub base: u64,
    /// What the request did, one line an edit.
    pub done: Vec<String>,
}

/// `GET /v1/diff`, and the heart of a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Changed rules.
    pub rules: Vec<RuleChange>,
    /// Other changes (allow lists, zones, lists), one line each.
    #[serde(default)]
    pub other: Vec<String>,
    /// How many addresses change sides.
    pub addresses: AddressChange,
    /// How many kernel entries come and go.
    pub entries: EntryChange,
    /// What an operator should think twice about.
    pub warnings: Vec<String>,
    /// Established peers that would be cut.
    pub cut_peers: Vec<String>,
    /// The staged edits that lead to it, in order: whose edits a deploy takes along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<StagedEditInfo>,
    /// What was both staged and deployed meanwhile, differently. While there is any, the rest
    /// compares with the revision that the edits started from, and a deploy is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<ConflictInfo>,
}

/// One staged edit in a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedEditInfo {
    /// When it was staged.
    pub time: Timestamp,
    /// By whom: `uid 0 (root)`.
    pub author: String,
    /// What it did, one line each.
    pub summary: Vec<String>,
}

/// Something that staged edits and a deploy changed meanwhile, differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictInfo {
    /// What: `rule abuse`, `the allow list`.
    pub subject: String,
    /// What is the matter, in words.
    pub problem: String,
    /// What the staged edits make of it, one line a field; empty for what is no rule.
    pub staged: Vec<String>,
    /// What the deployed revision makes of it, likewise.
    pub deployed: Vec<String>,
}

/// One rule in a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// Its name after the change.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// One line a field.
    pub detail: Vec<String>,
}

/// What happens to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// New.
    Added,
    /// Edited.
    Changed,
    /// Gone.
    Removed,
}

/// Addresses that change sides, as decimal strings; one that does so in any zone counts once.
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
    /// Seconds after which the revision before comes back unless this one is confirmed.
    #[serde(default)]
    pub confirm_within: Option<u64>,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows what newly drops one percent of an address family or more.
    #[serde(default)]
    pub wide: bool,
}

/// `POST /v1/apply`; answered with [`Applied`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRequest {
    /// The ruleset as TOML.
    pub ruleset: String,
    /// Where it came from, for error messages.
    pub file: String,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Kept with the revision.
    #[serde(default)]
    pub comment: String,
    /// Seconds after which the revision before comes back unless this one is confirmed.
    #[serde(default)]
    pub confirm_within: Option<u64>,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows what newly drops one percent of an address family or more.
    #[serde(default)]
    pub wide: bool,
}

/// What a deploy did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The deployed revision.
    pub revision: u64,
    /// False when there was nothing to do.
    pub changed: bool,
    /// Enabled and disabled rules.
    pub rules: u64,
    /// Kernel entries over all zones and both families.
    pub entries: u64,
    /// Milliseconds that building and filling took, and that putting in force took.
    pub build_ms: u64,
    /// See `build_ms`.
    pub switch_ms: u64,
    /// Until when it must be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_deadline: Option<Timestamp>,
    /// The staged edits that were deployed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<StagedEditInfo>,
    /// What would have been refused without `force`, and special-purpose addresses that staged edits
    /// newly drop; one line each.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What an apply did or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Against the deployed ruleset.
    pub diff: Diff,
    /// False when FILE says what is deployed already.
    pub changed: bool,
    /// Absent in a dry run.
    pub deployed: Option<Deployed>,
    /// What a restore changes beside the ruleset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// What a restore changes beside the ruleset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Bans that hold.
    pub bans: RestoredBans,
    /// Packets judged in all zones since counting began.
    pub packets: BeforeAfter,
    /// Those of them that were dropped.
    pub dropped: BeforeAfter,
    /// The deployed revision; 0: none.
    pub revision: BeforeAfter,
    /// Staged edits.
    pub staged: BeforeAfter,
}

impl Restored {
    /// Whether anything of it is another one afterwards.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        let numbers = [self.packets, self.dropped, self.revision, self.staged];
        self.bans != RestoredBans::default()
            || numbers.iter().any(|number| number.before != number.after)
    }
}

/// Bans that a restore brings and takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredBans {
    /// They do not hold now.
    pub added: u64,
    /// They hold now.
    pub removed: u64,
    /// They hold before and after, with another end, reason, time or author.
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
