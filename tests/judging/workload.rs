//! The listed prefixes: rulesets from a seed, or from the table of countries.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv6Addr},
};

use anyhow::Result;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use ipblock_policy::{Action, At, Element, Rule, RuleId, Ruleset};
use ipblock_tests::{
    countries::{self, Range},
    random::Random,
};

use super::Family;

/// The prefixes of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    Hosts100k,
    Hosts1m,
    Countries11,
    Mixed100k,
    Mixed1k,
}

/// Rules that share the prefixes of a mixed workload, so that nested prefixes meet in classes.
const MIXED_RULES: usize = 10;
/// One of this number of prefixes in a mixed workload has an exception inside.
const EXCEPTIONS: usize = 20;
/// Lengths of a mixed workload, weighted as in public lists: hosts first, then the usual sizes of
/// assignments, then what lies between.
const LENGTHS_V4: [(u8, usize); 17] = [
    (16, 2),
    (17, 1),
    (18, 1),
    (19, 2),
    (20, 3),
    (21, 3),
    (22, 6),
    (23, 4),
    (24, 24),
    (25, 2),
    (26, 2),
    (27, 2),
    (28, 3),
    (29, 4),
    (30, 1),
    (31, 1),
    (32, 39),
];
const LENGTHS_V6: [(u8, usize); 12] = [
    (32, 4),
    (36, 2),
    (38, 1),
    (40, 4),
    (42, 1),
    (44, 4),
    (46, 2),
    (48, 34),
    (52, 2),
    (56, 8),
    (64, 18),
    (128, 20),
];

/// Only a small part of `2000::/3` is assigned: the first 16 bits are mostly these.
const IPV6_REGIONS: [u16; 12] = [
    0x2001, 0x2400, 0x2401, 0x2402, 0x2406, 0x240e, 0x2600, 0x2604, 0x2804, 0x2a00, 0x2a02, 0x2a06,
];
/// Number of /32s that contain all listed IPv6 addresses of a workload.
const IPV6_ALLOCATIONS: usize = 8192;

impl Workload {
    pub(crate) const ALL: [Self; 5] = [
        Self::Hosts100k,
        Self::Hosts1m,
        Self::Countries11,
        Self::Mixed100k,
        Self::Mixed1k,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hosts100k => "hosts-100k",
            Self::Hosts1m => "hosts-1m",
            Self::Countries11 => "countries-11",
            Self::Mixed100k => "mixed-100k",
            Self::Mixed1k => "mixed-1k",
        }
    }

    /// Block rules; `None` when the machine has no table of countries.
    pub(crate) fn ruleset(self, family: Family) -> Result<Option<Ruleset>> {
        let mut random = Random::new(0x5eed_0000 + u64::from(family.number()));
        let rules = match self {
            Self::Hosts100k => vec![hosts(&mut random, family, 100_000)],
            Self::Hosts1m => vec![hosts(&mut random, family, 1_000_000)],
            Self::Countries11 => match eleven(family)? {
                Some(countries) => countries,
                None => return Ok(None),
            },
            Self::Mixed100k => return Ok(Some(mixed(&mut random, family, 100_000)?)),
            Self::Mixed1k => return Ok(Some(mixed(&mut random, family, 1_000)?)),
        };
        let rules = (1..)
            .zip(rules)
            .map(|(id, nets)| rule(id, nets, Vec::new()));
        Ok(Some(Ruleset {
            rules: rules.collect::<Result<_>>()?,
            ..Ruleset::default()
        }))
    }

    /// Whether it lists only full-length prefixes.
    pub(crate) fn is_hosts(self) -> bool {
        matches!(self, Self::Hosts100k | Self::Hosts1m)
    }
}

/// Every prefix that a rule matches.
pub(crate) fn listed(ruleset: &Ruleset) -> Vec<IpNet> {
    let matches = ruleset.rules.iter().flat_map(|rule| &rule.matches);
    let prefixes = matches.filter_map(|element| match element.at {
        At::Prefix(prefix) => Some(prefix),
        At::List(_) => None,
    });
    prefixes.collect()
}

fn rule(id: u64, matches: Vec<IpNet>, except: Vec<IpNet>) -> Result<Rule> {
    let elements = |nets: Vec<IpNet>| {
        nets.into_iter().map(|net| Element {
            at: At::Prefix(net),
            note: Box::default(),
        })
    };
    Ok(Rule {
        id: RuleId(id),
        name: format!("rule-{id}").parse()?,
        action: Action::Block,
        matches: elements(matches).collect(),
        except: elements(except).collect(),
        expires: None,
        note: String::new(),
        enabled: true,
        alert: false,
        zones: Vec::new(),
    })
}

fn hosts(random: &mut Random, family: Family, count: usize) -> Vec<IpNet> {
    let allocations = allocations(random);
    let mut hosts = HashSet::with_capacity(count);
    let mut sorted = Vec::with_capacity(count);
    while sorted.len() < count {
        let host = match family {
            Family::Ipv4 => IpAddr::V4(random.ipv4()),
            Family::Ipv6 => IpAddr::V6(host_v6(random, &allocations)),
        };
        // In order of creation: a set has another order in every run.
        if hosts.insert(host) {
            sorted.push(IpNet::from(host));
        }
    }
    sorted
}

/// Prefixes, and exceptions 1 to 8 bits longer inside some of them, spread over the rules.
fn mixed(random: &mut Random, family: Family, count: usize) -> Result<Ruleset> {
    let allocations = allocations(random);
    let mut prefixes = HashSet::with_capacity(count);
    let mut rules = vec![(Vec::new(), Vec::new()); MIXED_RULES];
    while prefixes.len() < count {
        let prefix = match family {
            Family::Ipv4 => {
                let length = weighted(random, &LENGTHS_V4);
                Ipv4Net::new(random.ipv4(), length)?.trunc().into()
            }
            Family::Ipv6 => {
                let length = weighted(random, &LENGTHS_V6);
                let address = host_v6(random, &allocations);
                IpNet::from(Ipv6Net::new(address, length)?.trunc())
            }
        };
        if !prefixes.insert(prefix) {
            continue;
        }
        let number = prefixes.len();
        let Some((matches, except)) = rules.get_mut(number % MIXED_RULES) else {
            continue;
        };
        matches.push(prefix);
        if number.is_multiple_of(EXCEPTIONS) && prefix.prefix_len() < prefix.max_prefix_len() {
            let longer = u8::try_from(1 + random.below(8))?;
            let length = (prefix.prefix_len() + longer).min(prefix.max_prefix_len());
            let address = address_in(random, prefix);
            except.push(IpNet::new(address, length)?.trunc());
        }
    }
    let rules = (1..).zip(rules);
    let rules = rules.map(|(id, (matches, except))| rule(id, matches, except));
    Ok(Ruleset {
        rules: rules.collect::<Result<_>>()?,
        ..Ruleset::default()
    })
}

/// A random address of a prefix.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
pub(crate) fn address_in(random: &mut Random, prefix: IpNet) -> IpAddr {
    match prefix {
        IpNet::V4(net) => {
            let host = random.next() as u32 & net.hostmask().to_bits();
            (net.network() | std::net::Ipv4Addr::from_bits(host)).into()
        }
        IpNet::V6(net) => {
            let host = random.next_128() & net.hostmask().to_bits();
            (net.network() | Ipv6Addr::from_bits(host)).into()
        }
    }
}

fn allocations(random: &mut Random) -> Vec<u32> {
    let mut one = || {
        let region = random.one_of(&IPV6_REGIONS).copied().unwrap_or(0x2001);
        u32::from(region) << 16 | u32::try_from(random.below(1 << 16)).unwrap_or(0)
    };
    (0..IPV6_ALLOCATIONS).map(|_| one()).collect()
}

/// Returns a host of a random /64 of an allocation: with a manual number, or a random one.
fn host_v6(random: &mut Random, allocations: &[u32]) -> Ipv6Addr {
    let allocation = random.one_of(allocations).copied().unwrap_or(0x2001_0000);
    let network = u64::from(allocation) << 32 | random.next() >> 32;
    let host = match random.next() % 2 {
        0 => 1 + random.next() % 0xffff,
        _ => random.next(),
    };
    Ipv6Addr::from_bits(u128::from(network) << 64 | u128::from(host))
}

fn weighted(random: &mut Random, lengths: &[(u8, usize)]) -> u8 {
    let mut left = random.below(lengths.iter().map(|(_, weight)| weight).sum());
    for (length, weight) in lengths {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return *length,
        }
    }
    0
}

/// The prefixes of eleven countries, each country's apart; `None` where there is no table of them.
fn eleven(family: Family) -> Result<Option<Vec<Vec<IpNet>>>> {
    let Some(world) = countries::world()? else {
        return Ok(None);
    };
    let prefixes = countries::ELEVEN.map(|code| {
        let ranges = world.get(code).into_iter().flatten();
        let ranges = ranges.filter(|range| range.first.is_ipv4() == (family == Family::Ipv4));
        ranges.flat_map(Range::prefixes).collect()
    });
    Ok(Some(prefixes.to_vec()))
}
