//! `check`: the verdict on an address, with its reasons.

use ipblock_policy::{Action, Verdict, action::verdict, explain::Reason};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/check`; answered with an array of [`Check`], one for each address and zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRequest {
    /// Addresses, prefixes, ranges or `@lists`. A prefix or range is checked at its first address;
    /// the answer says if its parts differ.
    pub addresses: Vec<String>,
    /// Only this zone.
    #[serde(default)]
    pub zone: Option<String>,
}

/// The verdict on an address, with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The address, or the prefix if all of it has the same verdict.
    pub address: String,
    /// The zone.
    pub zone: String,
    /// The verdict: that of an action, or `pass`.
    #[serde(with = "verdict")]
    pub verdict: Verdict,
    /// The reason.
    pub reason: Reason,
    /// Rules that match, and rules that do not because of an exception.
    pub rules: Vec<CheckRule>,
    /// The allow entry that contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by: Option<String>,
    /// The covering ban that ends last, even if an allow list lets the address pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_by: Option<String>,
    /// The end of that ban; absent if it is permanent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_until: Option<Timestamp>,
    /// Whether the kernel's maps give the same verdict for the same rules.
    pub kernel_agrees: bool,
    /// The end of `panic-off`, during which everything passes whatever the verdict; absent if it is
    /// off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic_off_until: Option<Timestamp>,
}

/// A rule in a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRule {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: Action,
    /// The longest of its prefixes that contains the address.
    pub matched: String,
    /// The exception for the address.
    pub excepted_by: Option<String>,
    /// When the rule ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}
