//! Named lists and the exceptions of all rules.

use ipblock_policy::SourceText;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EntryState;

/// `GET /v1/exceptions`: one element of the array, including staged edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionInfo {
    /// The rule of the exception.
    pub rule: String,
    /// Prefix or `@list`.
    pub address: String,
    /// Free text.
    pub note: String,
    /// How it differs from the deployed ruleset.
    pub state: EntryState,
}

/// `GET /v1/lists`: one element of the array, including staged edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListInfo {
    /// Its name, without `@`.
    pub name: String,
    /// The source of its content, under the key of its kind: `file` is a path below the lists
    /// directory, and null if the list has no source.
    #[serde(flatten)]
    pub source: SourceText,
    /// Number of its prefixes.
    pub entries: u64,
    /// Its users: `rule abuse`, `allow`, `allow of zone dmz`.
    pub used_by: Vec<String>,
    /// How it differs from the deployed ruleset.
    pub state: EntryState,
    /// Why it differs from its source; null if it does not or has no source.
    #[serde(default)]
    pub problem: Option<String>,
    /// When its source was read last, since the daemon started; null if it has none.
    #[serde(default)]
    pub last_read: Option<Timestamp>,
}

/// `GET /v1/lists/{name}`. `E` is an array of [`ListEntry`]; the daemon uses a type that is
/// computed while it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListContent<E = Vec<ListEntry>> {
    /// Its name, without `@`.
    pub name: String,
    /// The source of its content, under the key of its kind: `file` is a path below the lists
    /// directory, and null if the list has no source.
    #[serde(flatten)]
    pub source: SourceText,
    /// Its content, as far as the query asks for it.
    pub entries: E,
    /// Number of its prefixes.
    #[serde(default)]
    pub total: u64,
    /// Its users: `rule abuse`, `allow`, `allow of zone dmz`.
    pub used_by: Vec<String>,
    /// How it differs from the deployed ruleset.
    pub state: EntryState,
    /// Why it differs from its source; null if it does not or has no source.
    #[serde(default)]
    pub problem: Option<String>,
    /// When its source was read last, since the daemon started; null if it has none.
    #[serde(default)]
    pub last_read: Option<Timestamp>,
}

/// `GET /v1/lists/{name}` query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListQuery {
    /// Only entries that overlap this address, prefix or range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Maximum number of entries; default all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// `POST /v1/reload`; answered with an array of [`Reloaded`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadRequest {
    /// The list; absent for every list with a source.
    #[serde(default)]
    pub list: Option<String>,
}

/// A list whose source was read on request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Its name, without `@`.
    pub name: String,
    /// Number of its prefixes before.
    pub before: u64,
    /// Number of its prefixes now.
    pub entries: u64,
    /// Whether its content changed and was deployed.
    pub changed: bool,
    /// Why it keeps the old content.
    pub problem: Option<String>,
}

/// One entry of a [`ListContent`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEntry {
    /// A prefix.
    pub address: String,
    /// Free text.
    pub note: String,
}
