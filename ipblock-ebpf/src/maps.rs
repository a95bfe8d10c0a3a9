//! The maps and constants of one generation. docs/datapath.md holds the same table.
//!
//! User space creates every map with the size that its content needs, fills it, pins it under the
//! generation's directory and only then puts the program on a link. Only the per-CPU counters are
//! written afterwards, and only by the kernel. The ban tables belong to no generation: every program
//! uses the same two, and user space writes them at any time.

use aya_ebpf::{
    Global,
    macros::map,
    maps::{Array, LpmTrie, PerCpuArray},
};
use ipblock_common::{BanDeadline, Class, ClassCount, ClassId, Totals, limits::BAN_TABLE_ENTRIES};

/// IPv4 prefix (network byte order, host bits zero) to class id.
///
/// A miss means that nothing matches: the zone's default decides.
#[map]
pub(crate) static IPV4: LpmTrie<[u8; 4], ClassId> = LpmTrie::with_max_entries(1, 0);

/// IPv6 prefix (network byte order, host bits zero) to class id.
///
/// A miss means that nothing matches: the zone's default decides.
#[map]
pub(crate) static IPV6: LpmTrie<[u8; 16], ClassId> = LpmTrie::with_max_entries(1, 0);

/// Banned IPv4 prefix (network byte order, host bits zero) to when all bans that cover it have ended.
///
/// A miss means that no ban covers the source.
#[map]
pub(crate) static BANS_IPV4: LpmTrie<[u8; 4], BanDeadline> =
    LpmTrie::with_max_entries(BAN_TABLE_ENTRIES, 0);

/// Banned IPv6 prefix (network byte order, host bits zero) to when all bans that cover it have ended.
///
/// A miss means that no ban covers the source.
#[map]
pub(crate) static BANS_IPV6: LpmTrie<[u8; 16], BanDeadline> =
    LpmTrie::with_max_entries(BAN_TABLE_ENTRIES, 0);

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

/// 1 when the zone's default is `drop`.
#[unsafe(no_mangle)]
static DEFAULT_DROP: Global<u8> = Global::new(0);

/// 1 when the zone drops malformed packets.
#[unsafe(no_mangle)]
static MALFORMED_DROP: Global<u8> = Global::new(0);

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
