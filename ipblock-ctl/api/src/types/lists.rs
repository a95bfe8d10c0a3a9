//! Named lists and the exceptions of all rules.

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
    /// The file below the lists directory that it is read from; null: it is kept by hand.
    pub file: Option<String>,
    /// How many prefixes it holds.
    pub entries: u64,
    /// What uses it: `rule abuse`, `allow`, `allow of zone dmz`.
    pub used_by: Vec<String>,
    /// How it differs from what is deployed.
    pub state: EntryState,
    /// Why it is not what its file says; null: it is, or there is no file.
    #[serde(default)]
    pub problem: Option<String>,
}

/// `GET /v1/lists/{name}`. `E` is an array of [`ListEntry`]: the daemon has one that is made while it is
/// written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListContent<E = Vec<ListEntry>> {
    /// Its name, without `@`.
    pub name: String,
    /// The file below the lists directory that it is read from; null: it is kept by hand.
    pub file: Option<String>,
    /// What it holds.
    pub entries: E,
    /// What uses it: `rule abuse`, `allow`, `allow of zone dmz`.
    pub used_by: Vec<String>,
    /// How it differs from what is deployed.
    pub state: EntryState,
    /// Why it is not what its file says; null: it is, or there is no file.
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
