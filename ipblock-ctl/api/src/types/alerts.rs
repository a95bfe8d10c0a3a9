//! Alerts, hits per source, and the delivery of alerts.

use std::net::IpAddr;

use ipblock_policy::{Action, AlertKind, words};
use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /v1/alerts` query. Without `after`: the newest matching alerts, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertQuery {
    /// Omits older alerts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only alerts of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Only alerts of sources in this address, prefix or range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Maximum number; default 1,000, at most 100,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only alerts after this `id`, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// With `after`: waits this number of seconds, at most 30, for an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// `GET /v1/alerts`. `A` is an array of [`AlertInfo`] and `N` a number; the daemon uses types that
/// are computed while they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts<A = Vec<AlertInfo>, N = u64> {
    /// The matching alerts, oldest first.
    pub alerts: A,
    /// The `after` of the next query. Alerts that do not match count too.
    pub last: N,
}

/// One alert: a source hit rules for the first time in a window, or again since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertInfo {
    /// Ascending with gaps; unique.
    pub id: u64,
    /// When the first packet arrived, or when the window ended.
    pub time: Timestamp,
    /// Whether it reports the first packet of a window or the others.
    pub kind: AlertKind,
    /// The zone that judged the packet.
    pub zone: String,
    /// The interface that received the packet.
    pub interface: String,
    /// The first of `rules`.
    pub rule: String,
    /// Every alerting rule that was hit.
    pub rules: Vec<String>,
    /// `block` if any matching rule blocks, else `warn`.
    pub action: Action,
    /// The source address.
    pub source: IpAddr,
    /// The destination address; of several packets, that of the last one that the kernel announced.
    pub destination: IpAddr,
    /// Lower-case IANA name (`tcp`), or the number if the protocol is not a common one.
    pub protocol: String,
    /// Where the protocol has ports and the packet held one.
    pub destination_port: Option<u16>,
    /// Packets since the last alert of this source and these rules.
    pub packets: u64,
}

/// What happened to packets that hit alerting rules, in [`Status`](super::Status). `seen` is the
/// sum of the other three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertStatus {
    /// Packets that hit an alerting rule since the kernel's alert maps were created: at boot, or by
    /// an upgrade that changes the ABI.
    pub seen: u64,
    /// Packets in alerts.
    pub reported: u64,
    /// Packets that are in no alert on purpose: their window has not ended, or the rate was used
    /// up.
    pub suppressed: u64,
    /// Packets that should be in an alert but are not, for lack of room.
    pub lost: u64,
    /// Length of a window, in seconds.
    pub window: u64,
    /// Maximum number of alerts per second.
    pub rate: u64,
    /// The receivers of alerts.
    pub sinks: Vec<SinkStatus>,
}

/// One sink in [`AlertStatus`]. It counts alerts since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: SinkKind,
    /// Whether it works.
    pub state: SinkState,
    /// The problem, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Alerts delivered.
    pub delivered: u64,
    /// Alerts dropped: the queue was full, or the receiver rejected them permanently.
    pub lost: u64,
    /// Alerts in the queue.
    pub queued: u64,
}

words! {
    /// The kind of a sink.
    pub enum SinkKind {
        /// The daemon's log.
        Log = "log",
        /// A file of JSON lines.
        File = "file",
        /// HTTP POST.
        Webhook = "webhook",
    }
}

/// Whether a sink works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// It works, as far as known.
    Ok,
    /// The last attempt failed; another one follows.
    Failing,
}

/// `GET /v1/top` query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopQuery {
    /// The order.
    #[serde(default)]
    pub by: TopBy,
    /// Maximum number; default 20.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Only hits of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Adds up the sources of each IPv4 prefix of this length; default 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4_prefix: Option<u8>,
    /// Adds up the sources of each IPv6 prefix of this length; default 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6_prefix: Option<u8>,
}

words! {
    /// The order of sources in `top`.
    #[derive(Default)]
    pub enum TopBy {
        /// Packets.
        #[default]
        Packets = "packets",
        /// Bytes.
        Bytes = "bytes",
    }
}

/// `GET /v1/top`: one element of the array, largest first.
///
/// The kernel keeps the 65,536 sources with the latest hits, over all zones; an evicted one
/// restarts at 0. Counts are exact up to 64 hits in a tick of a CPU (1 to 10 ms), and estimates
/// above that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopInfo {
    /// The source address, or the first of its prefix.
    pub source: IpAddr,
    /// The prefix, if the query adds up the sources of prefixes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<IpNet>,
    /// Number of sources that hit in the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u64>,
    /// Names of the rules that it hit, without those that were removed.
    pub rules: Vec<String>,
    /// Whether a ban dropped some of its packets.
    pub banned: bool,
    /// Number of its hits.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Time of the last hit.
    pub last_hit: Option<Timestamp>,
}
