//! Selects the addresses of a ruleset to write.

use std::borrow::Cow;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    address::{aggregate, range_to_prefixes},
    name::ListName,
    prefix::{Bits, Prefix, RangeSet, by_family},
    ruleset::{At, Element, List, ListElement, Rule, Ruleset},
};

/// The content of an export.
#[derive(Clone, Copy, Debug)]
pub enum Selection<'a> {
    /// The addresses that the ruleset blocks.
    All,
    /// The addresses that a rule matches.
    Rule(&'a Rule),
    /// The content of a list.
    List(&'a ListName, &'a List),
    /// The content of the allow list for all zones.
    Allow,
}

/// Returns the prefixes of a selection at a time, with their notes.
///
/// - [`Selection::All`]: what live block rules match and do not except. These are minimal prefixes,
///   so they have no notes. Allow lists do not change the result.
/// - [`Selection::Rule`]: what it matches, in order. If an exception overlaps an element, the rest
///   of that element.
/// - A list or the allow list: unchanged.
#[must_use]
pub fn elements(ruleset: &Ruleset, selection: Selection<'_>, now: Timestamp) -> Vec<ListElement> {
    match selection {
        Selection::All => blocked(ruleset, now),
        Selection::Rule(rule) => of_rule(ruleset, rule),
        Selection::List(_, list) => list.elements.to_vec(),
        Selection::Allow => resolved(ruleset, &ruleset.allow)
            .map(Cow::into_owned)
            .collect(),
    }
}

/// Returns elements with named lists resolved, in order, including duplicates.
pub(super) fn resolved<'r>(
    ruleset: &'r Ruleset,
    elements: &'r [Element],
) -> impl Iterator<Item = Cow<'r, ListElement>> {
    elements.iter().flat_map(|element| {
        let (one, list) = match &element.at {
            At::Prefix(prefix) => {
                let (prefix, note) = (*prefix, element.note.clone());
                (Some(Cow::Owned(ListElement { prefix, note })), None)
            }
            At::List(name) => (None, ruleset.lists.get(name)),
        };
        let listed = list.into_iter().flat_map(|list| &list.elements);
        one.into_iter().chain(listed.map(Cow::Borrowed))
    })
}

fn blocked(ruleset: &Ruleset, now: Timestamp) -> Vec<ListElement> {
    let blocking = |rule: &&Rule| rule.action.drops() && rule.is_live(now);
    let mut prefixes = Vec::new();
    for rule in ruleset.rules.iter().filter(blocking) {
        let (ipv4, ipv6) = by_family(ruleset.prefixes(&rule.matches));
        let (except4, except6) = by_family(ruleset.prefixes(&rule.except));
        push_rest(&ipv4, &RangeSet::of_prefixes(&except4), &mut prefixes);
        push_rest(&ipv6, &RangeSet::of_prefixes(&except6), &mut prefixes);
    }
    let unnoted = |prefix| ListElement {
        prefix,
        note: "".into(),
    };
    aggregate(prefixes).into_iter().map(unnoted).collect()
}

fn of_rule(ruleset: &Ruleset, rule: &Rule) -> Vec<ListElement> {
    let (except4, except6) = by_family(ruleset.prefixes(&rule.except));
    let except4 = RangeSet::of_prefixes(&except4);
    let except6 = RangeSet::of_prefixes(&except6);
    let mut left = Vec::new();
    for element in resolved(ruleset, &rule.matches) {
        let mut rest = Vec::new();
        match element.prefix {
            IpNet::V4(net) => push_rest(&[u32::prefix(net)], &except4, &mut rest),
            IpNet::V6(net) => push_rest(&[u128::prefix(net)], &except6, &mut rest),
        }
        left.extend(rest.into_iter().map(|prefix| ListElement {
            prefix,
            note: element.note.clone(),
        }));
    }
    left
}

/// Adds the part of `matches` outside of `except`.
fn push_rest<B: Bits>(matches: &[Prefix<B>], except: &RangeSet<B>, out: &mut Vec<IpNet>) {
    let untouched = |prefix: &Prefix<B>| !except.touches((prefix.first, prefix.last()));
    out.extend(matches.iter().copied().filter(untouched).map(Prefix::net));
    let mut touched = matches.to_vec();
    touched.retain(|prefix| !untouched(prefix));
    for (first, last) in RangeSet::of_prefixes(&touched).without(except).ranges() {
        let rest = range_to_prefixes(first.address(), last.address());
        out.extend(rest.into_iter().flatten());
    }
}
