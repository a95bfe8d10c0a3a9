//! Alerts, who hits, and how alerts are delivered.

use std::net::IpAddr;

use ipblock_policy::{Action, AlertKind, words};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `GET /v1/alerts` query. Without `after`: the newest alerts that fit, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertQuery {
    /// No older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Those of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Those of sources in this address, prefix or range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many at most; 1,000 when absent, 100,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Those behind this `id`, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Together with `after`: waits so many seconds, 30 at most, until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// `GET /v1/alerts`. `A` is an array of [`AlertInfo`] and `N` a number: the daemon has ones that are made
/// while they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts<A = Vec<AlertInfo>, N = u64> {
    /// Those that fit the query, oldest first.
    pub alerts: A,
    /// Where to go on: the `after` of the next query. An alert that does not fit counts too.
    pub last: N,
}

/// One alert: a source hit rules, for the first time in a window or more often since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertInfo {
    /// Counts up, not in steps of one; no two alerts share it.
    pub id: u64,
    /// When the first packet came, or when the window ended.
    pub time: Timestamp,
    /// Whether it is the first of a window, or tells of the others.
    pub kind: AlertKind,
    /// The zone that judged.
    pub zone: String,
    /// The interface that the packet came in by.
    pub interface: String,
    /// The first of `rules`.
    pub rule: String,
    /// Every rule that alerts and was hit.
    pub rules: Vec<String>,
    /// `block` when a rule among all that matched blocks, else `warn`.
    pub action: Action,
    /// Who.
    pub source: IpAddr,
    /// Where to. Of several packets: the last that the kernel announced.
    pub destination: IpAddr,
    /// In lower case as IANA has it (`tcp`), or as a number where it is none of the common ones.
    pub protocol: String,
    /// Where the protocol has ports and the packet held one.
    pub destination_port: Option<u16>,
    /// Packets since the last alert of this source and these rules.
    pub packets: u64,
}

/// What became of packets that hit rules that alert, in
/// [`Status`](super::Status). `seen` is the sum of the other three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertStatus {
    /// Packets that hit a rule that alerts, since the kernel's alert maps were made: at boot, or by
    /// an upgrade that changes the ABI.
    pub seen: u64,
    /// Those that an alert tells of.
    pub reported: u64,
    /// Those that no alert tells of, on purpose: their window has not ended, or the rate was used up.
    pub suppressed: u64,
    /// Those that an alert should tell of and none will: there was no room.
    pub lost: u64,
    /// Length of a window, in seconds.
    pub window: u64,
    /// Alerts a second, at most.
    pub rate: u64,
    /// Where alerts go.
    pub sinks: Vec<SinkStatus>,
}

/// One sink in [`AlertStatus`]. Counts are alerts, since the daemon started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// Its name in the configuration.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// Whether it works.
    pub state: SinkState,
    /// What stands in the way, when something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Alerts delivered.
    pub delivered: u64,
    /// Alerts given up: the queue was full, or the receiver refused them for good.
    pub lost: u64,
    /// Alerts that wait.
    pub queued: u64,
}

words! {
    /// What a sink is.
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
    /// It does, as far as is known.
    Ok,
    /// The last try failed; it is tried again.
    Failing,
}

/// `GET /v1/top` query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopQuery {
    /// What counts.
    #[serde(default)]
    pub by: TopBy,
    /// How many at most; 20 when absent.
    #[serde(default)]
    pub limit: Option<u32>,
}

words! {
    /// What makes a source one of the top.
    #[derive(Default)]
    pub enum TopBy {
        /// Packets.
        #[default]
        Packets = "packets",
        /// Bytes.
        Bytes = "bytes",
    }
}

/// `GET /v1/top`: one element of the array, most first.
///
/// The kernel keeps the 65,536 sources that hit last, over all zones; one that makes room for
/// another starts anew. Counts are exact up to 64 hits in a tick of a CPU (1 to 10 ms) and estimates
/// beyond.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopInfo {
    /// Who.
    pub source: IpAddr,
    /// The rules that it hit, by name; those that are gone are left out.
    pub rules: Vec<String>,
    /// Whether a ban dropped some of its packets.
    pub banned: bool,
    /// Packets that hit.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them came.
    pub last_hit: Option<Timestamp>,
}
