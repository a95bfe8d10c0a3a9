//! Revisions, their confirmation and the way back; who did what.

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /v1/history`: one element of the array, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Its number.
    pub revision: u64,
    /// When it was made.
    pub time: Timestamp,
    /// By whom: `uid 0 (root)`.
    pub author: String,
    /// What the author says about it.
    pub comment: String,
    /// Its rules, disabled ones too.
    pub rules: u64,
    /// Its kernel entries over all zones and both families.
    pub entries: u64,
    /// What became of it.
    pub state: RevisionState,
}

/// What became of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionState {
    /// In force.
    Deployed,
    /// In force until a deadline unless it is confirmed.
    AwaitingConfirmation,
    /// Another one took its place.
    Superseded,
    /// Taken back.
    RolledBack,
}

/// `POST /v1/confirm`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The revision that stays.
    pub revision: u64,
    /// True: what cannot be confirmed is an error.
    pub confirmed: bool,
}

/// `POST /v1/rollback`; answered with [`super::Applied`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackRequest {
    /// The revision whose ruleset is to be in force again; 0: the empty one before the first.
    pub revision: u64,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows what newly drops one percent of an address family or more.
    #[serde(default)]
    pub wide: bool,
}

/// `GET /v1/audit`: one element of the array, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditInfo {
    /// When.
    pub time: Timestamp,
    /// Who: `uid 0 (root)`.
    pub author: String,
    /// What, in one word: `deploy`, `ban`, ...
    pub what: String,
    /// With what.
    pub detail: String,
    /// Where an address was asked for: prefixes of the entry that overlap it, 10 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<IpNet>,
}

/// `GET /v1/audit` query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditQuery {
    /// Only entries that name a prefix which overlaps this address, prefix or range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How many entries at most.
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
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows what newly drops one percent of an address family or more.
    #[serde(default)]
    pub wide: bool,
}
