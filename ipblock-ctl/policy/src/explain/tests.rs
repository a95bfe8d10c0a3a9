use ipnet::IpNet;

use super::*;
use crate::{
    RuleId,
    samples::{NOW, at, elements, rule, zone},
};

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
    let [found] = explanation.rules.as_slice() else {
        panic!("{explanation:?}");
    };
    assert_eq!(found.rule.id, RuleId(1));
    assert_eq!(found.matched, "192.0.2.0/25".parse().unwrap());
    assert_eq!(found.excepted_by, Some("192.0.2.7/32".parse().unwrap()));
    assert_eq!(explanation.verdict, None);
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
    assert_eq!(explanation.verdict, Some(Action::Block));
    assert_eq!(explanation.reason, Reason::Default);
    assert_eq!(explanation.rules.len(), 1);
}

#[test]
fn a_prefix_in_which_nothing_changes_is_one_part() {
    let ruleset = Ruleset {
        rules: vec![Rule {
            // This exception has no effect, so nothing changes at its border.
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
