//! `check`: what happens to an address, and why.

use ipblock_policy::{Action, Verdict, action::verdict, explain::Reason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/check`; answered with an array of [`Check`], one for each address and zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRequest {
    /// Addresses, prefixes, ranges or `@lists`; a prefix or range is checked at its first address
    /// and says so when its parts differ.
    pub addresses: Vec<String>,
    /// Only this zone.
    #[serde(default)]
    pub zone: Option<String>,
}

/// What happens to an address, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The address, or the prefix when all of it has the same fate.
    pub address: String,
    /// The zone.
    pub zone: String,
    /// What happens: what an action does, or `pass`.
    #[serde(with = "verdict")]
    pub verdict: Verdict,
    /// What decided.
    pub reason: Reason,
    /// Rules that match, and rules that an exception keeps from it.
    pub rules: Vec<CheckRule>,
    /// The allow entry that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<String>,
    /// The ban that covers it and ends last, also where an allow list lets it pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_by: Option<String>,
    /// When that ban ends; absent when it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_until: Option<Timestamp>,
    /// Whether the kernel's maps give the same verdict for the same rules.
    pub kernel_agrees: bool,
    /// Until when `panic-off` lets everything pass, whatever the verdict; absent when it is off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic_off_until: Option<Timestamp>,
}

/// A rule in a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRule {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub action: Action,
    /// The longest of its prefixes that holds the address.
    pub matched: String,
    /// The exception that spares it.
    pub excepted_by: Option<String>,
    /// When the rule ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}
