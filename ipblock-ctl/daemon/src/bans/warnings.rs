//! Warnings about bans that are still executed.

use std::net::Ipv6Addr;

use ipblock_api::types::{BanChange, BannedPrefix};
use ipblock_datapath::clock::Now;
use ipblock_policy::{Ruleset, bans::allow_entries};
use ipnet::{IpNet, Ipv6Net};

use super::{StoredBans, until};

/// Maximum of prefixes in a warning.
const NAMED: usize = 3;
/// Prefix length of one IPv6 customer's network: the user of one address can use all of them.
const V6_NETWORK: u8 = 64;
/// Global unicast, which providers assign to customers. Elsewhere (loopback, link-local,
/// IPv4-mapped) the /64 around an address does not belong to one customer.
const V6_CUSTOMERS: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Returns at most `at_most` prefixes as text.
pub(super) fn named(prefixes: &[IpNet], at_most: usize) -> String {
    let shown: Vec<String> = prefixes
        .iter()
        .take(at_most)
        .map(IpNet::to_string)
        .collect();
    match prefixes.len() - shown.len() {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}

/// Warns about IPv6 prefixes that their user can easily leave.
pub(super) fn part_of_a_64(prefixes: &[IpNet]) -> Option<String> {
    let mut long: Vec<IpNet> = prefixes
        .iter()
        .copied()
        .filter(|prefix| match prefix {
            IpNet::V4(_) => false,
            IpNet::V6(net) => net.prefix_len() > V6_NETWORK && V6_CUSTOMERS.contains(net),
        })
        .collect();
    long.sort_unstable();
    long.dedup();
    if long.is_empty() {
        return None;
    }
    let named = named(&long, NAMED);
    Some(format!(
        "{named}: its user usually has the whole /64 around it; --v6-prefix 64 bans that"
    ))
}

/// Warns about allow lists that contain banned addresses.
pub(super) fn allowed(deployed: &Ruleset, prefixes: &[IpNet]) -> Vec<String> {
    let lists = allow_entries(deployed, prefixes).into_iter();
    lists
        .map(|(zone, entries)| {
            let named = named(&entries, NAMED);
            match zone {
                None => format!("on the allow list, so it passes all the same: {named}"),
                Some(zone) => format!(
                    "on the allow list of zone {zone}, so it passes there all the same: {named}"
                ),
            }
        })
        .collect()
}

/// Warns about shortened bans of prefixes that other bans keep banned for longer.
pub(super) fn others_last_longer(
    banned: &[BannedPrefix],
    bans: &StoredBans,
    now: &Now,
) -> Vec<String> {
    let shortened = banned
        .iter()
        .filter(|ban| ban.change == BanChange::Shortened);
    let longer = shortened.filter_map(|ban| {
        let prefix = ban.prefix;
        let (by, last) = bans.covering(prefix, now.boot_ns)?;
        let is_same = by == prefix && last.info.origin == ban.origin;
        let end = match until(&last.info, now) {
            Some(until) => format!("until {until:.0}"),
            None => "permanently".to_owned(),
        };
        let origin = &last.info.origin;
        (!is_same).then(|| {
            if by == prefix {
                format!("{prefix} is still banned {end}, by origin {origin}")
            } else {
                format!("{prefix} is still banned {end}, with {by} by origin {origin}")
            }
        })
    });
    longer.take(NAMED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_64_is_advised_for_addresses_of_customers_alone() {
        let advised = |text: &str| part_of_a_64(&[text.parse().expect("a prefix")]).is_some();
        for customer in ["2001:db8::7/128", "2a00:1450::/65", "2001:db8:0:1::/120"] {
            assert!(advised(customer), "{customer}");
        }
        for other in [
            "::1/128",
            "::/128",
            "fe80::1/128",
            "::ffff:192.0.2.0/120",
            "ff02::1/128",
            "2001:db8::/64",
            "192.0.2.1/32",
        ] {
            assert!(!advised(other), "{other}");
        }
    }
}
