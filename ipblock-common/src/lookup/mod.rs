//! The tables in front of the LPM tries: they find the class of a source in a few loads from
//! arrays.
//!
//! A filter rules out most sources. Hosts (full-length prefixes) are in an exact-match table with
//! one cache line per bucket, nets in a multibit trie. The tables are written before the program
//! that reads them is attached, and never after. The kernel and user space run the same code over
//! their own [`Tables`], so the tests exercise the code that judges packets. docs/datapath.md gives
//! each table's meaning, memory and cost.
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
        /// The tables of one generation. A read behind the end of a table returns `None`; a table
        /// built for this layout never causes one. In the kernel the layout is constant: a missing
        /// table costs nothing.
        pub trait Tables {
            /// Sizes and constants.
            fn layout(&self) -> &Layout;
            $($(#[$doc])* fn $field(&self, index: u32) -> Option<&$element>;)*
            /// [`nets::descend`]. The kernel calls it out of line, to have its code only once.
            fn descend(&self, value: u32, number: u32) -> ClassId;
        }
    };
}
for_each_table!(declare);

/// Returns the class of an IPv4 source, or [`NO_CLASS`] if no entry covers it. `address` is a
/// number, first octet most significant.
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

/// Returns the class of an IPv6 source, [`NO_CLASS`] if no entry covers it, or [`nets::ASK_TRIE`]
/// if the IPv6 trie decides. `upper` and `lower` are the halves of the address as numbers, first
/// octet most significant.
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

/// A host that is not in a full bucket may be in the next one.
#[inline(always)]
fn go_on_if(is_full: bool, class: ClassId) -> ControlFlow<ClassId> {
    if class == NO_CLASS && is_full {
        Continue(())
    } else {
        Break(class)
    }
}

/// Returns the value in the door of a /32, or `None` if it has no door.
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

/// Reads one bucket after another.
#[inline(always)]
fn probe<const MOST: u32, R, F>(first: u32, look: F) -> Option<R>
where
    F: Fn(u32) -> Option<ControlFlow<R>>,
{
    // Counts from 0, so that the verifier sees the bound.
    for probe in 0..MOST {
        if let Break(found) = look(first + probe)? {
            return Some(found);
        }
    }
    None
}
