//! The maps and constants of one generation. docs/datapath.md holds the same table.
//!
//! User space creates every map with the size that its content needs, fills it, pins it under the
//! generation's directory and only then puts the program on a link. Only the per-CPU counters are
//! written afterwards, and only by the kernel. The ban tables and the maps of alerts and hits belong to
//! no generation: every program uses the same ones. User space writes bans at any time, the settings
//! of alerts at its start, and nothing else of them.

use aya_ebpf::{
    Global,
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, LpmTrie, LruHashMap, PerCpuArray, RingBuf},
};
use ipblock_common::{
    AlertCounts, AlertRate, AlertSettings, AlertWindow, BanDeadline, BanGate, Class, ClassCount,
    ClassId, HitBudget, HitCount, SourceKey, Totals, ban, limits,
};

/// IPv4 prefix (network byte order, host bits zero) to class id. Asked when no tables stand in front.
///
/// A miss means that nothing matches: the zone's default decides.
#[map]
pub(crate) static IPV4: LpmTrie<[u8; 4], ClassId> = LpmTrie::with_max_entries(1, 0);

/// IPv6 prefix (network byte order, host bits zero) to class id. Asked when no tables stand in front,
/// and for what lies in a /64 with longer nets.
///
/// A miss means that nothing matches: the zone's default decides.
#[map]
pub(crate) static IPV6: LpmTrie<[u8; 16], ClassId> = LpmTrie::with_max_entries(1, 0);

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        $(
            $(#[$doc])*
            ///
            /// Filled by the daemon before the program is on a link, in the size that the zone needs. A
            /// miss means that nothing matches (cannot happen).
            #[map]
            pub(crate) static $map: Array<$element> = Array::with_max_entries(1, BPF_F_MMAPABLE);
        )*
    };
}
ipblock_common::for_each_table!(tables);

/// Banned IPv4 prefix (network byte order, host bits zero) to when all bans that cover it have ended.
///
/// A miss means that no ban covers the source.
#[map]
pub(crate) static BANS_IPV4: LpmTrie<[u8; 4], BanDeadline> =
    LpmTrie::with_max_entries(limits::BAN_TABLE_ENTRIES, 0);

/// Banned IPv6 prefix (network byte order, host bits zero) to when all bans that cover it have ended.
///
/// A miss means that no ban covers the source.
#[map]
pub(crate) static BANS_IPV6: LpmTrie<[u8; 16], BanDeadline> =
    LpmTrie::with_max_entries(limits::BAN_TABLE_ENTRIES, 0);

/// One element: what has to be asked about bans at all.
///
/// A miss means that no ban covers the source (cannot happen).
#[map]
pub(crate) static BAN_GATE: Array<BanGate> = Array::with_max_entries(1, 0);

/// What IPv4 bans touch.
///
/// A miss means that no ban covers the source (cannot happen).
#[map]
pub(crate) static BAN_FILTER_V4: Array<u64> =
    Array::with_max_entries(ban::FILTER_WORDS, BPF_F_MMAPABLE);

/// What IPv6 bans touch.
///
/// A miss means that no ban covers the source (cannot happen).
#[map]
pub(crate) static BAN_FILTER_V6: Array<u64> =
    Array::with_max_entries(ban::FILTER_WORDS, BPF_F_MMAPABLE);

/// One element: until when nothing is dropped, in nanoseconds of the boot clock; 0 for not at all.
///
/// A miss drops as ever (cannot happen).
#[map]
pub(crate) static PANIC_OFF: Array<u64> = Array::with_max_entries(1, 0);

/// Class id to class. Id 0 is never used.
///
/// The compiler emits only ids that exist; a miss would be judged by the zone's default.
#[map]
pub(crate) static CLASSES: Array<Class> = Array::with_max_entries(1, 0);

/// Class id to what this CPU counted for it; element 0, which is no class, holds what bans dropped.
///
/// A miss leaves the packet uncounted and the verdict as it is.
#[map]
pub(crate) static CLASS_COUNTS: PerCpuArray<ClassCount> = PerCpuArray::with_max_entries(1, 0);

/// One element: what this CPU counted per outcome.
///
/// A miss leaves the packet uncounted and the verdict as it is.
#[map]
pub(crate) static TOTALS: PerCpuArray<Totals> = PerCpuArray::with_max_entries(1, 0);

/// Source to its alert window. The source that hit longest ago makes room for a new one.
///
/// A miss makes the packet its source's first; when none can be added, the packet counts as lost.
#[map]
pub(crate) static ALERT_WINDOWS: LruHashMap<SourceKey, AlertWindow> =
    LruHashMap::with_max_entries(limits::ALERT_WINDOWS, 0);

/// Announced packets, read by the daemon. When it is full, a packet counts as lost.
#[map]
pub(crate) static ALERT_EVENTS: RingBuf = RingBuf::with_byte_size(limits::ALERT_EVENT_BYTES, 0);

/// One element: what became of the packets that hit a rule that alerts.
///
/// A miss leaves the packet unseen and the verdict as it is.
#[map]
pub(crate) static ALERT_COUNTS: PerCpuArray<AlertCounts> = PerCpuArray::with_max_entries(1, 0);

/// One element: window and rate. Zero, as before the daemon wrote them: nothing is announced.
#[map]
pub(crate) static ALERT_SETTINGS: Array<AlertSettings> = Array::with_max_entries(1, 0);

/// One element: what is used up of the rate.
#[map]
pub(crate) static ALERT_RATE: Array<AlertRate> = Array::with_max_entries(1, 0);

/// Source to what it did, read by `top`. The source that hit longest ago makes room for a new one.
///
/// When none can be added, the hit is left out; in a flood none is added for a hit of the sample.
#[map]
pub(crate) static HITS: LruHashMap<SourceKey, HitCount> =
    LruHashMap::with_max_entries(limits::HIT_SOURCES, 0);

/// One element: how many hits this CPU has seen in this tick.
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

/// Whether the zone drops what nothing matches.
#[inline(always)]
pub(crate) fn default_is_drop() -> bool {
    DEFAULT_DROP.load() != 0
}

/// Whether the zone drops what it cannot parse.
#[inline(always)]
pub(crate) fn malformed_is_drop() -> bool {
    MALFORMED_DROP.load() != 0
}
