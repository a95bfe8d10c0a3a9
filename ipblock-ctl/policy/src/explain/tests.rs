use std::net::IpAddr;

use ipblock_common::ClassVerdict as Class;
use ipnet::IpNet;
use proptest::prelude::*;

use super::*;
use crate::{
    RuleId,
    compile::oracle::{
        NOW, allowed_by, at, dense_net, dense_ruleset, elements, longest, naive, rule, universe,
        zone,
    },
};

type Named = (RuleId, IpNet, Option<IpNet>);

fn named(explanation: &Explanation<'_>) -> (Option<IpNet>, Vec<Named>) {
    let rules = explanation.rules.iter();
    (
        explanation.allowed_by,
        rules
            .map(|m| (m.rule.id, m.matched, m.excepted_by))
            .collect(),
    )
}

fn naively_named(ruleset: &Ruleset, zone: &ZoneName, address: IpAddr) -> Vec<Named> {
    let live = |rule: &&Rule| rule.is_live(at(NOW)) && rule.holds_in(zone);
    let name = |rule: &Rule| {
        let matched = longest(ruleset, &rule.matches, address)?;
        Some((rule.id, matched, longest(ruleset, &rule.except, address)))
    };
    ruleset.rules.iter().filter(live).filter_map(name).collect()
}

proptest! {
    #[test]
    fn it_names_what_a_naive_walk_names(ruleset in dense_ruleset()) {
        for name in ["default", "edge"].map(zone) {
            let explainer = Explainer::new(&ruleset, &name, at(NOW));
            for address in universe() {
                let explanation = explainer.explain(address);
                let (allowed, rules) = named(&explanation);
                prop_assert_eq!(allowed, allowed_by(&ruleset, &name, address));
                prop_assert_eq!(rules, naively_named(&ruleset, &name, address));

                let drop = ruleset.zone(&name).unwrap().default == DefaultVerdict::Drop;
                let expected = match (naive(&ruleset, &name, at(NOW), address).verdict, drop) {
                    (Class::Allow, _) => (Verdict::Pass, Reason::Allow),
                    (Class::Block, _) => (Verdict::Block, Reason::Rule),
                    (_, true) => (Verdict::Block, Reason::Default),
                    (Class::Warn, false) => (Verdict::Warn, Reason::Rule),
                    (Class::Default, false) => (Verdict::Pass, Reason::Default),
                };
                prop_assert_eq!((explanation.verdict, explanation.reason), expected);
            }
        }
    }

    #[test]
    fn an_index_of_what_is_asked_for_answers_as_one_of_everything(
        ruleset in dense_ruleset(),
        asked in prop::collection::vec(dense_net(), 1..3),
    ) {
        let zone = ZoneName::default();
        let all = Explainer::new(&ruleset, &zone, at(NOW));
        let some = Explainer::about(&ruleset, &zone, at(NOW), asked.iter().copied());
        for whole in &asked {
            prop_assert_eq!(
                some.parts(*whole, &[], usize::MAX),
                all.parts(*whole, &[], usize::MAX)
            );
            for address in universe().into_iter().filter(|address| whole.contains(address)) {
                let (one, other) = (some.explain(address), all.explain(address));
                prop_assert_eq!(named(&one), named(&other));
                prop_assert_eq!((one.verdict, one.reason), (other.verdict, other.reason));
            }
        }
    }

    #[test]
    fn parts_are_the_fewest_that_have_one_explanation_each(
        ruleset in dense_ruleset(),
        whole in dense_net(),
    ) {
        let explainer = Explainer::new(&ruleset, &ZoneName::default(), at(NOW));
        let parts = explainer.parts(whole, &[], usize::MAX).unwrap();
        let of = |address| named(&explainer.explain(address));

        for address in universe().into_iter().filter(|address| whole.contains(address)) {
            let holding: Vec<_> = parts.iter().filter(|part| part.contains(&address)).collect();
            prop_assert_eq!(holding.len(), 1, "{} in {:?}", address, holding);
            prop_assert_eq!(of(address), of(holding[0].network()));
        }
        for pair in parts.windows(2) {
            let halves = pair[0].supernet() == pair[1].supernet();
            prop_assert!(!halves || of(pair[0].network()) != of(pair[1].network()), "{:?}", pair);
        }
        prop_assert_eq!(explainer.parts(whole, &[], parts.len()), Some(parts.clone()));
        prop_assert_eq!(explainer.parts(whole, &[], parts.len() - 1), None);
    }
}

#[test]
fn a_rule_and_its_exception_are_named_by_their_longest_prefix() {
    let ruleset = Ruleset {
        rules: vec![Rule {
            except: elements(["192.0.2.0/28", "192.0.2.7/32"]),
            ..rule(1, "abuse", Action::Block, &["192.0.2.0/24", "192.0.2.0/25"])
        }],
        ..Ruleset::default()
    };
    let explainer = Explainer::new(&ruleset, &ZoneName::default(), at(NOW));
    let explanation = explainer.explain("192.0.2.7".parse().unwrap());
    let expected = (
        RuleId(1),
        "192.0.2.0/25".parse().unwrap(),
        Some("192.0.2.7/32".parse().unwrap()),
    );
    assert_eq!(named(&explanation), (None, vec![expected]));
    assert_eq!(explanation.verdict, Verdict::Pass);
    assert_eq!(explanation.reason, Reason::Default);
}

#[test]
fn a_warn_in_a_dropping_zone_is_dropped_by_the_default() {
    let mut ruleset = Ruleset {
        rules: vec![rule(1, "watch", Action::Warn, &["192.0.2.0/24"])],
        ..Ruleset::default()
    };
    let edge = ruleset.zones.entry(zone("edge")).or_default();
    edge.default = DefaultVerdict::Drop;
    let explainer = Explainer::new(&ruleset, &zone("edge"), at(NOW));
    let explanation = explainer.explain("192.0.2.7".parse().unwrap());
    assert_eq!(explanation.verdict, Verdict::Block);
    assert_eq!(explanation.reason, Reason::Default);
    assert_eq!(explanation.rules.len(), 1);
}

#[test]
fn a_prefix_in_which_nothing_changes_is_one_part() {
    let ruleset = Ruleset {
        rules: vec![Rule {
            // Spares nothing, so nothing changes at its border.
            except: elements(["198.51.100.7/32"]),
            ..rule(1, "abuse", Action::Block, &["192.0.2.0/24"])
        }],
        ..Ruleset::default()
    };
    let explainer = Explainer::new(&ruleset, &ZoneName::default(), at(NOW));
    for text in ["192.0.2.0/25", "192.0.2.0/24", "198.51.100.0/24", "::/0"] {
        let whole: IpNet = text.parse().unwrap();
        assert_eq!(explainer.parts(whole, &[], 1), Some(vec![whole]));
    }
}
