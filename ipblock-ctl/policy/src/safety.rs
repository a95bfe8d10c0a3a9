//! Refuses rules and zones that drop everything, unless forced.

use ipnet::IpNet;

use super::{
    address::{covered_family, every_address},
    name::{RuleName, ZoneName},
    ruleset::{DefaultVerdict, Element, Rule, Ruleset},
    shared_vec::SharedVec,
};

pub(super) const WIDE_BLOCK_HINT: &str = "write smaller prefixes, or pass --force if that is meant";

pub(super) const SHUT_ZONE_HINT: &str =
    "allow an address first (`ipblock-ctl allow add`), or pass --force if that is meant";

/// Returns the family (`0.0.0.0/0` or `::/0`) if a block rule matches all of its addresses. Ignores
/// exceptions, and whether the rule is enabled.
pub(super) fn wide_block(ruleset: &Ruleset, rule: &Rule) -> Option<IpNet> {
    if !rule.action.drops() {
        return None;
    }
    covered_family(|| ruleset.prefixes(&rule.matches))
}

/// Whether the rule with this name already matched all addresses of the same family before.
pub(super) fn was_wide(before: &Ruleset, after: &Ruleset, rule: &Rule) -> bool {
    let Some(old) = before.rule(&rule.name) else {
        return false;
    };
    let wide = wide_block(after, rule);
    old.enabled >= rule.enabled && wide.is_some() && wide_block(before, old) == wide
}

pub(super) fn wide_block_message(rule: &RuleName, family: IpNet) -> String {
    format!("rule `{rule}` would block {}", every_address(family))
}

/// Returns the first allow list or exceptions that allow a whole family in `after` but not in
/// `before`, in words, and the family.
pub(super) fn newly_open(before: &Ruleset, after: &Ruleset) -> Option<(String, IpNet)> {
    let places = |ruleset: &Ruleset| -> Vec<(String, SharedVec<Element>)> {
        let zones = ruleset.zones.iter();
        let zones = zones.map(|(name, zone)| {
            let place = format!("the allow list of zone {name}");
            (place, zone.allow.clone())
        });
        let rules = ruleset.rules.iter();
        let rules = rules.map(|rule| {
            let place = format!("`except` of rule `{}`", rule.name);
            (place, rule.except.clone())
        });
        let allow = [("the allow list".to_owned(), ruleset.allow.clone())];
        allow.into_iter().chain(zones).chain(rules).collect()
    };
    for (place, elements) in places(after) {
        let Some(open) = wide_open(after, &elements) else {
            continue;
        };
        let was_open = places(before)
            .into_iter()
            // A renamed rule has the same exceptions.
            .filter(|(old, held)| *old == place || held.is_same(&elements))
            .any(|(_, held)| wide_open(before, &held) == Some(open));
        if !was_open {
            return Some((place, open));
        }
    }
    None
}

/// Returns the family if elements contain all of its addresses.
pub(super) fn wide_open(ruleset: &Ruleset, elements: &[Element]) -> Option<IpNet> {
    covered_family(|| ruleset.prefixes(elements))
}

pub(super) fn wide_open_message(place: &str, family: IpNet) -> String {
    format!("{place} would let {} through", every_address(family))
}

/// Whether a zone drops by default and its allow lists are empty.
pub(super) fn is_shut(ruleset: &Ruleset, name: &ZoneName) -> bool {
    ruleset.zones.get(name).is_some_and(|zone| {
        zone.default == DefaultVerdict::Drop
            && lets_nothing_through(ruleset, &zone.allow)
            && lets_nothing_through(ruleset, &ruleset.allow)
    })
}

/// Whether an allow list is empty. An unread file counts as not empty, because its content is
/// unknown.
fn lets_nothing_through(ruleset: &Ruleset, allow: &[Element]) -> bool {
    ruleset.prefixes(allow).next().is_none() && !ruleset.is_unread(allow)
}

pub(super) fn shut_zone_message(zone: &ZoneName) -> String {
    format!("zone `{zone}` would drop every packet: its default is drop and nothing is allowed")
}
