//! Special-purpose space: addresses that are not ordinary hosts of the internet.
//!
//! From RFC 6890 and its registries (IANA IPv4 and IPv6 Special-Purpose Address Registry), plus
//! multicast, which they omit. Public lists contain such addresses by mistake, and a block of them
//! hits the operator's own network. The result is a warning, not an error: some people want it.
//!
//! Not included are ranges whose block does not hit the operator's own network. These are
//! documentation (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, `2001:db8::/32`, `3fff::/20`),
//! which no packet comes from, and ranges that are routed like any other address (6to4 relays
//! 192.88.99.0/24, Teredo `2001::/32`, 6to4 `2002::/16`, NAT64 `64:ff9b::/96`).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{
    address_set::AddressSet,
    name::ListName,
    ruleset::{At, Rule, Ruleset},
};

/// Number of prefixes that a warning lists; it gives the number of the others.
const NAMED: usize = 5;

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(
        Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0),
        length,
    ))
}

/// Prefixes and their kinds, as words before "addresses". They do not overlap.
const TABLE: [(IpNet, &str); 21] = [
    (v4(0, 0, 0, 0, 8), "\"this network\""),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "protocol assignment"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
    (
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128)),
        "unspecified",
    ),
    (
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
        "loopback",
    ),
    (
        IpNet::V6(Ipv6Net::new_assert(
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
            96,
        )),
        "IPv4-mapped",
    ),
    (v6(0x64, 0xff9b, 1, 48), "local NAT64"),
    (v6(0x100, 0, 0, 64), "discard-only"),
    (v6(0x2001, 2, 0, 48), "benchmarking"),
    (v6(0x5f00, 0, 0, 16), "segment routing"),
    (v6(0xfc00, 0, 0, 7), "private"),
    (v6(0xfe80, 0, 0, 10), "link-local"),
    (v6(0xff00, 0, 0, 8), "multicast"),
];

/// Returns the special-purpose parts of a prefix, each with its kind.
fn parts_of(net: IpNet) -> impl Iterator<Item = (IpNet, &'static str)> {
    let table = if may_be_special(net) { &TABLE[..] } else { &[] };
    table.iter().filter_map(move |(special, kind)| {
        let part = if special.contains(&net) {
            net
        } else if net.contains(special) {
            *special
        } else {
            return None;
        };
        Some((part, *kind))
    })
}

/// A fast check whether the table can have a match: nearly all of millions of addresses end here.
fn may_be_special(net: IpNet) -> bool {
    match net {
        IpNet::V4(net) => {
            let first = net.addr().octets()[0];
            net.prefix_len() < 8
                || matches!(first, 0 | 10 | 100 | 127 | 169 | 172 | 192 | 198 | 224..)
        }
        IpNet::V6(net) => {
            let first = net.addr().segments()[0];
            net.prefix_len() < 16 || matches!(first, 0 | 0x64 | 0x100 | 0x2001 | 0x5f00 | 0xfc00..)
        }
    }
}

/// Returns warnings about enabled rules that drop special-purpose addresses: one for each rule and
/// each of its lists. Ignores addresses that exceptions or the allow list for all zones allow.
#[must_use]
pub fn warnings(ruleset: &Ruleset) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut allowed = None;
    for rule in &ruleset.rules {
        // A warn rule drops nothing.
        if rule.action.drops() && rule.enabled {
            of_rule(ruleset, rule, &mut allowed, &mut warnings);
        }
    }
    warnings
}

/// Returns the warnings that apply to `after` but not to `before`.
#[must_use]
pub fn new_warnings(before: &Ruleset, after: &Ruleset) -> Vec<String> {
    let mut new = warnings(after);
    if !new.is_empty() {
        let old = warnings(before);
        new.retain(|warning| !old.contains(warning));
    }
    new
}

/// Returns a warning about prefixes to ban.
#[must_use]
pub fn banned(prefixes: &[IpNet]) -> Option<String> {
    let parts: Vec<_> = prefixes.iter().copied().flat_map(parts_of).collect();
    (!parts.is_empty()).then(|| format!("this bans {}", in_words(&parts)))
}

fn of_rule(
    ruleset: &Ruleset,
    rule: &Rule,
    allowed: &mut Option<AddressSet>,
    warnings: &mut Vec<String>,
) {
    let mut found: Vec<(Option<&ListName>, Vec<_>)> = vec![(None, Vec::new())];
    for element in &rule.matches {
        match &element.at {
            At::Prefix(net) => {
                if let Some((_, own)) = found.first_mut() {
                    own.extend(parts_of(*net));
                }
            }
            At::List(name) => {
                let list = ruleset.lists.get(name).into_iter();
                let nets = list.flat_map(|list| &list.elements);
                let parts = nets.flat_map(|element| parts_of(element.prefix));
                found.push((Some(name), parts.collect()));
            }
        }
    }
    found.retain(|(_, parts)| !parts.is_empty());
    if found.is_empty() {
        return;
    }
    let allowed = allowed.get_or_insert_with(|| AddressSet::new(ruleset.prefixes(&ruleset.allow)));
    let spared = AddressSet::new(ruleset.prefixes(&rule.except));
    let spared = AddressSet::union([&*allowed, &spared]);
    for (list, mut parts) in found {
        parts.retain(|(net, _)| !spared.holds(*net));
        if parts.is_empty() {
            continue;
        }
        let from = list.map_or_else(String::new, |list| format!(" (from list @{list})"));
        warnings.push(format!(
            "rule `{}` blocks {}{from}",
            rule.name,
            in_words(&parts)
        ));
    }
}

/// Returns `private and loopback addresses: 10.0.0.0/8, 127.0.0.1/32`.
fn in_words(parts: &[(IpNet, &'static str)]) -> String {
    let mut kinds: Vec<&str> = Vec::new();
    let mut nets: Vec<IpNet> = Vec::new();
    for (net, kind) in parts {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
        nets.push(*net);
    }
    nets.sort_unstable();
    nets.dedup();
    let kinds = match kinds.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        kinds => kinds.join(""),
    };
    let named: Vec<_> = nets.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match nets.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{kinds} addresses: {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    fn ruleset(text: &str) -> Ruleset {
        document::parse(text, "rules.toml", true).unwrap()
    }

    #[test]
    fn no_part_of_the_table_is_within_another_and_the_quick_look_finds_all() {
        for (index, (net, _)) in TABLE.iter().enumerate() {
            assert_eq!(net.trunc(), *net);
            assert!(may_be_special(*net), "{net}");
            for (other, _) in &TABLE[index + 1..] {
                assert!(
                    !net.contains(other) && !other.contains(net),
                    "{net} {other}"
                );
            }
            let hosts = [net.network(), net.broadcast()].map(IpNet::from);
            assert!(
                hosts.iter().all(|host| parts_of(*host).count() == 1),
                "{net}"
            );
        }
    }

    #[test]
    fn a_country_list_with_the_lan_in_it_is_named_with_its_rule() {
        let ruleset = ruleset(
            "[list.au]\nmatch = [\"1.1.1.0/24\", \"192.168.0.0/16\", \"172.16.0.0/12\"]\n\
             [[rule]]\nname = \"x\"\naction = \"block\"\nmatch = [\"@au\", \"127.0.0.1\", \"ff02::1\"]\n\
             [[rule]]\nname = \"w\"\naction = \"warn\"\nmatch = [\"@au\"]\n\
             [[rule]]\nname = \"off\"\naction = \"block\"\nmatch = [\"@au\"]\nenabled = false\n",
        );
        let expected = [
            "rule `x` blocks loopback and multicast addresses: 127.0.0.1/32, ff02::1/128",
            "rule `x` blocks private addresses: 172.16.0.0/12, 192.168.0.0/16 (from list @au)",
        ];
        assert_eq!(warnings(&ruleset), expected);
        assert_eq!(new_warnings(&ruleset, &ruleset), [""; 0]);
        assert_eq!(new_warnings(&Ruleset::default(), &ruleset), expected);
    }

    #[test]
    fn what_is_spared_is_not_warned_about() {
        let rule = "[[rule]]\nname = \"x\"\naction = \"block\"\nmatch = [\"10.0.0.0/7\"]\n";
        let found = warnings(&ruleset(rule));
        assert_eq!(found, ["rule `x` blocks private addresses: 10.0.0.0/8"]);
        let excepted = format!("{rule}except = [\"10.0.0.0/8\"]\n");
        assert_eq!(warnings(&ruleset(&excepted)), [""; 0]);
        let allowed = format!("[allow]\nmatch = [\"10.0.0.0/8\"]\n{rule}");
        assert_eq!(warnings(&ruleset(&allowed)), [""; 0]);
    }

    #[test]
    fn a_prefix_around_special_space_names_its_parts() {
        let everything = banned(&["0.0.0.0/0".parse().unwrap()]).unwrap();
        assert!(
            everything.starts_with("this bans \"this network\", private, "),
            "{everything}"
        );
        assert!(
            everything.ends_with("169.254.0.0/16 and 6 more"),
            "{everything}"
        );
    }

    #[test]
    fn documentation_and_ordinary_addresses_are_not_special() {
        let ordinary = [
            "192.0.2.0/24",
            "198.51.100.7/32",
            "203.0.113.0/24",
            "2001:db8::/32",
            "3fff::/20",
            "1.1.1.0/24",
            "192.88.99.0/24",
            "2002::/16",
            "2600::/12",
        ];
        let prefixes = ordinary.map(|net| net.parse().unwrap());
        assert_eq!(banned(&prefixes), None);
    }
}
