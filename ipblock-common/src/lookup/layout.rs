//! What a generation's tables look like: sizes and constants, and the list of the tables themselves.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Sizes and constants of a generation's tables.
///
/// The program has it as its constant `LAYOUT`, which the kernel's verifier reads: code for tables that
/// a zone lacks is removed. User space pins it as the map `layout` (array, one element), for a daemon
/// that opens the generation later. All zero, as in the object: the tries decide everything.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Layout {
    /// Drawn for each generation, so that no attacker can choose addresses that fall into one bucket.
    pub seed: u64,
    /// Buckets that IPv4 hosts fall into; 0 when there are no hosts.
    pub buckets_v4: u32,
    /// Buckets that IPv6 hosts fall into; 0 when there are no hosts.
    pub buckets_v6: u32,
    /// Places that doors fall into; 0 when there are no IPv6 nets longer than /32.
    pub doors: u32,
    /// See [`super::filter::Place::of_hash`].
    pub filter_v4_shift: u32,
    /// Last bits of an IPv4 address that the filter's keys of nets lack: 8 when they are /24s.
    pub filter_v4_drop: u32,
    /// See [`super::filter::Place::of_hash`].
    pub filter_v6_shift: u32,
    /// 1 when tables stand in front of the tries at all.
    pub has_tables: u8,
    /// 1 when there are IPv4 nets.
    pub has_nets_v4: u8,
    /// 1 when there are IPv6 nets up to /32.
    pub has_short_v6: u8,
    /// 1 when the IPv6 filter knows the nets up to /32: not when they would fill it.
    pub filters_short_v6: u8,
    /// Always 0.
    pub padding: [u8; 4],
}

impl Layout {
    /// No tables.
    pub const NONE: Self = Self {
        seed: 0,
        buckets_v4: 0,
        buckets_v6: 0,
        doors: 0,
        filter_v4_shift: 0,
        filter_v4_drop: 0,
        filter_v6_shift: 0,
        has_tables: 0,
        has_nets_v4: 0,
        has_short_v6: 0,
        filters_short_v6: 0,
        padding: [0; 4],
    };
}

/// Hands the list of a generation's tables to a macro: documentation, field, map, element. Each is an
/// array that is filled before its program is put on a link, and read only from then on.
#[macro_export]
macro_rules! for_each_table {
    ($then:ident) => {
        $then! {
            /// Words of the IPv4 filter. Its keys are hosts, and what nets touch.
            filter_v4: FILTER_V4 of u64,
            /// Words of the IPv6 filter. Its keys are hosts, and the /32s that nets touch.
            filter_v6: FILTER_V6 of u64,
            /// Buckets of IPv4 hosts, by a hash of the address.
            hosts_v4: HOSTS_V4 of $crate::lookup::hosts::HostsV4,
            /// Buckets of IPv6 hosts, by a hash of the address.
            hosts_v6: HOSTS_V6 of $crate::lookup::hosts::HostsV6,
            /// What the first 18 bits of an address lead to: two roots each, first those of IPv4, then
            /// those of IPv6.
            net_roots: NET_ROOTS of u64,
            /// Lines of the nets of both families.
            net_lines: NET_LINES of $crate::lookup::nets::NetLine,
            /// Lines for the second 32 bits of an IPv6 address, by a hash of the first.
            net_doors: NET_DOORS of $crate::lookup::nets::NetLine,
        }
    };
}
