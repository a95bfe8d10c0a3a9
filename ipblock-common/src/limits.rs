//! Limits that the kernel program and user space rely on.

/// Default maximum of entries in one zone's tries, both families together.
pub const DEFAULT_CAPACITY: u32 = 4_000_000;

/// Maximum of classes in one generation, including [`crate::class::NO_CLASS`].
pub const MAX_CLASSES: u32 = 1 << 20;

/// Maximum of classes that follow one another by expiry. The kernel walks at most this number; the
/// compiler refuses longer chains.
pub const MAX_EXPIRY_CHAIN: u32 = 32;

/// Maximum of bans, both families together. Each family's table has room for all of them.
pub const MAX_BANS: u32 = 1_000_000;

/// Entries of each family's ban table: one more than is ever used. Before Linux 6.13 a full trie
/// refuses to replace an entry (`kernel/bpf/lpm_trie.c`).
pub const BAN_TABLE_ENTRIES: u32 = MAX_BANS + 1;

/// VLAN tags that are skipped at most; a packet with more is dropped.
pub const MAX_VLAN_TAGS: usize = 8;

/// Sources with an alert window in the kernel. A new one evicts the one whose last hit is the
/// oldest.
pub const ALERT_WINDOWS: u32 = 1 << 16;

/// Size of the ring buffer of announced packets in bytes: room for more than 10,000 of them.
pub const ALERT_EVENT_BYTES: u32 = 1 << 20;

/// Sources with hits of their own in the kernel. A new one evicts the one whose last hit is the
/// oldest.
pub const HIT_SOURCES: u32 = 1 << 16;

/// Hits that one CPU counts exactly in one tick of the coarse clock (1 to 10 ms, by kernel).
pub const EXACT_HITS_PER_TICK: u64 = 64;

/// Sampling factor beyond [`EXACT_HITS_PER_TICK`]: every 64th hit of a known source counts as 64. A
/// power of two.
pub const HIT_SAMPLE: u64 = 64;
