//! What `check` says, and the parts into which it divides a prefix.

use std::net::IpAddr;

use ipblock_policy::{
    Action, RuleId, Ruleset,
    explain::{Explainer, Explanation, Reason},
};
use ipnet::IpNet;

use crate::{
    naive::{Asks, Judged, Named},
    rulesets::{NOW, at},
    span::{Span, boundaries},
};

pub(crate) fn check_explanation(
    told: &Explanation<'_>,
    named: &Named<'_>,
    judged: &Judged,
    what: impl Fn() -> String,
) {
    let expected = match judged.asks {
        Asks::Allow => (None, Reason::Allow),
        Asks::Block => (Some(Action::Block), Reason::Rule),
        _ if judged.drops => (Some(Action::Block), Reason::Default),
        Asks::Warn => (Some(Action::Warn), Reason::Rule),
        Asks::Nothing => (None, Reason::Default),
    };
    assert_eq!((told.verdict, told.reason), expected, "{}", what());
    let rules = named.rules.iter();
    let rules = rules.map(|(rule, matched, excepted_by)| (rule.id, *matched, *excepted_by));
    let expected = (named.allowed_by, rules.collect());
    assert_eq!(names(told), expected, "{}", what());
}

/// An address's allow entry, and each of its rules with the longest element and exception.
type Names = (Option<IpNet>, Vec<(RuleId, IpNet, Option<IpNet>)>);

fn names(told: &Explanation<'_>) -> Names {
    let rules = told.rules.iter();
    let rules = rules.map(|found| (found.rule.id, found.matched, found.excepted_by));
    (told.allowed_by, rules.collect())
}

/// The parts of a prefix are the fewest with one explanation each. An index for the question gives
/// the same answer as a complete index.
pub(crate) fn check_parts(ruleset: &Ruleset, asked: [IpNet; 2], addresses: &[IpAddr]) {
    for zone in ruleset.zone_names() {
        let all = Explainer::new(ruleset, &zone, at(NOW));
        let some = Explainer::about(ruleset, &zone, at(NOW), asked);
        let of = |address| names(&all.explain(address));
        for whole in asked {
            let parts = all.parts(whole, &[], usize::MAX).unwrap();
            assert_eq!(some.parts(whole, &[], usize::MAX).as_ref(), Some(&parts));
            assert_eq!(all.parts(whole, &[], parts.len()).as_ref(), Some(&parts));
            assert_eq!(all.parts(whole, &[], parts.len() - 1), None);
            let inside = addresses.iter().copied().chain(boundaries([whole]));
            for address in inside.filter(|address| Span::of(whole).holds(*address)) {
                let (one, other) = (some.explain(address), all.explain(address));
                assert_eq!(names(&one), names(&other), "{address} of {ruleset:#?}");
                assert_eq!((one.verdict, one.reason), (other.verdict, other.reason));
                let holding = parts.iter().filter(|part| Span::of(**part).holds(address));
                let holding: Vec<&IpNet> = holding.collect();
                assert_eq!(holding.len(), 1, "{address} in {parts:?} of {whole}");
                assert_eq!(
                    of(address),
                    of(holding[0].network()),
                    "{address} of {ruleset:#?}"
                );
            }
            for pair in parts.windows(2) {
                let are_halves = pair[0].supernet() == pair[1].supernet();
                assert!(
                    !are_halves || of(pair[0].network()) != of(pair[1].network()),
                    "{pair:?} could be one part of {ruleset:#?}"
                );
            }
        }
    }
}
