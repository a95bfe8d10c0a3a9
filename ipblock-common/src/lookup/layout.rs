//! Sizes and constants of a generation's tables, and the list of these tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Sizes and constants of a generation's tables.
///
/// The program has it as the constant `LAYOUT`. The verifier reads it and removes code for tables
/// that a zone lacks. User space pins it as the map `layout` (array, one element), for a daemon
/// that opens the generation later. In the object it is all zero: the tries decide everything.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Layout {
    /// Random per generation, so that an attacker cannot choose addresses that share a bucket.
    pub seed: u64,
    /// Number of buckets for the hash of an IPv4 host; 0 if there are no hosts.
    pub buckets_v4: u32,
    /// Number of buckets for the hash of an IPv6 host; 0 if there are no hosts.
    pub buckets_v6: u32,
    /// Number of places for the hash of a door; 0 if there are no IPv6 nets longer than /32.
    pub doors: u32,
    /// See [`super::filter::Place::of_hash`].
    pub filter_v4_shift: u32,
    /// Low bits of an IPv4 address that the filter's keys of nets omit: 8 if they are /24s.
    pub filter_v4_drop: u32,
    /// See [`super::filter::Place::of_hash`].
    pub filter_v6_shift: u32,
    /// 1 if there are tables in front of the tries.
    pub has_tables: u8,
    /// 1 if there are IPv4 nets.
    pub has_nets_v4: u8,
    /// 1 if there are IPv6 nets up to /32.
    pub has_short_v6: u8,
    /// 1 if the IPv6 filter contains the nets up to /32. 0 if they would fill it.
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

/// Passes the list of a generation's tables to a macro: documentation, field, map, element. Each
/// table is an array. It is filled before its program is attached, and then only read.
#[macro_export]
macro_rules! for_each_table {
    ($then:ident) => {
        $then! {
            /// Words of the IPv4 filter. Its keys are hosts, and the prefixes that nets touch.
            filter_v4: FILTER_V4 of u64,
            /// Words of the IPv6 filter. Its keys are hosts, and the /32s that nets touch.
            filter_v6: FILTER_V6 of u64,
            /// Buckets of IPv4 hosts, by a hash of the address.
            hosts_v4: HOSTS_V4 of $crate::lookup::hosts::HostsV4,
            /// Buckets of IPv6 hosts, by a hash of the address.
            hosts_v6: HOSTS_V6 of $crate::lookup::hosts::HostsV6,
            /// The value for the first 18 bits of an address: two roots per element, first those of
            /// IPv4, then those of IPv6.
            net_roots: NET_ROOTS of u64,
            /// Lines of the nets of both families.
            net_lines: NET_LINES of $crate::lookup::nets::NetLine,
            /// Lines for the second 32 bits of an IPv6 address, by a hash of the first.
            net_doors: NET_DOORS of $crate::lookup::nets::NetLine,
        }
    };
}
