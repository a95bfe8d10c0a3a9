//! What changes from one ruleset to another.

use ipblock_policy::{
    Ruleset,
    compile::compile,
    diff::{diff, diff_addresses},
};
use num_bigint::BigUint;

use crate::{
    naive::{judge, named},
    rulesets::{NOW, at, named_prefixes},
    span::{boundaries, number},
};

/// The difference is empty exactly if nothing changes, and the addresses that change between passed
/// and dropped match a naive count.
pub(crate) fn check_difference(before: &Ruleset, after: &Ruleset) {
    assert!(diff(after, after).is_empty(), "{after:#?}");
    assert_eq!(diff(before, after).is_empty(), before == after);

    let zones = after.zone_names();
    let compiled = zones.iter().map(|zone| {
        let of = |ruleset| compile(ruleset, zone, at(NOW)).unwrap();
        (of(before), of(after))
    });
    let compiled: Vec<_> = compiled.collect();
    let compiled: Vec<_> = compiled.iter().map(|(one, other)| (one, other)).collect();
    let counted = diff_addresses(&compiled);

    let all = named_prefixes(before)
        .into_iter()
        .chain(named_prefixes(after));
    let addresses = boundaries(all);
    let mut expected = [BigUint::default(), BigUint::default()];
    for (place, address) in addresses.iter().enumerate() {
        // Nothing changes before the next boundary, and the last one is the last address.
        let next = addresses.get(place + 1);
        let next = next.filter(|next| next.is_ipv4() == address.is_ipv4());
        let width = next.map_or(1, |next| number(*next) - number(*address));
        for (count, sides) in expected.iter_mut().zip([[before, after], [after, before]]) {
            let comes = zones.iter().any(|zone| {
                let [was, is] = sides.map(|ruleset| {
                    let named = named(ruleset, zone, at(NOW), *address);
                    judge(&named, ruleset.zones[zone].default).drops
                });
                !was && is
            });
            if comes {
                *count += width;
            }
        }
    }
    let found = [counted.newly_blocked, counted.newly_passed];
    assert_eq!(found, expected, "from {before:#?} to {after:#?}");
}
