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

/// Counters of bans at most. Bans beyond that share one.
pub const BAN_SLOTS: u32 = 1 << 18;

/// Memory of the counters of bans in bytes, over all CPUs that the machine may have.
const BAN_SLOT_BYTES: u32 = 32 << 20;

/// Returns the number of counters of bans on a machine that may have this number of CPUs: a multiple
/// of [`SLOTS_PER_BLOCK`](crate::ban::SLOTS_PER_BLOCK).
#[must_use]
pub const fn ban_slots(cpus: u32) -> u32 {
    const BYTES: u32 = 16;
    const { assert!(size_of::<crate::ban::BanHit>() == BYTES as usize) }
    let cpus = if cpus == 0 { 1 } else { cpus };
    let slots = BAN_SLOT_BYTES / BYTES / cpus;
    let slots = if slots < BAN_SLOTS { slots } else { BAN_SLOTS };
    let blocks = slots / crate::ban::SLOTS_PER_BLOCK;
    (if blocks == 0 { 1 } else { blocks }) * crate::ban::SLOTS_PER_BLOCK
}

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
