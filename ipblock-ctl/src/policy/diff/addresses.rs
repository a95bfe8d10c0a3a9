//! Which addresses change sides.

use std::iter;

use ipblock_common::{ClassId, ClassVerdict};
use num_bigint::BigUint;

use crate::policy::{
    DefaultVerdict,
    compile::CompiledZone,
    prefix::{Bits, RangeSet},
};

/// Addresses that change sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressDiff {
    /// Passed before, dropped after.
    pub newly_blocked: BigUint,
    /// Dropped before, passed after.
    pub newly_passed: BigUint,
}

/// Counts the addresses that change sides in at least one of the zones; a zone that is missing on
/// one side is given as a zone without entries and with default `pass`.
///
/// O(n log n) in the number of entries. Rules that end later count as if they never did.
#[must_use]
pub fn diff_addresses(zones: &[(&CompiledZone, &CompiledZone)]) -> AddressDiff {
    let (v4_blocked, v4_passed) = changed::<u32>(zones, |zone| &zone.ipv4);
    let (v6_blocked, v6_passed) = changed::<u128>(zones, |zone| &zone.ipv6);
    AddressDiff {
        newly_blocked: v4_blocked + v6_blocked,
        newly_passed: v4_passed + v6_passed,
    }
}

/// How many addresses are dropped after and not before, and the reverse, in at least one zone.
fn changed<B: Bits>(
    zones: &[(&CompiledZone, &CompiledZone)],
    entries: impl Fn(&CompiledZone) -> &[(B::Net, ClassId)],
) -> (BigUint, BigUint) {
    let mut newly_blocked = Vec::new();
    let mut newly_passed = Vec::new();
    for (before, after) in zones {
        if std::ptr::eq(*before, *after) {
            continue;
        }
        let before = blocked::<B>(before, entries(before));
        let after = blocked::<B>(after, entries(after));
        newly_blocked.extend_from_slice(after.without(&before).ranges());
        newly_passed.extend_from_slice(before.without(&after).ranges());
    }
    (
        count(&RangeSet::new(newly_blocked)),
        count(&RangeSet::new(newly_passed)),
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

/// The addresses that are dropped. `entries` are those of one family of `zone`.
fn blocked<B: Bits>(zone: &CompiledZone, entries: &[(B::Net, ClassId)]) -> RangeSet<B> {
    let drops = |class: Option<ClassId>| {
        let class = class.and_then(|id| zone.class(id));
        match class.map(|class| class.verdict) {
            Some(ClassVerdict::Block) => true,
            Some(ClassVerdict::Allow) => false,
            Some(ClassVerdict::Default | ClassVerdict::Warn) | None => {
                zone.default == DefaultVerdict::Drop
            }
        }
    };
    let mut ranges = Vec::new();
    // The lowest address that is not judged yet, and the entries around it, outermost first.
    let mut from = Some(B::MIN);
    let mut around: Vec<(B, Option<ClassId>)> = vec![(B::MAX, None)];
    let starts = entries.iter().map(|(net, class)| (B::prefix(*net), *class));
    for entry in starts.map(Some).chain(iter::once(None)) {
        let start = entry.map(|(prefix, _)| prefix.first);
        // What ends before the next entry begins is judged by the entry that it belongs to.
        while let Some((last, class)) =
            around.pop_if(|(last, _)| start.is_none_or(|start| *last < start))
        {
            if let Some(first) = from.filter(|first| *first <= last)
                && drops(class)
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
            && drops(*outer)
        {
            ranges.push((first, before));
        }
        from = Some(prefix.first);
        around.push((prefix.last(), Some(class)));
    }
    RangeSet::new(ranges)
}
