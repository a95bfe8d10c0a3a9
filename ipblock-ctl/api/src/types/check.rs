//! `check`: the verdict on an address, with its reasons.

use ipblock_policy::{Action, Origin, Verdict, action::verdict, explain::Reason};
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
    /// Judges by the staged ruleset. The kernel does not know it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub staged: bool,
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
    /// Where that entry is: in allow lists themselves or in lists that they use. As
    /// [`Check::past`], absent from long answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_entries: Vec<CheckEntry>,
    /// The covering ban that ends last, even if an allow list lets the address pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_by: Option<String>,
    /// The end of that ban; absent if it is permanent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banned_until: Option<Timestamp>,
    /// Every ban in force that covers it, the last to end first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bans: Vec<CheckBan>,
    /// What covered all of it or a part in the last 30 days and ended, the last to end first: at most
    /// 20. Absent if the request has more than 100 answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Past>,
    /// Whether the kernel's maps give the same verdict for the same rules; absent for a staged
    /// ruleset, which is not in the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_agrees: Option<bool>,
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
    /// Free text. This field and all below are absent from answers without [`Check::past`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The first known revision with the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<RuleOrigin>,
    /// Where `matched` is: in the rule itself or in lists that it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<CheckEntry>,
    /// Where `excepted_by` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except_entries: Vec<CheckEntry>,
    /// Packets that the whole rule has counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<u64>,
    /// When the rule last matched a packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hit: Option<Timestamp>,
}

/// An entry that contains a checked address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckEntry {
    /// The named list; null if the entry is in the rule or the allow list itself.
    pub list: Option<String>,
    /// The entry's note.
    pub note: String,
    /// Where the list's content comes from, such as `file drop.txt`; null if it is kept by hand.
    pub source: Option<String>,
}

/// The first revision with a rule, of those that are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleOrigin {
    /// Its number.
    pub revision: u64,
    /// When it was made.
    pub time: Timestamp,
    /// Who deployed it.
    pub author: String,
}

/// A ban in a [`Check`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckBan {
    /// Its prefix.
    pub prefix: String,
    /// The owner.
    pub origin: Origin,
    /// Free text.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub time: Timestamp,
    /// The end; null if it is permanent.
    pub until: Option<Timestamp>,
    /// What the bans of its prefix have dropped; null if they have no counter.
    #[serde(default)]
    pub packets: Option<u64>,
    /// When the last packet was dropped; null if there was none.
    #[serde(default)]
    pub last_hit: Option<Timestamp>,
}

/// Something in a [`Check`] that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Past {
    /// A ban.
    Ban(PastBan),
}

impl Past {
    /// When it ended.
    #[must_use]
    pub const fn ended(&self) -> Timestamp {
        match self {
            Self::Ban(ban) => ban.ended,
        }
    }
}

/// A ban that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBan {
    /// Its prefix.
    pub prefix: String,
    /// The owner.
    pub origin: Origin,
    /// Free text.
    pub reason: String,
    /// Who made it.
    pub author: String,
    /// When it was made.
    pub since: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub how: BanEnd,
    /// Who ended it; absent if its time was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// How a ban ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BanEnd {
    /// Its time was over.
    Expired,
    /// It was ended before.
    Unbanned,
}
