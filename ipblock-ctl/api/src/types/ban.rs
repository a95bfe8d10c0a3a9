//! Bans.

use ipblock_policy::edit::Expiry;
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
    /// Free text, at most 256 bytes.
    #[serde(default)]
    pub reason: String,
    /// Widens longer IPv6 prefixes to this length.
    #[serde(default)]
    pub v6_prefix: Option<u8>,
    /// Also shortens bans that end later; otherwise they do not change.
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
    /// Prefixes that were not banned before.
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
    /// It was not banned before.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbanRequest {
    /// Addresses, prefixes, ranges or deployed `@lists`, in the same form as banned.
    pub addresses: Vec<String>,
    /// Also removes the bans inside these prefixes.
    #[serde(default)]
    pub inside: bool,
}

/// The result of an [`UnbanRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbanned {
    /// Number of removed bans.
    pub removed: u64,
    /// Prefixes without a ban of their own.
    pub not_banned: Vec<IpNet>,
    /// Prefixes that another ban still covers, at most 100 of them.
    pub still_banned: Vec<StillBanned>,
    /// Number of further ones.
    #[serde(default)]
    pub more_still_banned: u64,
}

/// A prefix in [`Unbanned`] that is still dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillBanned {
    /// A prefix of the request, or a ban inside one.
    pub prefix: IpNet,
    /// The ban that covers it; the prefix itself if it is a ban inside a requested prefix.
    pub by: IpNet,
}

/// `GET /v1/bans` query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BansQuery {
    /// Maximum number: the bans that end next, the first to end first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /v1/bans`: one element of the array. Bans in force, by address unless there is a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanInfo {
    /// Its prefix.
    pub prefix: IpNet,
    /// The end; null if it is permanent.
    pub until: Option<Timestamp>,
    /// Seconds until the end, rounded up; null if it is permanent.
    pub seconds_left: Option<u64>,
    /// Free text.
    pub reason: String,
    /// Always null: packets are not counted per ban.
    pub packets: Option<u64>,
    /// Who made it. The audit trail says who prolonged it.
    pub author: String,
    /// When it was made.
    pub time: Timestamp,
}
