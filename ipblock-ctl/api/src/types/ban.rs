//! Bans.

use std::fmt;

use ipblock_policy::{Origin, edit::Expiry};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/bans`: all bans or none; answered with [`Banned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRequest {
    /// Addresses, prefixes, ranges or deployed `@lists`.
    pub addresses: Vec<String>,
    /// The end; a duration begins when the daemon receives the request.
    pub expires: Expiry,
    /// The owner: the ban that it has of each prefix is made or changed, those of others stay.
    #[serde(default)]
    pub origin: Origin,
    /// Free text, at most 256 bytes.
    #[serde(default)]
    pub reason: String,
    /// Widens longer IPv6 prefixes to this length.
    #[serde(default)]
    pub v6_prefix: Option<u8>,
    /// Also shortens bans of this origin that end later; otherwise they do not change.
    #[serde(default)]
    pub shorten: bool,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows a request that newly drops at least one percent of an address family.
    #[serde(default)]
    pub wide: bool,
}

/// The result of a [`BanRequest`]. It is on disk and in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banned {
    /// Prefixes that this origin had not banned before.
    pub added: u64,
    /// Prefixes whose ban got another end or another reason.
    pub moved: u64,
    /// Prefixes whose ban did not change: it ends later, or is the same.
    #[serde(default)]
    pub unchanged: u64,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
    /// The bans, at most 100 of them.
    pub bans: Vec<BannedPrefix>,
}

/// One ban in [`Banned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BannedPrefix {
    /// Its prefix.
    pub prefix: IpNet,
    /// The owner.
    #[serde(default)]
    pub origin: Origin,
    /// The new end; null if it is permanent.
    pub until: Option<Timestamp>,
    /// What the request changed.
    #[serde(default)]
    pub change: BanChange,
    /// The previous end; null if it was permanent or the ban is new.
    #[serde(default)]
    pub was: Option<Timestamp>,
    /// The present reason; an unchanged ban does not get the new one.
    #[serde(default)]
    pub reason: String,
}

/// The change of one prefix by a [`BanRequest`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BanChange {
    /// Its origin had not banned it before.
    #[default]
    Added,
    /// It ends later than before.
    Prolonged,
    /// It ends earlier than before.
    Shortened,
    /// It ends at the same time, with another reason.
    Reason,
    /// Unchanged: it ends later than requested, or is the same.
    Unchanged,
}

/// `POST /v1/unban`: all bans or none; answered with [`Unbanned`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbanRequest {
    /// Addresses, prefixes, ranges or deployed `@lists`, in the same form as banned.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Also removes the bans inside these prefixes.
    #[serde(default)]
    pub inside: bool,
    /// Removes bans of all prefixes. There must be no addresses, and at least one of the filters below.
    #[serde(default)]
    pub all: bool,
    /// Only these bans.
    #[serde(flatten)]
    pub only: BanFilter,
    /// Only reports what it would remove.
    #[serde(default)]
    pub dry_run: bool,
}

/// Selects bans. Those that fit every given part are selected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanFilter {
    /// Bans of this origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Bans with this text in their reason, in upper or lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bans of this author: a name or a user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl BanFilter {
    /// Whether every ban fits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The words after "bans" that name what is selected; nothing if every ban is.
impl fmt::Display for BanFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, " of origin {origin}")?;
        }
        if let Some(by) = &self.by {
            write!(f, " made by {by}")?;
        }
        if let Some(text) = &self.reason {
            write!(f, " with `{text}` in the reason")?;
        }
        Ok(())
    }
}

/// The result of an [`UnbanRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbanned {
    /// Number of removed bans.
    pub removed: u64,
    /// Their owners, those with the most of them first, at most 100.
    #[serde(default)]
    pub origins: Vec<OriginCount>,
    /// The removed bans, at most 100 of them.
    #[serde(default)]
    pub bans: Vec<RemovedBan>,
    /// Prefixes without a ban of their own that the request selects.
    pub not_banned: Vec<IpNet>,
    /// Prefixes that another ban still covers, at most 100 of them.
    pub still_banned: Vec<StillBanned>,
    /// Number of further ones.
    #[serde(default)]
    pub more_still_banned: u64,
}

/// An owner of removed bans in [`Unbanned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginCount {
    /// The owner.
    pub origin: Origin,
    /// The number of its bans.
    pub bans: u64,
}

/// A removed ban in [`Unbanned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedBan {
    /// Its prefix.
    pub prefix: IpNet,
    /// The owner.
    pub origin: Origin,
    /// The end that it had; null if it was permanent.
    pub until: Option<Timestamp>,
    /// Its reason.
    pub reason: String,
}

/// A prefix in [`Unbanned`] that is still dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillBanned {
    /// A prefix of the request, or a ban inside one.
    pub prefix: IpNet,
    /// The prefix of the ban that covers it; the same prefix if it is a ban of another owner, or one
    /// inside a requested prefix.
    pub by: IpNet,
    /// The owner of that ban.
    #[serde(default)]
    pub origin: Origin,
}

/// `GET /v1/bans` query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BansQuery {
    /// Maximum number: the bans that end next, the first to end first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only bans that cover one of these addresses, prefixes, ranges or `@lists`, or lie inside one.
    /// They are separated by commas. Not together with `limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<String>,
    /// Only bans of this origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Only bans with this text in their reason, in upper or lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only bans of this author: a name or a user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// `GET /v1/bans`: one element of the array. Bans in force, by address and origin unless there is a
/// limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanInfo {
    /// Its prefix.
    pub prefix: IpNet,
    /// The owner. A prefix can have one ban of each origin.
    #[serde(default)]
    pub origin: Origin,
    /// The end; null if it is permanent.
    pub until: Option<Timestamp>,
    /// Seconds until the end, rounded up; null if it is permanent.
    pub seconds_left: Option<u64>,
    /// Free text.
    pub reason: String,
    /// Packets that the bans of this prefix have dropped, without those of longer banned prefixes
    /// inside; null if they have no counter.
    pub packets: Option<u64>,
    /// When the last one was dropped; null if there was none.
    #[serde(default)]
    pub last_hit: Option<Timestamp>,
    /// Who made it. The audit trail says who prolonged it.
    pub author: String,
    /// When it was made.
    pub time: Timestamp,
}
