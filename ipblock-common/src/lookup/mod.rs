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
pub mod layout;
pub mod nets;

use core::ops::ControlFlow::{self, Break, Continue};

use self::{filter::Place, hosts::MAX_PROBES, layout::Layout, nets::MAX_DOOR_PROBES};
use crate::{ClassId, class::NO_CLASS, for_each_table};

macro_rules! declare {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        /// The tables of one generation. A read is `None` behind a table's end, which a table that was
        /// built for these sizes is never asked for. In the kernel the layout is constant: what is not
        /// there costs nothing.
        pub trait Tables {
            /// Sizes and constants.
            fn layout(&self) -> &Layout;
            $($(#[$doc])* fn $field(&self, index: u32) -> Option<&$element>;)*
            /// [`nets::descend`], which the kernel side calls rather than having it several times.
            fn descend(&self, value: u32, number: u32) -> ClassId;
        }
    };
}
for_each_table!(declare);

/// The class of an IPv4 source, [`NO_CLASS`] when nothing holds it. `address` is a number, its first
/// octet on top.
#[inline(always)]
pub fn find_v4(tables: &impl Tables, address: u32) -> ClassId {
    let may_be = |hash| {
        let place = Place::of_hash(hash, tables.layout().filter_v4_shift);
        place.is_set(tables.filter_v4(place.word))
    };
    if tables.layout().buckets_v4 != 0 {
        let hash = hosts::hash_v4(address, tables.layout().seed);
        if may_be(hash) {
            let class = find_host_v4(tables, address, hash);
            if class != NO_CLASS {
                return class;
            }
        }
    }
    let key = address >> (tables.layout().filter_v4_drop & 31);
    if tables.layout().has_nets_v4 == 0 || !may_be(nets::hash(key, tables.layout().seed)) {
        return NO_CLASS;
    }
    nets::walk(tables, nets::root_v4(address), address)
}

/// The class of an IPv6 source, [`NO_CLASS`] when nothing holds it, [`nets::ASK_TRIE`] when the IPv6
/// trie decides. `upper` and `lower` are the halves of the address as numbers, its first octet on top.
#[inline(always)]
pub fn find_v6(tables: &impl Tables, upper: u64, lower: u64) -> ClassId {
    if tables.layout().buckets_v6 != 0 {
        let hash = hosts::hash_v6(upper, lower, tables.layout().seed);
        let place = Place::of_hash(hash, tables.layout().filter_v6_shift);
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
    let (has_doors, has_short) = (
        tables.layout().doors != 0,
        tables.layout().has_short_v6 != 0,
    );
    if !has_doors && !has_short {
        return NO_CLASS;
    }
    let (first, second) = ((upper >> 32) as u32, upper as u32);
    let hash = nets::hash(first, tables.layout().seed);
    let place = Place::of_hash(hash, tables.layout().filter_v6_shift);
    let word = tables.filter_v6(place.word);
    if has_doors
        && place.is_set(word)
        && let Some(value) = find_door(tables, hash, first, second)
    {
        return tables.descend(value, second);
    }
    let short = Place::of_other(hash, tables.layout().filter_v6_shift);
    if !has_short || (tables.layout().filters_short_v6 != 0 && !short.is_set(word)) {
        return NO_CLASS;
    }
    nets::walk(tables, nets::root_v6(first), first)
}

#[inline(always)]
fn find_host_v4(tables: &impl Tables, address: u32, hash: u64) -> ClassId {
    let first = hosts::bucket(hash, tables.layout().buckets_v4);
    let found = probe::<MAX_PROBES, _, _>(first, |bucket| {
        let hosts = tables.hosts_v4(bucket)?;
        Some(go_on_if(hosts.is_full(), hosts.find(address)))
    });
    found.unwrap_or(NO_CLASS)
}

#[inline(always)]
fn find_host_v6(tables: &impl Tables, upper: u64, lower: u64, hash: u64) -> ClassId {
    let first = hosts::bucket(hash, tables.layout().buckets_v6);
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
    let place = hosts::bucket(hash, tables.layout().doors);
    let found = probe::<MAX_DOOR_PROBES, _, _>(place, |door| {
        let door = tables.net_doors(door)?;
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
