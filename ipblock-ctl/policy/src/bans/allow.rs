//! Allow lists and bans: allowed addresses pass, whatever bans exist.

use ipnet::IpNet;

use crate::{
    Element, Ruleset, ZoneName,
    prefix::{Bits, Prefix, RangeSet, by_family},
};

/// Returns the entries of allow lists that contain banned addresses: of the global list and of each
/// zone's own list, in the order of the lists. Omits lists without any.
#[must_use]
pub fn allow_entries(ruleset: &Ruleset, banned: &[IpNet]) -> Vec<(Option<ZoneName>, Vec<IpNet>)> {
    let (ipv4, ipv6) = by_family(banned.iter().copied());
    let (ipv4, ipv6) = (RangeSet::of_prefixes(&ipv4), RangeSet::of_prefixes(&ipv6));
    let holds_banned = |entry: &IpNet| match entry {
        IpNet::V4(net) => touches(&ipv4, u32::prefix(*net)),
        IpNet::V6(net) => touches(&ipv6, u128::prefix(*net)),
    };
    let entries =
        |list: &[Element]| -> Vec<IpNet> { ruleset.prefixes(list).filter(holds_banned).collect() };
    let zones = ruleset.zones.iter();
    let zones = zones.map(|(name, zone)| (Some(name.clone()), entries(&zone.allow)));
    std::iter::once((None, entries(&ruleset.allow)))
        .chain(zones)
        .filter(|(_, entries)| !entries.is_empty())
        .collect()
}

fn touches<B: Bits>(banned: &RangeSet<B>, entry: Prefix<B>) -> bool {
    banned.touches((entry.first, entry.last()))
}
