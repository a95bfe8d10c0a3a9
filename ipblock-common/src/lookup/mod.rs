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

use core::ops::ControlFlow::{self, Break, Continue};

use self::{
    filter::Place,
    hosts::{HostsV4, HostsV6, MAX_PROBES},
    nets::{MAX_DOOR_PROBES, NetLine},
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
    /// Places that doors fall into; 0 when there are no IPv6 nets longer than /32.
    fn doors(&self) -> u32;
    /// Whether there are IPv4 nets.
    fn has_nets_v4(&self) -> bool;
    /// Whether there are IPv6 nets up to /32.
    fn has_short_v6(&self) -> bool;
    /// See [`Place::of_hash`].
    fn filter_v4_shift(&self) -> u32;
    /// See [`Place::of_hash`].
    fn filter_v6_shift(&self) -> u32;
    /// So many last bits of an IPv4 address the filter's keys of nets are without: 8 when they are /24s.
    fn filter_v4_drop(&self) -> u32;
    /// Whether the IPv6 filter knows the nets up to /32: not when they would fill it.
    fn filters_short_v6(&self) -> bool;
    /// A word of the IPv4 filter. Its keys are hosts, and what nets touch.
    fn filter_v4(&self, word: u32) -> Option<&u64>;
    /// A word of the IPv6 filter. Its keys are hosts, and the /32s that nets touch.
    fn filter_v6(&self, word: u32) -> Option<&u64>;
    /// A bucket of IPv4 hosts.
    fn hosts_v4(&self, bucket: u32) -> Option<&HostsV4>;
    /// A bucket of IPv6 hosts.
    fn hosts_v6(&self, bucket: u32) -> Option<&HostsV6>;
    /// What the first 18 bits of an address lead to: two roots.
    fn net_roots(&self, pair: u32) -> Option<&u64>;
    /// A line of the nets.
    fn net_line(&self, line: u32) -> Option<&NetLine>;
    /// What the second 32 bits of an IPv6 address lead to, by a hash of the first.
    fn net_door(&self, door: u32) -> Option<&NetLine>;
    /// [`nets::descend`], which the kernel side calls rather than having it several times.
    fn descend(&self, value: u32, number: u32) -> ClassId;
}

/// The class of an IPv4 source, [`NO_CLASS`] when nothing holds it. `address` is a number, its first
/// octet on top.
#[inline(always)]
pub fn find_v4(tables: &impl Tables, address: u32) -> ClassId {
    let may_be = |hash| {
        let place = Place::of_hash(hash, tables.filter_v4_shift());
        place.is_set(tables.filter_v4(place.word))
    };
    if tables.buckets_v4() != 0 {
        let hash = hosts::hash_v4(address, tables.seed());
        if may_be(hash) {
            let class = find_host_v4(tables, address, hash);
            if class != NO_CLASS {
                return class;
            }
        }
    }
    let key = address >> (tables.filter_v4_drop() & 31);
    if !tables.has_nets_v4() || !may_be(nets::hash(key, tables.seed())) {
        return NO_CLASS;
    }
    nets::walk(tables, nets::root_v4(address), address)
}

/// The class of an IPv6 source, [`NO_CLASS`] when nothing holds it, [`nets::ASK_TRIE`] when the IPv6
/// trie decides. `upper` and `lower` are the halves of the address as numbers, its first octet on top.
#[inline(always)]
pub fn find_v6(tables: &impl Tables, upper: u64, lower: u64) -> ClassId {
    if tables.buckets_v6() != 0 {
        let hash = hosts::hash_v6(upper, lower, tables.seed());
        let place = Place::of_hash(hash, tables.filter_v6_shift());
        if place.is_set(tables.filter_v6(place.word)) {
            let class = find_host_v6(tables, upper, lower, hash);
            if class != NO_CLASS {
                return class;
            }
        }
    }
    find_net_v6(tables, upper)
}

#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves")]
fn find_net_v6(tables: &impl Tables, upper: u64) -> ClassId {
    let (has_doors, has_short) = (tables.doors() != 0, tables.has_short_v6());
    if !has_doors && !has_short {
        return NO_CLASS;
    }
    let (first, second) = ((upper >> 32) as u32, upper as u32);
    let hash = nets::hash(first, tables.seed());
    let place = Place::of_hash(hash, tables.filter_v6_shift());
    let word = tables.filter_v6(place.word);
    if has_doors
        && place.is_set(word)
        && let Some(value) = find_door(tables, hash, first, second)
    {
        return tables.descend(value, second);
    }
    let short = Place::of_other(hash, tables.filter_v6_shift());
    if !has_short || (tables.filters_short_v6() && !short.is_set(word)) {
        return NO_CLASS;
    }
    nets::walk(tables, nets::root_v6(first), first)
}

#[inline(always)]
fn find_host_v4(tables: &impl Tables, address: u32, hash: u64) -> ClassId {
    let first = hosts::bucket(hash, tables.buckets_v4());
    let found = probe::<MAX_PROBES, _, _>(first, |bucket| {
        let hosts = tables.hosts_v4(bucket)?;
        Some(go_on_if(hosts.is_full(), hosts.find(address)))
    });
    found.unwrap_or(NO_CLASS)
}

#[inline(always)]
fn find_host_v6(tables: &impl Tables, upper: u64, lower: u64, hash: u64) -> ClassId {
    let first = hosts::bucket(hash, tables.buckets_v6());
    let found = probe::<MAX_PROBES, _, _>(first, |bucket| {
        let hosts = tables.hosts_v6(bucket)?;
        Some(go_on_if(hosts.is_full(), hosts.find(upper, lower)))
    });
    found.unwrap_or(NO_CLASS)
}

/// A host that is not in a full bucket may be in the next.
#[inline(always)]
fn go_on_if(is_full: bool, class: ClassId) -> ControlFlow<ClassId> {
    if class == NO_CLASS && is_full {
        Continue(())
    } else {
        Break(class)
    }
}

/// What the door of a /32 leads to; `None` when it has none.
#[inline(always)]
fn find_door(tables: &impl Tables, hash: u64, first: u32, second: u32) -> Option<u32> {
    let place = hosts::bucket(hash, tables.doors());
    let found = probe::<MAX_DOOR_PROBES, _, _>(place, |door| {
        let door = tables.net_door(door)?;
        Some(if door.is_empty() {
            Break(None)
        } else if door.tag == first {
            Break(Some(door.value_at(second)))
        } else {
            Continue(())
        })
    });
    found.flatten()
}

/// Looks into one bucket after another.
#[inline(always)]
fn probe<const MOST: u32, R, F>(first: u32, look: F) -> Option<R>
where
    F: Fn(u32) -> Option<ControlFlow<R>>,
{
    // Counted from 0, so that the verifier sees an end.
    for probe in 0..MOST {
        if let Break(found) = look(first + probe)? {
            return Some(found);
        }
    }
    None
}
