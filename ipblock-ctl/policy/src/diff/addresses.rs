//! Which addresses change between passed and dropped.

use std::iter;

use ipblock_common::{ClassId, ClassVerdict};
use num_bigint::BigUint;

use crate::{
    Action, DefaultVerdict,
    address_set::AddressSet,
    compile::CompiledZone,
    prefix::{Bits, RangeSet},
};

/// Numbers of addresses that change between passed and dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressDiff {
    /// Passed before, dropped after.
    pub newly_blocked: BigUint,
    /// Dropped before, passed after.
    pub newly_passed: BigUint,
}

/// Counts the addresses that change in at least one of the zones. For a zone that is missing on one
/// side, pass a zone without entries and with default `pass`.
///
/// Takes O(n log n) in the number of entries. Rules that end later count as permanent.
#[must_use]
pub fn diff_addresses(zones: &[(&CompiledZone, &CompiledZone)]) -> AddressDiff {
    let (mut newly_blocked, mut newly_passed) = (Vec::new(), Vec::new());
    for (before, after) in zones {
        if std::ptr::eq(*before, *after) {
            continue;
        }
        let (before, after) = (
            dropped(before, before.default),
            dropped(after, after.default),
        );
        newly_blocked.push(after.without(&before));
        newly_passed.push(before.without(&after));
    }
    let count = |sets: &[AddressSet]| {
        let all = AddressSet::union(sets);
        count(all.ipv4()) + count(all.ipv6())
    };
    AddressDiff {
        newly_blocked: count(&newly_blocked),
        newly_passed: count(&newly_passed),
    }
}

/// Returns the addresses that a zone drops if its default is `default`; ignores bans.
pub(crate) fn dropped(zone: &CompiledZone, default: DefaultVerdict) -> AddressSet {
    judged(zone, |verdict| {
        Action::is_dropped(verdict, default == DefaultVerdict::Drop)
    })
}

/// Returns the addresses in a zone's allow lists.
pub(crate) fn allowed(zone: &CompiledZone) -> AddressSet {
    judged(zone, |verdict| verdict == Some(ClassVerdict::Allow))
}

fn judged(zone: &CompiledZone, counts: impl Fn(Option<ClassVerdict>) -> bool) -> AddressSet {
    let counts = |id: Option<ClassId>| {
        let class = id.and_then(|id| zone.class(id));
        counts(class.map(|class| class.verdict))
    };
    AddressSet::of_ranges(
        chosen::<u32>(&zone.ipv4, counts),
        chosen::<u128>(&zone.ipv6, counts),
    )
}

fn count<B: Bits>(set: &RangeSet<B>) -> BigUint {
    let (mut large, mut small) = (BigUint::ZERO, 0_u128);
    for (first, last) in set.ranges() {
        let size = last.distance(*first).checked_add(1);
        match size.and_then(|size| small.checked_add(size)) {
            Some(sum) => small = sum,
            None => large += BigUint::from(last.distance(*first)) + 1_u8,
        }
    }
    large + small
}

/// Returns the addresses whose class is selected. `None` is the class of addresses without an
/// entry.
fn chosen<B: Bits>(
    entries: &[(B::Net, ClassId)],
    counts: impl Fn(Option<ClassId>) -> bool,
) -> RangeSet<B> {
    let mut ranges = Vec::new();
    // The lowest address without a decision, and the entries around it, outermost first.
    let mut from = Some(B::MIN);
    let mut around: Vec<(B, Option<ClassId>)> = vec![(B::MAX, None)];
    let starts = entries.iter().map(|(net, class)| (B::prefix(*net), *class));
    for entry in starts.map(Some).chain(iter::once(None)) {
        let start = entry.map(|(prefix, _)| prefix.first);
        // The part before the next entry belongs to the innermost entry around it.
        while let Some((last, class)) =
            around.pop_if(|(last, _)| start.is_none_or(|start| *last < start))
        {
            if let Some(first) = from.filter(|first| *first <= last)
                && counts(class)
            {
                ranges.push((first, last));
            }
            from = last.next();
        }
        let Some((prefix, class)) = entry else {
            break;
        };
        let before = prefix.first.previous();
        if let (Some(first), Some(before), Some((_, outer))) = (from, before, around.last())
            && first <= before
            && counts(*outer)
        {
            ranges.push((first, before));
        }
        from = Some(prefix.first);
        around.push((prefix.last(), Some(class)));
    }
    RangeSet::new(ranges)
}
