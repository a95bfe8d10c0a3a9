//! Bodies of requests and answers of `/v1`.
//!
//! Times are RFC 3339; counts are numbers, address counts decimal strings because they pass 2^64.
//! `--json` prints these types as they are, so a field that is renamed here breaks scripts.

mod alerts;
mod attached;
mod ban;
mod changes;
mod check;
mod history;
mod lists;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use alerts::{
    AlertInfo, AlertQuery, AlertStatus, Alerts, SinkKind, SinkState, SinkStatus, TopBy, TopInfo,
    TopQuery,
};
pub use attached::Attached;
pub use ban::{
    BanChange, BanInfo, BanRequest, Banned, BannedPrefix, BansQuery, StillBanned, UnbanRequest,
    Unbanned,
};
pub use changes::{
    AddressChange, Applied, ApplyRequest, BeforeAfter, Change, ConflictInfo, DeployRequest,
    Deployed, Diff, EditRequest, EntryChange, Restored, RestoredBans, RuleChange, Staged,
    StagedEditInfo,
};
pub use check::{Check, CheckRequest, CheckRule};
pub use history::{
    AuditInfo, AuditQuery, Confirmed, HistoryEntry, RestoreQuery, RevisionState, RollbackRequest,
};
pub use lists::{ExceptionInfo, ListContent, ListEntry, ListInfo};

use ipblock_policy::words;
pub use ipblock_policy::{
    Action, AlertKind, AskedMode, DefaultVerdict, MalformedPolicy, Mode, SourceKind, SourceText,
    Verdict, action::verdict, address::Conversion, explain::Reason, mode,
};

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes as the XDP hook saw them, link-layer header included.
    pub bytes: u64,
}

/// Disjoint totals: every packet is in exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Passed, neither warned about nor allowed.
    pub passed: Count,
    /// Dropped.
    pub dropped: Count,
    /// Passed with a warn.
    pub warned: Count,
    /// Passed because of an allow list.
    pub allowed: Count,
    /// Not IP.
    pub non_ip: Count,
    /// Not parseable up to the source address.
    pub malformed: Count,
}

impl Totals {
    /// Each total with the name of its field.
    #[must_use]
    pub const fn each(&self) -> [(&'static str, Count); 6] {
        [
            ("passed", self.passed),
            ("dropped", self.dropped),
            ("warned", self.warned),
            ("allowed", self.allowed),
            ("non_ip", self.non_ip),
            ("malformed", self.malformed),
        ]
    }
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Deployed revision; 0 before the first deploy.
    pub revision: u64,
    /// Number of staged edits.
    pub staged: u64,
    /// Until when the deployed revision must be confirmed.
    pub confirm_deadline: Option<Timestamp>,
    /// Every zone.
    pub zones: Vec<ZoneStatus>,
    /// How many bans hold.
    #[serde(default)]
    pub bans: u64,
    /// What became of packets that hit rules that alert, and how alerts are delivered.
    #[serde(default)]
    pub alerts: AlertStatus,
    /// What needs an operator's eye, in words.
    pub problems: Vec<String>,
    /// SHA-256 of the BPF object, in hexadecimal.
    pub object_sha256: String,
    /// The bpffs under which the daemon pins.
    #[serde(default)]
    pub bpffs: String,
}

/// One zone in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its name.
    pub name: String,
    /// What happens to an address that nothing matches.
    pub default: DefaultVerdict,
    /// The generation in force.
    pub generation: u64,
    /// Its interfaces.
    pub interfaces: Vec<InterfaceStatus>,
    /// Kernel entries.
    pub entries: Entries,
    /// Totals of this zone.
    pub totals: Totals,
}

/// One interface in [`Status`], and the answer to an attach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// The mode that the kernel reports, or the mode asked for while it is not attached.
    #[serde(with = "mode::asked")]
    pub mode: AskedMode,
    /// Whether the filter is on it.
    pub state: InterfaceState,
    /// What stands in the way, when something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether the filter is on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceState {
    /// Packets are judged.
    Attached,
    /// There is no such interface now; it is attached when it appears.
    Absent,
    /// It exists and could not be attached; `detail` says why.
    Failed,
}

/// Entries in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// IPv4 prefixes.
    pub ipv4: u64,
    /// IPv6 prefixes.
    pub ipv6: u64,
    /// How many both together may be.
    pub capacity: u64,
}

/// `POST /v1/interfaces`; answered with [`InterfaceStatus`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// Interface name.
    pub interface: String,
    /// Mode asked for.
    #[serde(default, with = "mode::asked")]
    pub mode: AskedMode,
    /// Zone name; when absent, the zone that it is in, and `default` for another interface.
    #[serde(default)]
    pub zone: Option<String>,
    /// Attaches also where the zone drops an address that must not be cut off.
    #[serde(default)]
    pub force: bool,
}

/// Query of `DELETE /v1/staged`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscardQuery {
    /// Only where exactly this many edits are staged, all of them by the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<u64>,
}

/// Query of `DELETE /v1/interfaces/{name}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachQuery {
    /// Only devices that were attached by this name and have another one, or are in another network
    /// namespace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
}

/// `GET /v1/zones`: one element of the array. `L` is a list of prefixes and `@lists`: the daemon has one
/// that makes its texts while they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneInfo<L = Vec<String>> {
    /// Its name.
    pub name: String,
    /// Default with staged edits applied.
    pub default: DefaultVerdict,
    /// Malformed policy with staged edits applied.
    pub malformed: MalformedPolicy,
    /// The zone's own allow list, with staged edits applied.
    pub allow: L,
    /// Interfaces assigned to it.
    pub interfaces: Vec<String>,
    /// How the staged settings differ from the deployed ones.
    pub state: EntryState,
}

words! {
    /// How something staged differs from what is deployed.
    #[derive(PartialOrd, Ord)]
    pub enum EntryState {
        /// As deployed.
        Deployed = "deployed",
        /// Staged, not deployed.
        Added = "added",
        /// Deployed otherwise.
        Changed = "changed",
        /// Deployed, and staged to go.
        Removed = "removed",
    }
}

/// `GET /v1/rules`: one element of the array; `GET /v1/rules/{name}`.
///
/// The staged form of the rule, or the deployed one where it is staged to go. `L` as in [`ZoneInfo`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo<L = Vec<String>> {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub action: Action,
    /// Whether it matches at all.
    pub enabled: bool,
    /// Prefixes and `@lists`.
    #[serde(rename = "match")]
    pub matches: L,
    /// Elements of `match` that were left out, which a request has to allow.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_match: u64,
    /// Prefixes and `@lists` that it spares.
    pub except: L,
    /// As `more_match`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_except: u64,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Free text.
    pub note: String,
    /// Whether hits of a block rule are alerted.
    pub alert: bool,
    /// Zones that it holds in; empty: all.
    pub zones: Vec<String>,
    /// Kernel entries, over all zones, whose class it matches; 0 while it is not deployed.
    pub entries: u64,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes that matched.
    pub bytes: u64,
    /// Packets that an exception spared.
    pub excepted: u64,
    /// When a packet last matched.
    pub last_hit: Option<Timestamp>,
    /// How it differs from what is deployed.
    pub state: EntryState,
}

/// What `GET /v1/rules` and `GET /v1/rules/{name}` are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesQuery {
    /// How many elements of `match`, and of `except`, an answer lists of a rule; none: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `GET /v1/rules/{name}/toml`: the staged form of a rule, as `$EDITOR` gets it. `T` is a text: the daemon
/// has one that is made while it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText<T = String> {
    /// The keys of `[[rule]]` without the header.
    pub toml: T,
}

/// `GET /v1/allow`: one element of the array, with staged edits applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowInfo {
    /// Prefix or `@list`.
    pub address: String,
    /// The zone; null: all of them.
    pub zone: Option<String>,
    /// Free text.
    pub note: String,
    /// How it differs from what is deployed.
    pub state: EntryState,
}

/// `GET /v1/counters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Deployed rules, in the ruleset's order.
    pub rules: Vec<RuleCount>,
    /// Packets that a ban dropped.
    pub bans: Count,
    /// Packets that an allow list passed.
    pub allow: Count,
    /// Over all zones.
    pub totals: Totals,
}

/// One rule in [`Counters`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub action: Action,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes that matched.
    pub bytes: u64,
    /// Packets that an exception spared.
    pub excepted: u64,
    /// When a packet last matched.
    pub last_hit: Option<Timestamp>,
}

/// `GET /v1/ruleset?which=deployed|staged`. `T` as in [`RuleText`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetText<T = String> {
    /// The revision that it is, or started from.
    pub revision: u64,
    /// TOML.
    pub ruleset: T,
}

/// `GET /v1/ruleset` query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetQuery {
    /// Which one.
    #[serde(default)]
    pub which: Which,
}

/// Which ruleset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The one in the kernel.
    #[default]
    Deployed,
    /// The one being edited.
    Staged,
}
