//! Names of the program, its maps and its constants, as they stand in the BPF object.

/// The XDP program.
pub const PROGRAM: &str = "ipblock";

/// LPM trie, IPv4 prefix to class id: all entries when nothing stands in front, else none.
pub const IPV4: &str = "IPV4";
/// LPM trie, IPv6 prefix to class id: all entries when nothing stands in front, else those of nets
/// longer than /64.
pub const IPV6: &str = "IPV6";
/// Array of 64 bits each, what IPv4 entries touch.
pub const FILTER_V4: &str = "FILTER_V4";
/// Array of 64 bits each, what IPv6 entries touch.
pub const FILTER_V6: &str = "FILTER_V6";
/// Array of [`crate::lookup::hosts::HostsV4`].
pub const HOSTS_V4: &str = "HOSTS_V4";
/// Array of [`crate::lookup::hosts::HostsV6`].
pub const HOSTS_V6: &str = "HOSTS_V6";
/// Array of two roots each, first those of IPv4, then those of IPv6.
pub const NET_ROOTS: &str = "NET_ROOTS";
/// Array of [`crate::lookup::nets::NetLine`].
pub const NET_LINES: &str = "NET_LINES";
/// Array of [`crate::lookup::nets::NetLine`], by a hash of the first 32 bits of an IPv6 address.
pub const NET_DOORS: &str = "NET_DOORS";
/// LPM trie, banned IPv4 prefix to [`crate::BanDeadline`]. Shared by all generations.
pub const BANS_IPV4: &str = "BANS_IPV4";
/// LPM trie, banned IPv6 prefix to [`crate::BanDeadline`]. Shared by all generations.
pub const BANS_IPV6: &str = "BANS_IPV6";
/// Array of one [`crate::ban::BanGate`]. Shared by all generations.
pub const BAN_GATE: &str = "BAN_GATE";
/// Array of 64 bits each, what IPv4 bans touch. Shared by all generations.
pub const BAN_FILTER_V4: &str = "BAN_FILTER_V4";
/// Array of 64 bits each, what IPv6 bans touch. Shared by all generations.
pub const BAN_FILTER_V6: &str = "BAN_FILTER_V6";
/// Array of one `u64`: until when nothing is dropped, in nanoseconds of `CLOCK_BOOTTIME`; 0 when
/// `panic-off` was not called. Shared by all generations, and the same in every ABI version.
pub const PANIC_OFF: &str = "PANIC_OFF";
/// Array of [`crate::Class`].
pub const CLASSES: &str = "CLASSES";
/// Per-CPU array of [`crate::ClassCount`].
pub const CLASS_COUNTS: &str = "CLASS_COUNTS";
/// Per-CPU array of one [`crate::Totals`].
pub const TOTALS: &str = "TOTALS";
/// LRU hash, [`crate::SourceKey`] to [`crate::AlertWindow`]. Shared by all generations.
pub const ALERT_WINDOWS: &str = "ALERT_WINDOWS";
/// Ring buffer of [`crate::AlertEvent`]. Shared by all generations.
pub const ALERT_EVENTS: &str = "ALERT_EVENTS";
/// Per-CPU array of one [`crate::AlertCounts`]. Shared by all generations.
pub const ALERT_COUNTS: &str = "ALERT_COUNTS";
/// Array of one [`crate::AlertSettings`]. Shared by all generations.
pub const ALERT_SETTINGS: &str = "ALERT_SETTINGS";
/// Array of one [`crate::AlertRate`]. Shared by all generations.
pub const ALERT_RATE: &str = "ALERT_RATE";
/// LRU hash, [`crate::SourceKey`] to [`crate::HitCount`]. Shared by all generations.
pub const HITS: &str = "HITS";
/// Per-CPU array of one [`crate::HitBudget`]. Shared by all generations.
pub const HIT_BUDGET: &str = "HIT_BUDGET";

/// `u64` constant: the number of the generation.
pub const GENERATION: &str = "GENERATION";
/// `u8` constant: 1 when the zone's default is `drop`.
pub const DEFAULT_DROP: &str = "DEFAULT_DROP";
/// `u8` constant: 1 when the zone drops malformed packets.
pub const MALFORMED_DROP: &str = "MALFORMED_DROP";
/// `u8` constant: 1 when tables stand in front of the tries.
pub const HAS_TABLES: &str = "HAS_TABLES";
/// `u64` constant: see [`crate::lookup::Tables::seed`].
pub const SEED: &str = "SEED";
/// `u32` constant: see [`crate::lookup::Tables::buckets_v4`].
pub const BUCKETS_V4: &str = "BUCKETS_V4";
/// `u32` constant: see [`crate::lookup::Tables::buckets_v6`].
pub const BUCKETS_V6: &str = "BUCKETS_V6";
/// `u8` constant: 1 when there are IPv4 nets.
pub const HAS_NETS_V4: &str = "HAS_NETS_V4";
/// `u32` constant: see [`crate::lookup::Tables::doors`].
pub const DOORS: &str = "DOORS";
/// `u8` constant: 1 when there are IPv6 nets up to /32.
pub const HAS_SHORT_V6: &str = "HAS_SHORT_V6";
/// `u32` constant: see [`crate::lookup::Tables::filter_v4_shift`].
pub const FILTER_V4_SHIFT: &str = "FILTER_V4_SHIFT";
/// `u32` constant: see [`crate::lookup::Tables::filter_v6_shift`].
pub const FILTER_V6_SHIFT: &str = "FILTER_V6_SHIFT";
/// `u32` constant: see [`crate::lookup::Tables::filter_v4_drop`].
pub const FILTER_V4_DROP: &str = "FILTER_V4_DROP";
/// `u8` constant: see [`crate::lookup::Tables::filters_short_v6`].
pub const FILTERS_SHORT_V6: &str = "FILTERS_SHORT_V6";
