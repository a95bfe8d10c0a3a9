//! The compiler, `check`'s explanation and the difference of two rulesets, compared with one naive
//! walk.

use std::{collections::BTreeSet, net::IpAddr};

use arbitrary::Unstructured;
use ipblock_common::{ClassId, ClassVerdict, class::NO_CLASS};
use ipblock_policy::{
    Rule, Ruleset, ZoneName,
    compile::{CompiledZone, compile as compile_zone},
    explain::Explainer,
};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    difference::check_difference,
    explain::{check_explanation, check_parts},
    naive::{Asks, Judged, judge, named},
    rulesets::{NOW, at, named_prefixes, prefix, ruleset},
    span::{Span, boundaries, joined},
};

/// At every boundary of every prefix, and at every end of a rule, the compiled zone agrees with a
/// walk over all rules. Its entries are minimal, and the changes from another ruleset to this one
/// are counted correctly.
pub fn compile(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(after) = ruleset(&mut bytes) else {
        return;
    };
    let addresses = boundaries(named_prefixes(&after));
    for zone in after.zone_names() {
        // Six rules end at six times at most, which the kernel follows.
        let compiled = compile_zone(&after, &zone, at(NOW)).unwrap();
        check_answers(&after, &zone, &compiled, &addresses);
        check_entries(&compiled);
        check_classes(&after, &compiled);
    }
    if let (Ok(one), Ok(other)) = (prefix(&mut bytes), prefix(&mut bytes)) {
        check_parts(&after, [one, other], &addresses);
    }
    if let Ok(before) = ruleset(&mut Unstructured::new(&data[data.len() / 2..])) {
        check_difference(&before, &after);
    }
}

fn check_answers(
    ruleset: &Ruleset,
    zone: &ZoneName,
    compiled: &CompiledZone,
    addresses: &[IpAddr],
) {
    let ends = ruleset.rules.iter().filter_map(|rule| rule.expires);
    let before = |end: Timestamp| Timestamp::from_nanosecond(end.as_nanosecond() - 1).unwrap();
    let mut moments: BTreeSet<Timestamp> = ends.flat_map(|end| [before(end), end]).collect();
    moments.insert(at(NOW));
    moments.insert(at(NOW + 1_000));
    for moment in moments.into_iter().filter(|moment| *moment >= at(NOW)) {
        let explainer = Explainer::new(ruleset, zone, moment);
        for address in addresses {
            let named = named(ruleset, zone, moment, *address);
            let expected = judge(&named, ruleset.zones[zone].default);
            let what = || format!("{address} in {zone} at {moment} of {ruleset:#?}");
            assert_eq!(answer(compiled, *address, moment), expected, "{}", what());
            check_explanation(&explainer.explain(*address), &named, &expected, what);
        }
    }
}

/// Returns the kernel's verdict in the type of the naive walk.
fn answer(compiled: &CompiledZone, address: IpAddr, moment: Timestamp) -> Judged {
    let class = compiled.class_at(address, moment);
    let asks = match class.map(|class| class.verdict) {
        Some(ClassVerdict::Allow) => Asks::Allow,
        Some(ClassVerdict::Block) => Asks::Block,
        Some(ClassVerdict::Warn) => Asks::Warn,
        Some(ClassVerdict::Default) | None => Asks::Nothing,
    };
    Judged {
        asks,
        drops: compiled.drops(address, moment),
        alerts: class.is_some_and(|class| class.alert),
        matched: class.map(|class| class.matched.clone()).unwrap_or_default(),
        excepted: class
            .map(|class| class.excepted.clone())
            .unwrap_or_default(),
    }
}

fn check_entries(compiled: &CompiledZone) {
    let v4 = compiled
        .ipv4
        .iter()
        .map(|(net, class)| (IpNet::V4(*net), *class));
    let v6 = compiled
        .ipv6
        .iter()
        .map(|(net, class)| (IpNet::V6(*net), *class));
    let entries: Vec<(IpNet, ClassId)> = v4.chain(v6).collect();
    assert!(entries.is_sorted_by_key(|(net, _)| (net.addr(), net.prefix_len())));
    for (net, class) in &entries {
        let inside = |other: &&(IpNet, ClassId)| other.0 != *net && net.contains(&other.0);
        let spans = entries.iter().filter(inside).map(|(net, _)| Span::of(*net));
        assert_ne!(
            joined(spans.collect()),
            [Span::of(*net)],
            "{net} is hidden by others"
        );
        let covers = |other: &&(IpNet, ClassId)| other.0 != *net && other.0.contains(net);
        let cover = entries
            .iter()
            .filter(covers)
            .max_by_key(|(net, _)| net.prefix_len());
        let otherwise = cover.map_or(NO_CLASS, |(_, class)| *class);
        assert_ne!(otherwise, *class, "{net} says what is said already");
        let sibling = net.supernet().and_then(|both| {
            let mut halves = both.subnets(net.prefix_len()).ok()?;
            halves.find(|half| half != net)
        });
        if let Some(sibling) = sibling {
            let both = entries.contains(&(sibling, *class));
            assert!(!both, "{net} and {sibling} could be one entry");
        }
    }
}

/// A class ends with the first of its rules, no two classes are equal, and the entries of each rule
/// are those whose class lists it.
fn check_classes(ruleset: &Ruleset, compiled: &CompiledZone) {
    for (place, class) in compiled.classes.iter().enumerate().skip(1) {
        let is_member =
            |rule: &&Rule| class.matched.contains(&rule.id) || class.excepted.contains(&rule.id);
        let members = ruleset.rules.iter().filter(is_member);
        let ends = members.filter_map(|rule| rule.expires);
        assert_eq!(class.valid_until, ends.min(), "{class:?} of {ruleset:#?}");
        let rest = &compiled.classes[place + 1..];
        assert!(!rest.contains(class), "{class:?} is there twice");
    }
    let entries = compiled.rule_entries();
    for rule in &ruleset.rules {
        let v4 = compiled.ipv4.iter().map(|(_, class)| class);
        let all = v4.chain(compiled.ipv6.iter().map(|(_, class)| class));
        let lists = |class: &&ClassId| {
            let class = compiled.class(**class);
            class.is_some_and(|class| class.matched.contains(&rule.id))
        };
        let expected = all.filter(lists).count() as u64;
        let counted = entries.get(&rule.id).copied().unwrap_or_default();
        assert_eq!(
            counted, expected,
            "entries of {} in {ruleset:#?}",
            rule.name
        );
    }
}
