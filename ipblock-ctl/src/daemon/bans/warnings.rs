//! What an operator should know of a ban that is carried out all the same.

use ipnet::IpNet;

use crate::policy::{Ruleset, bans::allow_entries};

/// Prefixes that a warning names.
const NAMED: usize = 3;
/// A network of one IPv6 customer is this long: whoever has an address has all of them.
const V6_NETWORK: u8 = 64;

/// Prefixes as text, so many of them at most.
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

/// IPv6 prefixes that their owner easily leaves.
pub(super) fn part_of_a_64(prefixes: &[IpNet]) -> Option<String> {
    let mut long: Vec<IpNet> = prefixes
        .iter()
        .copied()
        .filter(|prefix| prefix.addr().is_ipv6() && prefix.prefix_len() > V6_NETWORK)
        .collect();
    long.sort_unstable();
    long.dedup();
    if long.is_empty() {
        return None;
    }
    let named = named(&long, NAMED);
    Some(format!(
        "{named}: whoever has it usually has the whole /64 around it; --v6-prefix 64 bans that"
    ))
}

/// Allow lists that let through what is banned.
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
