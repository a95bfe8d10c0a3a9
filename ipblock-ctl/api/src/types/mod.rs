//! Bodies of requests and answers of `/v1`.
//!
//! Times are RFC 3339. Counts are numbers; address counts are decimal strings, because they exceed
//! 2^64. `--json` prints these types unchanged, so a renamed field breaks scripts.

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
    BanChange, BanFilter, BanInfo, BanRequest, Banned, BannedPrefix, BansQuery, OriginCount,
    RemovedBan, StillBanned, UnbanRequest, Unbanned,
};
pub use changes::{
    AddressChange, Applied, ApplyRequest, BeforeAfter, ConflictInfo, DeployRequest, Deployed, Diff,
    DiffQuery, EditRequest, EntryChange, Restored, RestoredBans, RuleChange, RuleChangeKind,
    Staged, StagedEditInfo,
};
pub use check::{
    BanEnd, Check, CheckBan, CheckEntry, CheckRequest, CheckRule, Past, PastBan, RuleOrigin,
};
pub use history::{
    AuditInfo, AuditQuery, Confirmed, HistoryEntry, RestoreQuery, RevisionEvent, RevisionInfo,
    RevisionState, RollbackRequest,
};
pub use lists::{
    ExceptionInfo, ListContent, ListEntry, ListInfo, ListQuery, ReloadRequest, Reloaded,
};

use ipblock_policy::words;
pub use ipblock_policy::{
    Action, AlertKind, AskedMode, DefaultVerdict, MalformedPolicy, Mode, Origin, SourceKind,
    SourceText, Verdict, action::verdict, address::Conversion, explain::Reason, mode,
};

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes at the XDP hook, including the link-layer header.
    pub bytes: u64,
}

/// Disjoint totals: every packet is in exactly one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Passed without a warning, and not on an allow list.
    pub passed: Count,
    /// Dropped.
    pub dropped: Count,
    /// Passed with a warning.
    pub warned: Count,
    /// Passed because of an allow list.
    pub allowed: Count,
    /// Not IP.
    pub non_ip: Count,
    /// The source address could not be read.
    pub malformed: Count,
}

impl Totals {
    /// Returns each total with the name of its field.
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
    /// The deadline of the confirmation of the deployed revision.
    pub confirm_deadline: Option<Timestamp>,
    /// Every zone.
    pub zones: Vec<ZoneStatus>,
    /// Number of bans in force.
    #[serde(default)]
    pub bans: u64,
    /// What happened to packets that hit alerting rules, and the delivery of alerts.
    #[serde(default)]
    pub alerts: AlertStatus,
    /// Problems that need an operator's attention, in words.
    pub problems: Vec<String>,
    /// SHA-256 of the BPF object, in hexadecimal.
    pub object_sha256: String,
    /// The bpffs of the daemon's pins.
    #[serde(default)]
    pub bpffs: String,
    /// The directory of list files.
    #[serde(default)]
    pub lists_dir: String,
}

/// One zone in [`Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its name.
    pub name: String,
    /// The verdict on an address that no rule matches.
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
    /// The mode that the kernel reports, or the requested mode while it is not attached.
    #[serde(with = "mode::asked")]
    pub mode: AskedMode,
    /// Whether the filter is on it.
    pub state: InterfaceState,
    /// The problem, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether the filter is on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceState {
    /// Packets are judged.
    Attached,
    /// The interface does not exist; it is attached when it appears.
    Absent,
    /// It exists but could not be attached; `detail` says why.
    Failed,
}

/// Entries in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// IPv4 prefixes.
    pub ipv4: u64,
    /// IPv6 prefixes.
    pub ipv6: u64,
    /// Maximum of both together.
    pub capacity: u64,
}

/// `POST /v1/interfaces`; answered with [`InterfaceStatus`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachRequest {
    /// Interface name.
    pub interface: String,
    /// The requested mode.
    #[serde(default, with = "mode::asked")]
    pub mode: AskedMode,
    /// Zone name. If absent: the present zone of an attached interface, else `default`.
    #[serde(default)]
    pub zone: Option<String>,
    /// Attaches even if the zone drops an address that must stay reachable.
    #[serde(default)]
    pub force: bool,
}

/// Query of `DELETE /v1/staged`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiscardQuery {
    /// Only what the request staged whose answer had this number, if nothing was staged since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<u64>,
    /// Only the edits of these rules, with commas between their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
}

/// Query of `DELETE /v1/interfaces/{name}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachQuery {
    /// Only devices that were attached with this name and now have another name or network
    /// namespace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moved: bool,
}

/// `GET /v1/zones`: one element of the array. `L` is a list of prefixes and `@lists`; the daemon
/// uses a type whose texts are computed while they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneInfo<L = Vec<String>> {
    /// Its name.
    pub name: String,
    /// The default, including staged edits.
    pub default: DefaultVerdict,
    /// The policy for malformed packets, including staged edits.
    pub malformed: MalformedPolicy,
    /// The zone's own allow list, including staged edits.
    pub allow: L,
    /// Interfaces assigned to it.
    pub interfaces: Vec<String>,
    /// How the staged settings differ from the deployed ones.
    pub state: EntryState,
}

words! {
    /// How a staged object differs from the deployed one.
    #[derive(PartialOrd, Ord)]
    pub enum EntryState {
        /// Equal to the deployed one.
        Deployed = "deployed",
        /// Staged, but not deployed.
        Added = "added",
        /// Staged and deployed in different forms.
        Changed = "changed",
        /// Deployed, with its removal staged.
        Removed = "removed",
    }
}

/// `GET /v1/rules`: one element of the array; `GET /v1/rules/{name}`.
///
/// The staged form of the rule, or the deployed one if its removal is staged. `L` as in
/// [`ZoneInfo`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo<L = Vec<String>> {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: Action,
    /// Whether it can match.
    pub enabled: bool,
    /// Prefixes and `@lists`.
    #[serde(rename = "match")]
    pub matches: L,
    /// Number of omitted elements of `match`; a request must allow the omission.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_match: u64,
    /// The exceptions: prefixes and `@lists`.
    pub except: L,
    /// As `more_match`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_except: u64,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// Free text.
    pub note: String,
    /// Whether hits of a block rule alert.
    pub alert: bool,
    /// Zones that it applies to; empty means all.
    pub zones: Vec<String>,
    /// Kernel entries, over all zones, whose class it matches; 0 until it is deployed.
    pub entries: u64,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes that matched.
    pub bytes: u64,
    /// Packets that an exception exempted.
    pub excepted: u64,
    /// When a packet last matched.
    pub last_hit: Option<Timestamp>,
    /// How it differs from the deployed ruleset.
    pub state: EntryState,
}

/// Query of `GET /v1/rules` and `GET /v1/rules/{name}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesQuery {
    /// Maximum number of elements of `match`, and of `except`, per rule in the answer; absent means
    /// all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// `GET /v1/rules/{name}/toml`: the staged form of a rule, for `$EDITOR`. `T` is a text; the daemon
/// uses a type that is computed while it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleText<T = String> {
    /// The keys of `[[rule]]` without the header.
    pub toml: T,
}

/// `GET /v1/allow`: one element of the array, including staged edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowInfo {
    /// Prefix or `@list`.
    pub address: String,
    /// The zone; null means all.
    pub zone: Option<String>,
    /// Free text.
    pub note: String,
    /// How it differs from the deployed ruleset.
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
    /// Totals over all zones.
    pub totals: Totals,
}

/// One rule in [`Counters`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Its name.
    pub name: String,
    /// Its action.
    pub action: Action,
    /// Packets that matched.
    pub packets: u64,
    /// Bytes that matched.
    pub bytes: u64,
    /// Packets that an exception exempted.
    pub excepted: u64,
    /// When a packet last matched.
    pub last_hit: Option<Timestamp>,
}

/// `GET /v1/ruleset?which=deployed|staged`. `T` as in [`RuleText`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetText<T = String> {
    /// Its revision, or the revision that it is based on.
    pub revision: u64,
    /// TOML.
    pub ruleset: T,
}

/// `GET /v1/ruleset` query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesetQuery {
    /// The requested one.
    #[serde(default)]
    pub which: Which,
}

/// A ruleset to request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The deployed one.
    #[default]
    Deployed,
    /// The staged one.
    Staged,
}
