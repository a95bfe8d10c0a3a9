//! What holds by a naive walk over every element, and small dense rulesets to compare on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_common::ClassVerdict;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::{
    Action, At, DefaultVerdict, Element, List, ListElement, Rule, RuleId, Ruleset, Shared, Zone,
    ZoneName,
};

/// The moment at which tests compile. Ends of generated rules lie around it.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What holds over one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Naive {
    pub(crate) verdict: ClassVerdict,
    pub(crate) matched: Vec<RuleId>,
    pub(crate) excepted: Vec<RuleId>,
}

impl Naive {
    pub(crate) fn is_nothing(&self) -> bool {
        self.verdict == ClassVerdict::Default && self.excepted.is_empty()
    }
}

/// The longest prefix among `elements` that holds `address`.
pub(crate) fn longest(ruleset: &Ruleset, elements: &[Element], address: IpAddr) -> Option<IpNet> {
    let mut best: Option<IpNet> = None;
    for element in elements {
        let nets = match &element.at {
            At::Prefix(net) => vec![*net],
            At::List(name) => ruleset.lists[name]
                .elements
                .iter()
                .map(|e| e.prefix)
                .collect(),
        };
        for net in nets {
            if net.contains(&address) && best.is_none_or(|b| b.prefix_len() < net.prefix_len()) {
                best = Some(net);
            }
        }
    }
    best
}

/// The longest allow entry that holds `address` in `zone`.
pub(crate) fn allowed_by(ruleset: &Ruleset, zone: &ZoneName, address: IpAddr) -> Option<IpNet> {
    let settings = ruleset.zone(zone).unwrap();
    let lists = [&ruleset.allow, &settings.allow];
    let found = lists.map(|elements| longest(ruleset, elements, address));
    found.into_iter().flatten().max_by_key(IpNet::prefix_len)
}

/// Which verdict an address gets, rule by rule: too simple to be wrong.
pub(crate) fn naive(ruleset: &Ruleset, zone: &ZoneName, now: Timestamp, address: IpAddr) -> Naive {
    let mut answer = Naive {
        verdict: ClassVerdict::Default,
        matched: Vec::new(),
        excepted: Vec::new(),
    };
    if allowed_by(ruleset, zone, address).is_some() {
        answer.verdict = ClassVerdict::Allow;
        return answer;
    }
    for rule in &ruleset.rules {
        let live = rule.enabled && rule.expires.is_none_or(|end| now < end);
        let here = rule.zones.is_empty() || rule.zones.iter().any(|z| z == zone);
        if !live || !here || longest(ruleset, &rule.matches, address).is_none() {
            continue;
        }
        if longest(ruleset, &rule.except, address).is_some() {
            answer.excepted.push(rule.id);
            continue;
        }
        answer.matched.push(rule.id);
        if rule.action == Action::Block {
            answer.verdict = ClassVerdict::Block;
        } else if answer.verdict == ClassVerdict::Default {
            answer.verdict = ClassVerdict::Warn;
        }
    }
    answer.matched.sort();
    answer.excepted.sort();
    answer
}

pub(crate) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(crate) fn elements<'a>(nets: impl IntoIterator<Item = &'a str>) -> Shared<Element> {
    let element = |text: &str| Element {
        at: match text.strip_prefix('@') {
            Some(list) => At::List(list.parse().unwrap()),
            None => At::Prefix(net(text)),
        },
        note: "".into(),
    };
    nets.into_iter().map(element).collect()
}

/// A live rule in every zone, without exceptions.
pub(crate) fn rule(id: u64, name: &str, action: Action, matches: &[&str]) -> Rule {
    Rule {
        id: RuleId(id),
        name: name.parse().unwrap(),
        action,
        matches: elements(matches.iter().copied()),
        except: Shared::default(),
        expires: None,
        note: String::new(),
        enabled: true,
        alert: false,
        zones: Vec::new(),
    }
}

pub(crate) fn zone(name: &str) -> ZoneName {
    name.parse().unwrap()
}

/// Address bits in which generated prefixes differ.
const DENSE_BITS: u8 = 5;
const V4_BASE: u32 = 0xc000_0240; // 192.0.2.64
const V6_BASE: u128 = 0x2001_0db8 << 96 | 0x40;

/// Every address on which generated rulesets can disagree, some just outside, and the extremes.
pub(crate) fn universe() -> Vec<IpAddr> {
    let v4 = V4_BASE - 2..V4_BASE + (1 << DENSE_BITS) + 2;
    let v6 = V6_BASE - 2..V6_BASE + (1 << DENSE_BITS) + 2;
    v4.chain([0, u32::MAX])
        .map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)))
        .chain(
            v6.chain([0, u128::MAX])
                .map(|bits| IpAddr::from(Ipv6Addr::from_bits(bits))),
        )
        .collect()
}

pub(crate) fn dense_net() -> impl Strategy<Value = IpNet> {
    let offset = 0_u32..1 << DENSE_BITS;
    let wide = prop_oneof![9 => Just(false), 1 => Just(true)];
    (any::<bool>(), offset, 0..=DENSE_BITS, wide).prop_map(|(v6, offset, short, wide)| {
        if v6 {
            let len = if wide { 0 } else { 128 - short };
            let address = Ipv6Addr::from_bits(V6_BASE + u128::from(offset));
            Ipv6Net::new(address, len).unwrap().trunc().into()
        } else {
            let len = if wide { 0 } else { 32 - short };
            let address = Ipv4Addr::from_bits(V4_BASE + offset);
            Ipv4Net::new(address, len).unwrap().trunc().into()
        }
    })
}

/// The prefixes of a range, so that ranges of different rules cross.
fn dense_range() -> impl Strategy<Value = Vec<IpNet>> {
    let bound = 0_u32..1 << DENSE_BITS;
    (bound.clone(), bound).prop_map(|(a, b)| {
        let range = ipnet::Ipv4Subnets::new(
            Ipv4Addr::from_bits(V4_BASE + a.min(b)),
            Ipv4Addr::from_bits(V4_BASE + a.max(b)),
            0,
        );
        range.map(IpNet::from).collect()
    })
}

fn dense_elements(most: usize) -> impl Strategy<Value = Vec<Element>> {
    let one = prop_oneof![
        8 => dense_net().prop_map(|net| vec![At::Prefix(net)]),
        2 => dense_range().prop_map(|nets| nets.into_iter().map(At::Prefix).collect()),
        1 => prop_oneof![Just("feed"), Just("office")]
            .prop_map(|name| vec![At::List(name.parse().unwrap())]),
    ];
    prop::collection::vec(one, 0..=most).prop_map(|parts| {
        let element = |at| Element {
            at,
            note: "".into(),
        };
        parts.into_iter().flatten().map(element).collect()
    })
}

fn dense_rule() -> impl Strategy<Value = Rule> {
    let action = prop_oneof![Just(Action::Block), Just(Action::Warn)];
    let end = prop_oneof![
        3 => Just(None),
        4 => (-1_i64..4).prop_map(|tens| Some(at(NOW + 10 * tens))),
    ];
    let zones = prop_oneof![
        6 => Just(vec![]),
        1 => Just(vec![zone("default")]),
        1 => Just(vec![zone("edge")]),
        1 => Just(vec![zone("edge"), zone("default")]),
    ];
    let enabled = prop_oneof![9 => Just(true), 1 => Just(false)];
    (
        action,
        dense_elements(4),
        dense_elements(3),
        end,
        zones,
        enabled,
    )
        .prop_map(|(action, matches, except, expires, zones, enabled)| Rule {
            matches: matches.into(),
            except: except.into(),
            expires,
            enabled,
            zones,
            ..rule(0, "x", action, &[])
        })
}

fn dense_list() -> impl Strategy<Value = List> {
    let element = dense_net().prop_map(|prefix| ListElement {
        prefix,
        note: "".into(),
    });
    prop::collection::vec(element, 0..4).prop_map(List::by_hand)
}

/// Rulesets over few addresses, with everything that a ruleset can hold; zones are `default` and
/// `edge`. Identities run against the order of the rules.
pub(crate) fn dense_ruleset() -> impl Strategy<Value = Ruleset> {
    let rules = prop::collection::vec(dense_rule(), 0..7).prop_map(|mut rules| {
        for (index, rule) in (0..).zip(&mut rules) {
            rule.id = RuleId(100 - index);
            rule.name = format!("r{index}").parse().unwrap();
        }
        rules
    });
    let allow = prop_oneof![2 => Just(vec![]), 1 => dense_elements(2)];
    let edge_allow = prop_oneof![2 => Just(vec![]), 1 => dense_elements(2)];
    (rules, allow, edge_allow, dense_list(), dense_list()).prop_map(
        |(rules, allow, edge_allow, feed, office)| Ruleset {
            rules,
            allow: allow.into(),
            zones: [(
                zone("edge"),
                Zone {
                    default: DefaultVerdict::Drop,
                    allow: edge_allow.into(),
                    ..Zone::default()
                },
            )]
            .into(),
            lists: [
                ("feed".parse().unwrap(), feed),
                ("office".parse().unwrap(), office),
            ]
            .into(),
        },
    )
}
