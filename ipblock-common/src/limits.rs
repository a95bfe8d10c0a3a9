//! Bounds that both sides rely on.

/// Entries that one zone's tries may hold, both families together, unless configured.
pub const DEFAULT_CAPACITY: u32 = 4_000_000;

/// Classes that one generation may have, [`crate::class::NO_CLASS`] included.
pub const MAX_CLASSES: u32 = 1 << 20;

/// Classes that may follow one another by expiry. The kernel walks at most so many; the compiler
/// refuses longer chains.
pub const MAX_EXPIRY_CHAIN: u32 = 32;

/// Bans that there may be, both families together. Each family's table has room for all of them.
pub const MAX_BANS: u32 = 1_000_000;

/// Entries of each family's ban table: one more than is ever used, because before Linux 6.13 a full
/// trie refuses to replace an entry (`kernel/bpf/lpm_trie.c`).
pub const BAN_TABLE_ENTRIES: u32 = MAX_BANS + 1;

/// VLAN tags that are skipped; a packet with more is dropped.
pub const MAX_VLAN_TAGS: usize = 8;

/// Sources whose alert windows the kernel keeps; the one that hit longest ago goes first.
pub const ALERT_WINDOWS: u32 = 1 << 16;

/// Bytes of announced packets that wait for the daemon: more than 10,000 of them.
pub const ALERT_EVENT_BYTES: u32 = 1 << 20;

/// Sources whose hits are counted one by one; the one that hit longest ago goes first.
pub const HIT_SOURCES: u32 = 1 << 16;

/// Hits that one CPU counts exactly in one tick of the coarse clock (1 to 10 ms, by kernel).
pub const EXACT_HITS_PER_TICK: u64 = 64;

/// Sampling factor beyond [`EXACT_HITS_PER_TICK`]: every 64th hit of a known source counts as 64. A
/// power of two.
pub const HIT_SAMPLE: u64 = 64;
