//! The maps and constants of one generation. docs/datapath.md has the same table.
//!
//! User space creates every map in the size that its content needs, fills it and pins it under the
//! generation's directory. Only then does it attach the program. After that only the per-CPU
//! counters change, and only the kernel writes to them.
//!
//! The maps of bans, alerts and hits do not belong to a generation: all programs share them. User
//! space writes bans at any time and the alert settings at its start; it writes to no other shared
//! map.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
};
use ipblock_common::{
    AlertCounts, AlertRate, AlertSettings, AlertWindow, BanEntry, BanGate, BanHits, Class,
    ClassCount, ClassId, HitBudget, HitCount, SourceKey, Totals, ban, limits,
};

/// IPv4 prefix (network byte order, host bits zero) to class id. Read if the zone has no tables.
///
/// A miss means that no rule matches: the zone's default decides.
#[map]
pub(crate) static IPV4: LpmTrie<[u8; 4], ClassId> = LpmTrie::with_max_entries(1, 0);

/// IPv6 prefix (network byte order, host bits zero) to class id. Read if the zone has no tables,
/// and for a source in a /64 that contains longer nets.
///
/// A miss means that no rule matches: the zone's default decides.
#[map]
pub(crate) static IPV6: LpmTrie<[u8; 16], ClassId> = LpmTrie::with_max_entries(1, 0);

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        $(
            $(#[$doc])*
            ///
            /// Filled by the daemon before the program is attached, in the size that the zone
            /// needs. A miss means that no rule matches (cannot happen).
            #[map]
            pub(crate) static $map: Array<$element> = Array::with_max_entries(1, BPF_F_MMAPABLE);
        )*
    };
}
ipblock_common::for_each_table!(tables);

/// Banned IPv4 prefix (network byte order, host bits zero) to the end of the last ban that covers
/// it, and the slot that counts.
///
/// A miss means that no ban covers the source.
#[map]
pub(crate) static BANS_IPV4: LpmTrie<[u8; 4], BanEntry> =
    LpmTrie::with_max_entries(limits::BAN_TABLE_ENTRIES, 0);

/// Banned IPv6 prefix (network byte order, host bits zero) to the end of the last ban that covers
/// it, and the slot that counts.
///
/// A miss means that no ban covers the source.
#[map]
pub(crate) static BANS_IPV6: LpmTrie<[u8; 16], BanEntry> =
    LpmTrie::with_max_entries(limits::BAN_TABLE_ENTRIES, 0);

/// Slots of 16 bans each: this CPU's packets of each ban. Slot 0 counts for all bans that have no
/// slot of their own.
///
/// A miss leaves the packet uncounted and the verdict as it is.
#[map]
pub(crate) static BAN_HITS: PerCpuArray<BanHits> = PerCpuArray::with_max_entries(1, 0);

/// One element: which ban tables and filters have to be read at all.
///
/// A miss means that no ban covers the source (cannot happen).
#[map]
pub(crate) static BAN_GATE: Array<BanGate> = Array::with_max_entries(1, 0);

/// Filter bits of the IPv4 bans.
///
/// A miss means that no ban covers the source (cannot happen).
#[map]
pub(crate) static BAN_FILTER_V4: Array<u64> =
    Array::with_max_entries(ban::FILTER_WORDS, BPF_F_MMAPABLE);

/// Filter bits of the IPv6 bans.
///
/// A miss means that no ban covers the source (cannot happen).
#[map]
pub(crate) static BAN_FILTER_V6: Array<u64> =
    Array::with_max_entries(ban::FILTER_WORDS, BPF_F_MMAPABLE);

/// One element: the end of `panic-off` in nanoseconds of the boot clock, 0 if it is not in force.
/// Until then no packet is dropped.
///
/// A miss means that `panic-off` is not in force (cannot happen).
#[map]
pub(crate) static PANIC_OFF: Array<u64> = Array::with_max_entries(1, 0);

/// Class id to class. Id 0 is never used.
///
/// The compiler emits only ids that exist. On a miss the zone's default would decide.
#[map]
pub(crate) static CLASSES: Array<Class> = Array::with_max_entries(1, 0);

/// Class id to this CPU's count for it. Element 0 ([`NO_CLASS`](ipblock_common::class::NO_CLASS))
/// counts what bans dropped.
///
/// A miss leaves the packet uncounted and the verdict as it is.
#[map]
pub(crate) static CLASS_COUNTS: PerCpuArray<ClassCount> = PerCpuArray::with_max_entries(1, 0);

/// One element: this CPU's count per outcome.
///
/// A miss leaves the packet uncounted and the verdict as it is.
#[map]
pub(crate) static TOTALS: PerCpuArray<Totals> = PerCpuArray::with_max_entries(1, 0);

/// Source to its alert window. A new source evicts the one whose last hit is the oldest.
///
/// On a miss the packet is the first of its source. If no entry can be added, it counts as lost.
#[map]
pub(crate) static ALERT_WINDOWS: LruHashMap<SourceKey, AlertWindow> =
    LruHashMap::with_max_entries(limits::ALERT_WINDOWS, 0);

/// Announced packets, read by the daemon. If the buffer is full, the packet counts as lost.
#[map]
pub(crate) static ALERT_EVENTS: RingBuf = RingBuf::with_byte_size(limits::ALERT_EVENT_BYTES, 0);

/// One element: counts of the packets that hit an alerting rule, per kind of `Seen`.
///
/// A miss leaves the packet unannounced and the verdict as it is.
#[map]
pub(crate) static ALERT_COUNTS: PerCpuArray<AlertCounts> = PerCpuArray::with_max_entries(1, 0);

/// One element: window and rate. Zero until the daemon writes it: no packet is announced.
#[map]
pub(crate) static ALERT_SETTINGS: Array<AlertSettings> = Array::with_max_entries(1, 0);

/// One element: the used part of the rate.
#[map]
pub(crate) static ALERT_RATE: Array<AlertRate> = Array::with_max_entries(1, 0);

/// Source to its hits, read by `top`. A new source evicts the one whose last hit is the oldest.
///
/// If no entry can be added, the hit is not counted. In a flood, a sampled hit adds no entry.
#[map]
pub(crate) static HITS: LruHashMap<SourceKey, HitCount> =
    LruHashMap::with_max_entries(limits::HIT_SOURCES, 0);

/// One element: hits that this CPU has seen in this tick.
#[map]
pub(crate) static HIT_BUDGET: PerCpuArray<HitBudget> = PerCpuArray::with_max_entries(1, 0);

/// The number of the generation.
#[unsafe(no_mangle)]
static GENERATION: Global<u64> = Global::new(0);

/// 1 when the zone's default is `drop`.
#[unsafe(no_mangle)]
static DEFAULT_DROP: Global<u8> = Global::new(0);

/// 1 when the zone drops malformed packets.
#[unsafe(no_mangle)]
static MALFORMED_DROP: Global<u8> = Global::new(0);

/// The number of the generation that this program belongs to.
#[inline(always)]
pub(crate) fn generation() -> u64 {
    GENERATION.load()
}

/// Whether the zone drops packets that no rule matches.
#[inline(always)]
pub(crate) fn default_is_drop() -> bool {
    DEFAULT_DROP.load() != 0
}

/// Whether the zone drops packets that it cannot parse.
#[inline(always)]
pub(crate) fn malformed_is_drop() -> bool {
    MALFORMED_DROP.load() != 0
}
