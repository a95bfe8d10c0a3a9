//! What an operator should think twice about; none of it is an error.

mod cover;
#[cfg(test)]
mod tests;

use ipnet::IpNet;
use rustc_hash::FxHashSet;

use self::cover::{AddressSet, CoveredRules};
use super::ruleset::{Action, At, Element, Rule, Ruleset};

/// How many addresses a warning names; it says how many more there are.
const NAMED: usize = 5;

/// A block of a shorter IPv4 prefix holds more than 1/256 of all addresses.
const SHORT_V4: u8 = 8;
/// A block of a shorter IPv6 prefix holds more than the largest assignments to one network.
const SHORT_V6: u8 = 19;

/// Warnings about a ruleset, in a stable order, each one sentence with the names.
///
/// Rules are compared with each other up to a fixed amount of work; when that is used up, the last
/// warning says so.
#[must_use]
pub fn lint(ruleset: &Ruleset) -> Vec<String> {
    let mut warnings = Vec::new();
    duplicates(&mut warnings, "the allow list", &ruleset.allow);
    for (name, zone) in &ruleset.zones {
        let place = format!("the allow list of zone `{name}`");
        duplicates(&mut warnings, &place, &zone.allow);
    }
    for (name, list) in &ruleset.lists {
        let twice = repeated(list.elements.iter().map(|element| element.prefix));
        warn_repeated(&mut warnings, &format!("list `{name}`"), &twice);
    }

    let allow = AllowLists::new(ruleset);
    let mut covered = CoveredRules::new(ruleset);
    for (position, rule) in ruleset.rules.iter().enumerate() {
        entries(&mut warnings, rule);
        let matched = AddressSet::new(ruleset.prefixes(&rule.matches));
        if rule.except.is_empty() {
            allow.undoes(&mut warnings, rule, &matched);
            covered.add(position, rule, matched);
            continue;
        }
        outside(&mut warnings, ruleset, rule, &matched);
        let except = AddressSet::new(ruleset.prefixes(&rule.except));
        let effective = matched.without(&except);
        if effective.is_empty() && !matched.is_empty() {
            warnings.push(format!(
                "rule `{}`: its exceptions leave nothing of it",
                rule.name
            ));
        }
        allow.undoes(&mut warnings, rule, &matched);
        covered.add(position, rule, effective);
    }
    covered.find(&mut warnings);
    warnings
}

/// What a rule's own elements show, other rules not looked at.
fn entries(warnings: &mut Vec<String>, rule: &Rule) {
    let name = &rule.name;
    duplicates(
        warnings,
        &format!("`match` of rule `{name}`"),
        &rule.matches,
    );
    duplicates(
        warnings,
        &format!("`except` of rule `{name}`"),
        &rule.except,
    );
    if rule.action != Action::Block {
        return;
    }
    // Lists are left out here: who keeps them also takes addresses off them.
    let own = rule.matches.iter().filter_map(|element| match &element.at {
        At::Prefix(net) => Some(*net),
        At::List(_) => None,
    });
    let short: Vec<_> = own.clone().filter(is_short).collect();
    if !short.is_empty() {
        warnings.push(format!(
            "rule `{name}` blocks very many addresses: {} (shorter than /{SHORT_V4}, in IPv6 \
             than /{SHORT_V6})",
            named(&short)
        ));
    }
    let single = own
        .filter(|net| net.prefix_len() == net.max_prefix_len())
        .collect::<FxHashSet<_>>()
        .len();
    if rule.expires.is_none() && single > 0 {
        let addresses = if single == 1 { "address" } else { "addresses" };
        warnings.push(format!(
            "rule `{name}` blocks {single} single {addresses} without an end, and dynamic \
             addresses change hands"
        ));
    }
}

fn is_short(net: &IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.prefix_len() < SHORT_V4,
        IpNet::V6(net) => net.prefix_len() < SHORT_V6,
    }
}

fn duplicates(warnings: &mut Vec<String>, place: &str, elements: &[Element]) {
    let texts = repeated(elements.iter().map(|element| &element.at));
    let texts: Vec<_> = texts
        .into_iter()
        .map(|at| match at {
            At::Prefix(net) => net.to_string(),
            At::List(list) => format!("@{list}"),
        })
        .collect();
    warn_repeated(warnings, place, &texts);
}

fn warn_repeated<T: ToString>(warnings: &mut Vec<String>, place: &str, repeated: &[T]) {
    if !repeated.is_empty() {
        warnings.push(format!("{place} holds more than once: {}", named(repeated)));
    }
}

/// What comes more than once, each once, in order.
fn repeated<T: Clone + Eq + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut once = FxHashSet::default();
    let mut twice = FxHashSet::default();
    items
        .filter(|item| !once.insert(item.clone()) && twice.insert(item.clone()))
        .collect()
}

/// Exceptions that hold no address that the rule could match, as far as that is known.
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

/// The allow lists as they hold in each zone.
struct AllowLists<'a> {
    global: AddressSet,
    /// Zones with an allow list of their own: name, and both lists united.
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
                "rule `{}` is undone: the allow list holds all of its `match`",
                rule.name
            ));
            return;
        }
        for (zone, allowed) in &self.zones {
            if rule.holds_in(zone) && allowed.covers(matched) {
                warnings.push(format!(
                    "rule `{}` is undone in zone `{zone}`: the allow lists hold all of its `match`",
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
