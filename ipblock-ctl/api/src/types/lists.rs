//! Named lists and the exceptions of all rules.

use ipblock_policy::SourceText;
use serde::{Deserialize, Serialize};

use super::EntryState;

/// `GET /v1/exceptions`: one element of the array, with staged edits applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceptionInfo {
    /// The rule that spares it.
    pub rule: String,
    /// Prefix or `@list`.
    pub address: String,
    /// Free text.
    pub note: String,
    /// How it differs from what is deployed.
    pub state: EntryState,
}

/// `GET /v1/lists`: one element of the array, with staged edits applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListInfo {
    /// Its name, without `@`.
    pub name: String,
    /// Where its content comes from, under the key of its kind: `file` is a path below the lists
    /// directory, and null where the list is kept by hand.
    #[serde(flatten)]
    pub source: SourceText,
    /// How many prefixes it holds.
    pub entries: u64,
    /// What uses it: `rule abuse`, `allow`, `allow of zone dmz`.
    pub used_by: Vec<String>,
    /// How it differs from what is deployed.
    pub state: EntryState,
    /// Why it is not what its source says; null: it is, or it is kept by hand.
    #[serde(default)]
    pub problem: Option<String>,
}

/// `GET /v1/lists/{name}`. `E` is an array of [`ListEntry`]: the daemon has one that is made while it is
/// written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListContent<E = Vec<ListEntry>> {
    /// Its name, without `@`.
    pub name: String,
    /// Where its content comes from, under the key of its kind: `file` is a path below the lists
    /// directory, and null where the list is kept by hand.
    #[serde(flatten)]
    pub source: SourceText,
    /// What it holds.
    pub entries: E,
    /// What uses it: `rule abuse`, `allow`, `allow of zone dmz`.
    pub used_by: Vec<String>,
    /// How it differs from what is deployed.
    pub state: EntryState,
    /// Why it is not what its source says; null: it is, or it is kept by hand.
    #[serde(default)]
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
