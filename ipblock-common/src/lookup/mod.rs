//! What stands in front of the LPM tries: which class a source has, in a few loads from arrays.
//!
//! A bitmap says for most sources that nothing holds them. Hosts (full-length prefixes) stand in an
//! exact-match table of one cache line a bucket, nets in a multibit trie. All of it is written before
//! the program that reads it is put on a link, and never after. The kernel and user space run the
//! same code over their own [`Tables`], so that what is tested here is what judges packets.
//! docs/datapath.md tells each table's meaning, memory and cost.
#![expect(
    clippy::inline_always,
    reason = "in the kernel a call costs as much as what these do"
)]

pub mod filter;
pub mod hosts;
pub mod nets;

use self::{
    filter::FilterLine,
    hosts::{HostsV4, HostsV6, MAX_PROBES},
    nets::{NetNode, NumberLine},
};
use crate::{ClassId, class::NO_CLASS};

/// The tables of one generation. A read is `None` behind a table's end, which a table that was built
/// for these sizes is never asked for. In the kernel the sizes are constants: what is not there costs
/// nothing.
pub trait Tables {
    /// Drawn for each generation, so that nobody can choose addresses that fall into one bucket.
    fn seed(&self) -> u64;
    /// Buckets that IPv4 hosts fall into; 0 when there are no hosts.
    fn buckets_v4(&self) -> u32;
    /// Buckets that IPv6 hosts fall into; 0 when there are no hosts.
    fn buckets_v6(&self) -> u32;
    /// Whether there are IPv4 nets.
    fn has_nets_v4(&self) -> bool;
    /// Whether there are IPv6 nets.
    fn has_nets_v6(&self) -> bool;
    /// By how many bits the IPv4 filter is smaller than one with a bit for each /24.
    fn filter_v4_shift(&self) -> u32;
    /// Bits of the IPv6 filter, a power of two, less one.
    fn filter_v6_mask(&self) -> u32;
    /// Whether the IPv6 filter knows the nets: not when one is so wide that it would fill it.
    fn filters_nets_v6(&self) -> bool;
    /// Of the IPv4 filter: a bit for each /24 that an entry touches.
    fn filter_v4(&self, line: u32) -> Option<&FilterLine>;
    /// Of the IPv6 filter.
    fn filter_v6(&self, line: u32) -> Option<&FilterLine>;
    /// A bucket of IPv4 hosts.
    fn hosts_v4(&self, bucket: u32) -> Option<&HostsV4>;
    /// A bucket of IPv6 hosts.
    fn hosts_v6(&self, bucket: u32) -> Option<&HostsV6>;
    /// What the first 18 bits of an address lead to: 16 places of the roots of both families.
    fn net_roots(&self, line: u32) -> Option<&NumberLine>;
    /// A node of the nets.
    fn net_node(&self, node: u32) -> Option<&NetNode>;
    /// 16 classes of nets.
    fn net_leaves(&self, line: u32) -> Option<&NumberLine>;
    /// [`nets::walk`], which the kernel side calls rather than having it twice in one program.
    fn walk_nets(&self, place: u32, key: u64) -> ClassId;
}

/// The class of an IPv4 source, [`NO_CLASS`] when nothing holds it. `address` is a number, its first
/// octet on top.
#[inline(always)]
pub fn find_v4(tables: &impl Tables, address: u32) -> ClassId {
    let (has_hosts, has_nets) = (tables.buckets_v4() != 0, tables.has_nets_v4());
    if !has_hosts && !has_nets {
        return NO_CLASS;
    }
    let place = filter::place_v4(address, tables.filter_v4_shift());
    if !tables
        .filter_v4(place.line)
        .is_some_and(|line| line.has(place))
    {
        return NO_CLASS;
    }
    if has_hosts {
        let class = find_host_v4(tables, address);
        if class != NO_CLASS {
            return class;
        }
    }
    if !has_nets {
        return NO_CLASS;
    }
    let key = nets::key_v4(address);
    tables.walk_nets(nets::root_v4(key), key)
}

/// The class of an IPv6 source, [`NO_CLASS`] when nothing holds it, [`nets::ASK_TRIE`] when the IPv6
/// trie decides. `upper` and `lower` are the halves of the address as numbers, its first octet on top.
#[inline(always)]
pub fn find_v6(tables: &impl Tables, upper: u64, lower: u64) -> ClassId {
    let may_be = |hash: u32| {
        let place = filter::place_v6(hash, tables.filter_v6_mask());
        tables
            .filter_v6(place.line)
            .is_some_and(|line| line.has(place))
    };
    if tables.buckets_v6() != 0 {
        let hash = hosts::hash_v6(upper, lower, tables.seed());
        if may_be(filter::of_host_v6(hash)) {
            let class = find_host_v6(tables, upper, lower, hash);
            if class != NO_CLASS {
                return class;
            }
        }
    }
    if !tables.has_nets_v6() {
        return NO_CLASS;
    }
    if tables.filters_nets_v6() && !may_be(filter::of_net_v6(upper, tables.seed())) {
        return NO_CLASS;
    }
    tables.walk_nets(nets::root_v6(upper), upper)
}

#[inline(always)]
fn find_host_v4(tables: &impl Tables, address: u32) -> ClassId {
    let first = hosts::bucket_v4(address, tables.seed(), tables.buckets_v4());
    // Counted from 0, so that the verifier sees an end.
    for probe in 0..MAX_PROBES {
        let Some(hosts) = tables.hosts_v4(first + probe) else {
            break;
        };
        let class = hosts.find(address);
        if class != NO_CLASS || !hosts.is_full() {
            return class;
        }
    }
    NO_CLASS
}

#[inline(always)]
fn find_host_v6(tables: &impl Tables, upper: u64, lower: u64, hash: u64) -> ClassId {
    let first = hosts::bucket_v6(hash, tables.buckets_v6());
    // Counted from 0, so that the verifier sees an end.
    for probe in 0..MAX_PROBES {
        let Some(hosts) = tables.hosts_v6(first + probe) else {
            break;
        };
        let class = hosts.find(upper, lower);
        if class != NO_CLASS || !hosts.is_full() {
            return class;
        }
    }
    NO_CLASS
}
