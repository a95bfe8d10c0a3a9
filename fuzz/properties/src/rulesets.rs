//! Generates rulesets from bytes: few addresses, many overlaps, and every kind of object.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use arbitrary::{Result, Unstructured};
use ipblock_policy::{
    Action, At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, Rule, RuleId, Ruleset,
    Zone, address::range_to_prefixes,
};
use ipnet::IpNet;
use jiff::Timestamp;

/// The moment around which rules end.
pub(crate) const NOW: i64 = 1_800_000_000;

const RULES: usize = 6;
/// In prefixes: longer ones only take longer.
const LONGEST_RANGE: usize = 10;
const LISTS: [&str; 2] = ["feed", "office"];
const ZONES: [&str; 2] = ["default", "edge"];

/// The position of the four bits in which addresses differ: hosts, nets, and both ends of the
/// tables' levels.
const SHIFTS_V4: [u32; 5] = [0, 3, 7, 13, 28];
const SHIFTS_V6: [u32; 7] = [0, 4, 61, 64, 94, 107, 124];

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A prefix of any length around one of few addresses.
pub(crate) fn prefix(u: &mut Unstructured<'_>) -> Result<IpNet> {
    let choice: u8 = u.arbitrary()?;
    let flips = u32::from(choice & 0xf);
    let is_dense = choice & 0x10 != 0;
    let net = if choice & 0x20 == 0 {
        let shift = if is_dense { 0 } else { *u.choose(&SHIFTS_V4)? };
        let bits = 0xc000_0240 ^ flips << shift;
        let length = if is_dense {
            32 - u.int_in_range(0..=5)?
        } else {
            u.int_in_range(0..=32)?
        };
        IpNet::new(Ipv4Addr::from_bits(bits).into(), length)
    } else {
        let shift = if is_dense { 0 } else { *u.choose(&SHIFTS_V6)? };
        let bits = (0x2001_0db8 << 96 | 0x40) ^ u128::from(flips) << shift;
        let length = if is_dense {
            128 - u.int_in_range(0..=5)?
        } else {
            u.int_in_range(0..=128)?
        };
        IpNet::new(Ipv6Addr::from_bits(bits).into(), length)
    };
    Ok(net.unwrap().trunc())
}

/// The prefixes of one element that an operator writes.
fn prefixes(u: &mut Unstructured<'_>) -> Result<Vec<IpNet>> {
    let one = prefix(u)?;
    if u.ratio(3, 4)? {
        return Ok(vec![one]);
    }
    // A range from inside of one prefix to inside of another, so that ranges cross.
    let other = prefix(u)?;
    let range = range_to_prefixes(one.network(), other.broadcast());
    let short = range.filter(|prefixes| prefixes.len() <= LONGEST_RANGE);
    Ok(short.unwrap_or_else(|| vec![one, other]))
}

fn elements(u: &mut Unstructured<'_>, most: usize) -> Result<Vec<Element>> {
    let mut elements = Vec::new();
    for _ in 0..u.int_in_range(0..=most)? {
        let found = if u.ratio(1, 8)? {
            vec![At::List(u.choose(&LISTS)?.parse().unwrap())]
        } else {
            prefixes(u)?.into_iter().map(At::Prefix).collect()
        };
        let note = "".into();
        elements.extend(found.into_iter().map(|at| Element {
            at,
            note: Box::clone(&note),
        }));
    }
    Ok(elements)
}

fn rule(u: &mut Unstructured<'_>, index: u64) -> Result<Rule> {
    let flags: u8 = u.arbitrary()?;
    let has = |bit: u8| flags >> bit & 1 == 1;
    let zones = match flags >> 4 & 3 {
        0 | 1 => vec![],
        2 => vec![ZONES[0].parse().unwrap()],
        _ => vec![ZONES[1].parse().unwrap(), ZONES[0].parse().unwrap()],
    };
    let expires = if has(0) {
        // Few moments, so that rules end together; some have ended, one ends now.
        Some(at(NOW + i64::from(u.int_in_range(-2_i8..=6)?)))
    } else {
        None
    };
    Ok(Rule {
        // Against the order of the rules.
        id: RuleId(100 - index),
        name: format!("r{index}").parse().unwrap(),
        action: if has(1) { Action::Block } else { Action::Warn },
        matches: elements(u, 4)?.into(),
        except: elements(u, 2)?.into(),
        expires,
        note: String::new(),
        enabled: !(has(2) && has(3)),
        alert: has(6),
        zones,
    })
}

/// A ruleset of the zones `default` and `edge`.
pub(crate) fn ruleset(u: &mut Unstructured<'_>) -> Result<Ruleset> {
    let settings: u8 = u.arbitrary()?;
    let mut ruleset = Ruleset::default();
    for name in LISTS {
        let mut held = Vec::new();
        for _ in 0..u.int_in_range(0..=2)? {
            held.extend(prefixes(u)?);
        }
        let element = |prefix| ListElement {
            prefix,
            note: "".into(),
        };
        let elements: Vec<_> = held.into_iter().map(element).collect();
        let list = List::by_hand(elements);
        ruleset.lists.insert(name.parse().unwrap(), list);
    }
    for (bit, name) in (0_u8..).zip(ZONES) {
        let has = |flag: u8| settings >> (4 * bit + flag) & 1 == 1;
        let zone = Zone {
            default: if has(0) {
                DefaultVerdict::Drop
            } else {
                DefaultVerdict::Pass
            },
            malformed: if has(1) {
                MalformedPolicy::Drop
            } else {
                MalformedPolicy::Pass
            },
            allow: if has(2) {
                elements(u, 2)?.into()
            } else {
                Vec::new().into()
            },
        };
        ruleset.zones.insert(name.parse().unwrap(), zone);
    }
    if settings & 0x80 != 0 {
        ruleset.allow = elements(u, 2)?.into();
    }
    for index in 0..u.int_in_range(0..=RULES)? {
        if u.is_empty() {
            break;
        }
        ruleset.rules.push(rule(u, index as u64)?);
    }
    Ok(ruleset)
}

/// Every prefix that a ruleset names.
pub(crate) fn named_prefixes(ruleset: &Ruleset) -> BTreeSet<IpNet> {
    let rules = ruleset.rules.iter();
    let of_rules = rules.flat_map(|rule| [&rule.matches, &rule.except]);
    let of_zones = ruleset.zones.values().map(|zone| &zone.allow);
    let all = of_rules.chain(of_zones).chain([&ruleset.allow]);
    all.flat_map(|elements| ruleset.prefixes(elements))
        .collect()
}
