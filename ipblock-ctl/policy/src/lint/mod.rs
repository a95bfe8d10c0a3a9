//! Warnings for the operator; none of them is an error.

mod covered_rules;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use ipnet::IpNet;
use rustc_hash::{FxHashMap, FxHashSet};

use self::covered_rules::CoveredRules;
use super::{
    address_set::AddressSet,
    duplicates::duplicates,
    ruleset::{At, Element, Rule, Ruleset},
    special,
    text::counted,
};

/// Number of addresses that a warning lists; it gives the number of the others.
const NAMED: usize = 5;

/// Returns warnings about a ruleset in a stable order, each one sentence with the names. The amount
/// that it drops is checked by `policy::amount`, because that depends on what was dropped before.
///
/// The work to compare rules is limited. If the limit is reached, the last warning says so.
#[must_use]
pub fn lint(ruleset: &Ruleset) -> Vec<String> {
    warnings(ruleset, &mut KnownFacts::default())
}

/// Returns the warnings that apply to `after` but not to `before`. Checks common parts only once.
#[must_use]
pub fn new_warnings(before: &Ruleset, after: &Ruleset) -> Vec<String> {
    let mut known = KnownFacts::default();
    let old: FxHashSet<_> = warnings(before, &mut known).into_iter().collect();
    let mut new = warnings(after, &mut known);
    new.retain(|warning| !old.contains(warning));
    new
}

/// Results for lists of elements without a `@list`, by their address in memory: the rulesets that
/// own them outlive this cache.
#[derive(Default)]
struct KnownFacts {
    found: FxHashMap<*const Element, Rc<Facts>>,
    /// Number of lists that were checked.
    #[cfg(test)]
    looked_at: usize,
}

/// Results for a list of elements.
struct Facts {
    addresses: Rc<AddressSet>,
    /// Its duplicates.
    twice: Vec<At>,
    /// Single addresses, without `@lists`.
    single: usize,
}

impl KnownFacts {
    fn facts(&mut self, ruleset: &Ruleset, elements: &[Element]) -> Rc<Facts> {
        if let Some(found) = self.found.get(&elements.as_ptr()) {
            return Rc::clone(found);
        }
        #[cfg(test)]
        {
            self.looked_at += 1;
        }
        let facts = Rc::new(Facts::of(ruleset, elements));
        let is_list = |element: &Element| matches!(element.at, At::List(_));
        if !elements.is_empty() && !elements.iter().any(is_list) {
            self.found.insert(elements.as_ptr(), Rc::clone(&facts));
        }
        facts
    }
}

impl Facts {
    fn of(ruleset: &Ruleset, elements: &[Element]) -> Self {
        let (mut twice, mut single) = (Vec::new(), 0);
        let mut lists: FxHashMap<_, usize> = FxHashMap::default();
        for (position, element) in elements.iter().enumerate() {
            match &element.at {
                At::Prefix(net) => single += usize::from(is_single(net)),
                At::List(name) => {
                    let times = lists.entry(name).or_default();
                    *times += 1;
                    if *times == 2 {
                        twice.push(position);
                    }
                }
            }
        }
        let nets = elements.iter().enumerate();
        let nets = nets.filter_map(|(position, element)| match &element.at {
            At::Prefix(net) => Some((position, *net)),
            At::List(_) => None,
        });
        let mut seen = FxHashSet::default();
        for one in duplicates(nets) {
            let at = elements.get(one.again).map(|element| &element.at);
            if let Some(At::Prefix(net)) = at
                && is_single(net)
            {
                single -= 1;
            }
            if seen.insert(one.first) {
                twice.push(one.again);
            }
        }
        twice.sort_unstable();
        let twice = twice.into_iter();
        let twice = twice.filter_map(|position| elements.get(position));
        Self {
            addresses: Rc::new(AddressSet::new(ruleset.prefixes(elements))),
            twice: twice.map(|element| element.at.clone()).collect(),
            single,
        }
    }
}

fn is_single(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

fn warnings(ruleset: &Ruleset, known: &mut KnownFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    let allow = known.facts(ruleset, &ruleset.allow);
    warn_of_twice(&mut warnings, "the allow list", &allow);
    for (name, zone) in &ruleset.zones {
        let place = format!("the allow list of zone `{name}`");
        warn_of_twice(&mut warnings, &place, &known.facts(ruleset, &zone.allow));
    }
    for (name, list) in &ruleset.lists {
        let nets = list.elements.iter().map(|element| element.prefix);
        let mut seen = FxHashSet::default();
        let again = duplicates(nets.enumerate()).into_iter();
        let again = again.filter(|one| seen.insert(one.first));
        let twice = again.filter_map(|one| list.elements.get(one.again));
        let twice: Vec<_> = twice.map(|element| element.prefix).collect();
        warn_of_duplicates(&mut warnings, &format!("list `{name}`"), &twice);
    }

    let allow = AllowLists::new(ruleset);
    let mut covered = CoveredRules::new(ruleset);
    for (position, rule) in ruleset.rules.iter().enumerate() {
        let facts = known.facts(ruleset, &rule.matches);
        let spared = known.facts(ruleset, &rule.except);
        entries(&mut warnings, rule, &facts, &spared);
        let matched = Rc::clone(&facts.addresses);
        if rule.except.is_empty() {
            allow.undoes(&mut warnings, rule, &matched);
            covered.add(position, rule, matched);
            continue;
        }
        outside(&mut warnings, ruleset, rule, &matched);
        let effective = matched.without(&spared.addresses);
        if effective.is_empty() && !matched.is_empty() {
            warnings.push(format!(
                "rule `{}`: its exceptions leave nothing of it",
                rule.name
            ));
        }
        allow.undoes(&mut warnings, rule, &matched);
        covered.add(position, rule, Rc::new(effective));
    }
    covered.find(&mut warnings);
    warnings.extend(special::warnings(ruleset));
    warnings
}

/// Warns about a rule's own elements, without other rules.
fn entries(warnings: &mut Vec<String>, rule: &Rule, matched: &Facts, spared: &Facts) {
    let name = &rule.name;
    warn_of_twice(warnings, &format!("`match` of rule `{name}`"), matched);
    warn_of_twice(warnings, &format!("`except` of rule `{name}`"), spared);
    if !rule.action.drops() {
        return;
    }
    let single = matched.single;
    if rule.expires.is_none() && single > 0 {
        let single = counted(single, "single address", "single addresses");
        warnings.push(format!(
            "rule `{name}` blocks {single} without an end, and dynamic addresses change hands"
        ));
    }
}

fn warn_of_twice(warnings: &mut Vec<String>, place: &str, facts: &Facts) {
    let texts: Vec<_> = facts
        .twice
        .iter()
        .map(|at| match at {
            At::Prefix(net) => net.to_string(),
            At::List(list) => format!("@{list}"),
        })
        .collect();
    warn_of_duplicates(warnings, place, &texts);
}

fn warn_of_duplicates<T: ToString>(warnings: &mut Vec<String>, place: &str, duplicates: &[T]) {
    if !duplicates.is_empty() {
        warnings.push(format!(
            "{place} holds more than once: {}",
            named(duplicates)
        ));
    }
}

/// Warns about exceptions that contain no address that the rule could match, as far as known.
fn outside(warnings: &mut Vec<String>, ruleset: &Ruleset, rule: &Rule, matched: &AddressSet) {
    if ruleset.is_unread(&rule.matches) {
        return;
    }
    let nets = ruleset.prefixes(&rule.except);
    let outside: Vec<_> = nets.filter(|net| !matched.touches(*net)).collect();
    if !outside.is_empty() {
        warnings.push(format!(
            "rule `{}`: exceptions outside its `match` spare nothing: {}",
            rule.name,
            named(&outside)
        ));
    }
}

/// The allow lists per zone.
struct AllowLists<'a> {
    global: AddressSet,
    /// Zones with their own allow list: the name, and the union of both lists.
    zones: Vec<(&'a super::ZoneName, AddressSet)>,
}

impl<'a> AllowLists<'a> {
    fn new(ruleset: &'a Ruleset) -> Self {
        let own = ruleset
            .zones
            .iter()
            .filter(|(_, zone)| !zone.allow.is_empty());
        let united = own.map(|(name, zone)| {
            let global = ruleset.prefixes(&ruleset.allow);
            let both = global.chain(ruleset.prefixes(&zone.allow));
            (name, AddressSet::new(both))
        });
        Self {
            global: AddressSet::new(ruleset.prefixes(&ruleset.allow)),
            zones: united.collect(),
        }
    }

    fn undoes(&self, warnings: &mut Vec<String>, rule: &Rule, matched: &AddressSet) {
        if matched.is_empty() {
            return;
        }
        if self.global.covers(matched) {
            warnings.push(format!(
                "rule `{}` has no effect: the allow list covers all of its `match`",
                rule.name
            ));
            return;
        }
        for (zone, allowed) in &self.zones {
            if rule.holds_in(zone) && allowed.covers(matched) {
                warnings.push(format!(
                    "rule `{}` has no effect in zone `{zone}`: the allow lists cover all of its `match`",
                    rule.name
                ));
            }
        }
    }
}

fn named<T: ToString>(items: &[T]) -> String {
    let names: Vec<_> = items.iter().take(NAMED).map(ToString::to_string).collect();
    let names = names.join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}
