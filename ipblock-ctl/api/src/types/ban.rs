//! Bans.

use ipblock_policy::edit::Expiry;
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/bans`: all of them or none; answered with [`Banned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRequest {
    /// Addresses, prefixes, ranges or deployed `@lists`.
    pub addresses: Vec<String>,
    /// When they end; a duration begins when the daemon has the request.
    pub expires: Expiry,
    /// Free text, at most 256 bytes.
    #[serde(default)]
    pub reason: String,
    /// Widens longer IPv6 prefixes to this length.
    #[serde(default)]
    pub v6_prefix: Option<u8>,
    /// Also shortens bans that end later; without it they stay as they are.
    #[serde(default)]
    pub shorten: bool,
    /// Allows what is refused for safety.
    #[serde(default)]
    pub force: bool,
    /// Allows what newly drops one percent of an address family or more.
    #[serde(default)]
    pub wide: bool,
}

/// What a [`BanRequest`] did. It is on disk and in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Banned {
    /// Prefixes that were not banned before.
    pub added: u64,
    /// Prefixes whose ban got another end, or another reason.
    pub moved: u64,
    /// Prefixes whose ban stays as it was: it ends later, or is the same.
    #[serde(default)]
    pub unchanged: u64,
    /// What an operator should know.
    pub warnings: Vec<String>,
    /// The bans, 100 of them at most.
    pub bans: Vec<BannedPrefix>,
}

/// One ban in [`Banned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BannedPrefix {
    /// Its prefix.
    pub prefix: IpNet,
    /// When it ends now; null: never.
    pub until: Option<Timestamp>,
    /// What the request did to it.
    #[serde(default)]
    pub change: BanChange,
    /// When it ended before; null: never, or it is new.
    #[serde(default)]
    pub was: Option<Timestamp>,
    /// Its reason now; one that was given is not kept where the ban is unchanged.
    #[serde(default)]
    pub reason: String,
}

/// What a [`BanRequest`] did to one prefix.
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
    /// It ends as before, with another reason.
    Reason,
    /// Nothing: it ends later than asked, or is the same.
    Unchanged,
}

/// `POST /v1/unban`: all of them or none; answered with [`Unbanned`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnbanRequest {
    /// Addresses, prefixes, ranges or deployed `@lists`, as they were banned.
    pub addresses: Vec<String>,
    /// Also ends the bans inside of these prefixes.
    #[serde(default)]
    pub inside: bool,
}

/// What an [`UnbanRequest`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unbanned {
    /// How many bans were taken away.
    pub removed: u64,
    /// Prefixes that had no ban of their own.
    pub not_banned: Vec<IpNet>,
    /// What another ban still covers, 100 of them at most.
    pub still_banned: Vec<StillBanned>,
    /// How many more there are beside these.
    #[serde(default)]
    pub more_still_banned: u64,
}

/// One prefix in [`Unbanned`] that is dropped all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillBanned {
    /// A prefix of the request, or a ban inside of one.
    pub prefix: IpNet,
    /// The ban that covers it; the prefix itself when it is a ban inside of one that was asked for.
    pub by: IpNet,
}

/// `GET /v1/bans` query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BansQuery {
    /// Only so many: those that end next, the first to end first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// `GET /v1/bans`: one element of the array; bans that hold, by address unless there is a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanInfo {
    /// Its prefix.
    pub prefix: IpNet,
    /// When it ends; null: never.
    pub until: Option<Timestamp>,
    /// Whole seconds until then, the begun one counted; null: it never ends.
    pub seconds_left: Option<u64>,
    /// Free text.
    pub reason: String,
    /// Packets are not counted for each ban: null.
    pub packets: Option<u64>,
    /// Who made it; the audit trail says who prolonged it.
    pub author: String,
    /// When that was.
    pub time: Timestamp,
}
