//! Revisions, confirmation and rollback, and the audit trail.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Diff;

/// `GET /v1/history`: one element of the array, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its number.
    pub revision: u64,
    /// When it was made.
    pub time: Timestamp,
    /// By whom: `uid 0 (root)`.
    pub author: String,
    /// The author's comment.
    pub comment: String,
    /// Number of its rules, including disabled ones.
    pub rules: u64,
    /// Number of its kernel entries over all zones and both families.
    pub entries: u64,
    /// Its state.
    pub state: RevisionState,
}

/// `GET /v1/history/{number}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionInfo {
    /// As in the history.
    #[serde(flatten)]
    pub entry: HistoryEntry,
    /// The revision that was in force before it; 0 if there was none.
    pub previous: u64,
    /// When it was deployed, confirmed and put in force again, oldest first, as far as the audit
    /// trail goes back.
    pub events: Vec<RevisionEvent>,
    /// What it changed, compared with `previous`.
    pub diff: Diff,
}

/// An action that concerned a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionEvent {
    /// The time.
    pub time: Timestamp,
    /// The author: `uid 0 (root)`.
    pub author: String,
    /// `deploy`, `confirm`, `rollback` (to this revision), `restore`.
    pub what: String,
}

/// The state of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionState {
    /// In force.
    Deployed,
    /// In force until a deadline, unless an operator confirms it.
    AwaitingConfirmation,
    /// Replaced by a later one.
    Superseded,
    /// Rolled back.
    RolledBack,
}

/// `POST /v1/confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The confirmed revision.
    pub revision: u64,
    /// Always true: otherwise the answer is an error.
    pub confirmed: bool,
}

/// `POST /v1/rollback`; answered with [`super::Applied`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackRequest {
    /// The revision whose ruleset is put in force again; 0 is the empty one before the first.
    pub revision: u64,
    /// Only reports what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows a rollback that newly drops at least one percent of an address family.
    #[serde(default)]
    pub wide: bool,
}

/// `GET /v1/audit`: one element of the array, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditInfo {
    /// The time.
    pub time: Timestamp,
    /// The author: `uid 0 (root)`.
    pub author: String,
    /// The action in one word: `deploy`, `ban`, ...
    pub what: String,
    /// The details.
    pub detail: String,
    /// If the query has an address: prefixes of the entry that overlap it, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<IpNet>,
}

/// `GET /v1/audit` query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Only entries with a prefix that overlaps this address, prefix or range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Maximum number of entries.
    #[serde(default = "AuditQuery::default_limit")]
    pub limit: u32,
}

impl AuditQuery {
    const fn default_limit() -> u32 {
        1000
    }
}

/// `POST /v1/restore` query; the body is a backup, the answer [`super::Applied`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreQuery {
    /// Only reports what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows a restore that newly drops at least one percent of an address family.
    #[serde(default)]
    pub wide: bool,
}
