//! Names of the program, its maps and its constants in the BPF object.

/// The XDP program.
pub const PROGRAM: &str = "ipblock";

/// LPM trie, IPv4 prefix to class id: all entries if the zone has no tables, else none.
pub const IPV4: &str = "IPV4";
/// LPM trie, IPv6 prefix to class id: all entries if the zone has no tables, else those of nets
/// longer than /64.
pub const IPV6: &str = "IPV6";
/// LPM trie, banned IPv4 prefix to [`crate::BanEntry`]. Shared by all generations.
pub const BANS_IPV4: &str = "BANS_IPV4";
/// LPM trie, banned IPv6 prefix to [`crate::BanEntry`]. Shared by all generations.
pub const BANS_IPV6: &str = "BANS_IPV6";
/// Array of one [`crate::ban::BanGate`]. Shared by all generations.
pub const BAN_GATE: &str = "BAN_GATE";
/// Array of 64-bit words: the filter of the IPv4 bans. Shared by all generations.
pub const BAN_FILTER_V4: &str = "BAN_FILTER_V4";
/// Array of 64-bit words: the filter of the IPv6 bans. Shared by all generations.
pub const BAN_FILTER_V6: &str = "BAN_FILTER_V6";
/// Per-CPU array of [`crate::ban::BanHits`]: packets of bans. Shared by all generations.
pub const BAN_HITS: &str = "BAN_HITS";
/// Array of [`crate::ban::BanBase`], one for each slot of [`BAN_HITS`]. Only user space reads and
/// writes it. Shared by all generations.
pub const BAN_HIT_BASES: &str = "BAN_HIT_BASES";
/// Array of one `u64`: the end of `panic-off` in nanoseconds of `CLOCK_BOOTTIME`, 0 if it was not
/// called. Until then no packet is dropped. Shared by all generations, and the same in every ABI
/// version.
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
/// [`crate::lookup::layout::Layout`] constant.
pub const LAYOUT: &str = "LAYOUT";

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        $(
            $(#[$doc])*
            pub const $map: &str = stringify!($map);
        )*
        /// Every map that [`crate::for_each_table`] lists.
        pub const TABLES: &[&str] = &[$($map),*];
    };
}
crate::for_each_table!(tables);
