use ipblock_common::limits::MAX_EXPIRY_CHAIN;
use ipnet::IpNet;

use super::*;
use crate::{
    Action::{Block, Warn},
    Rule, Zone,
    samples::{NOW, at, elements, net, rule, zone},
};

fn of_rules(rules: Vec<Rule>) -> Ruleset {
    Ruleset {
        rules,
        ..Ruleset::default()
    }
}

fn compiled(ruleset: &Ruleset) -> CompiledZone {
    compile(ruleset, &zone("default"), at(NOW)).unwrap()
}

fn ids(numbers: &[u64]) -> Vec<RuleId> {
    numbers.iter().copied().map(RuleId).collect()
}

#[track_caller]
fn assert_class(
    zone: &CompiledZone,
    address: &str,
    verdict: ClassVerdict,
    matched: &[u64],
    excepted: &[u64],
) {
    let class = zone.class(zone.lookup(address.parse().unwrap())).unwrap();
    assert_eq!(class.verdict, verdict);
    assert_eq!(class.matched, ids(matched));
    assert_eq!(class.excepted, ids(excepted));
}

#[track_caller]
fn assert_nothing(zone: &CompiledZone, address: &str) {
    assert_eq!(zone.lookup(address.parse().unwrap()), NO_CLASS);
}

#[test]
fn a_source_in_a_block_rule_and_in_a_warn_rule_raises_both() {
    let zone = compiled(&of_rules(vec![
        rule(2, "watch", Warn, &["203.0.113.0/24", "2001:db8::/32"]),
        rule(1, "abuse", Block, &["203.0.113.7/32", "2001:db8::7/128"]),
    ]));
    assert_class(&zone, "203.0.113.7", ClassVerdict::Block, &[1, 2], &[]);
    assert_class(&zone, "203.0.113.8", ClassVerdict::Warn, &[2], &[]);
    assert_class(&zone, "2001:db8::7", ClassVerdict::Block, &[1, 2], &[]);
    assert_class(&zone, "2001:db8::8", ClassVerdict::Warn, &[2], &[]);
    assert_nothing(&zone, "203.0.114.0");
}

#[test]
fn a_narrow_warn_or_exception_does_not_hide_a_broad_block() {
    let spared = Rule {
        except: elements(["198.51.100.7/32"]),
        ..rule(3, "feed", Block, &["198.51.100.0/28"])
    };
    let zone = compiled(&of_rules(vec![
        rule(1, "country", Block, &["198.51.100.0/24"]),
        rule(2, "watch", Warn, &["198.51.100.7/32"]),
        spared,
    ]));
    assert_class(&zone, "198.51.100.7", ClassVerdict::Block, &[1, 2], &[3]);
    assert_class(&zone, "198.51.100.8", ClassVerdict::Block, &[1, 3], &[]);
    assert_class(&zone, "198.51.100.16", ClassVerdict::Block, &[1], &[]);
}

#[test]
fn allow_wins_over_everything_and_counts_nothing_else() {
    let mut ruleset = of_rules(vec![
        Rule {
            expires: Some(at(NOW + 10)),
            ..rule(1, "all", Block, &["0.0.0.0/0"])
        },
        rule(2, "watch", Warn, &["192.0.2.7/32"]),
    ]);
    ruleset.allow = elements(["192.0.2.0/28"]);
    let zone = compiled(&ruleset);
    // Also inside the allow entry, where a narrower rule begins.
    assert_class(&zone, "192.0.2.7", ClassVerdict::Allow, &[], &[]);
    assert_class(&zone, "192.0.2.0", ClassVerdict::Allow, &[], &[]);
    assert_class(&zone, "192.0.2.16", ClassVerdict::Block, &[1], &[]);
    let allowed = zone
        .class(zone.lookup("192.0.2.7".parse().unwrap()))
        .unwrap();
    assert_eq!((allowed.valid_until, allowed.next), (None, NO_CLASS));
    // The warn rule has no addresses left.
    assert_eq!(zone.rule_entries().get(&RuleId(2)), None);
}

#[test]
fn a_spared_source_has_a_class_with_the_default_so_that_it_is_counted() {
    let zone = compiled(&of_rules(vec![Rule {
        except: elements(["192.0.2.7/32", "198.51.100.0/24"]),
        ..rule(1, "abuse", Block, &["192.0.2.0/24"])
    }]));
    assert_class(&zone, "192.0.2.7", ClassVerdict::Default, &[], &[1]);
    assert_nothing(&zone, "198.51.100.1");
}

#[test]
fn classes_follow_one_another_as_rules_end() {
    let ending = |id, seconds| Rule {
        expires: Some(at(NOW + seconds)),
        ..rule(id, &format!("r{id}"), Block, &["192.0.2.7/32"])
    };
    let ruleset = of_rules(vec![
        ending(1, 10),
        ending(2, 20),
        ending(3, 10),
        ending(4, 0),
        rule(5, "watch", Warn, &["192.0.2.0/24"]),
    ]);
    let zone = compiled(&ruleset);
    let address = "192.0.2.7".parse().unwrap();
    let matched_at = |offset| {
        let class = zone.class_at(address, at(NOW + offset)).unwrap();
        (class.verdict, class.matched.clone())
    };
    assert_eq!(matched_at(9), (ClassVerdict::Block, ids(&[1, 2, 3, 5])));
    assert_eq!(matched_at(10), (ClassVerdict::Block, ids(&[2, 5])));
    assert_eq!(matched_at(20), (ClassVerdict::Warn, ids(&[5])));
}

#[test]
fn when_nothing_is_left_no_class_follows() {
    let zone = compiled(&of_rules(vec![Rule {
        expires: Some(at(NOW + 10)),
        ..rule(1, "abuse", Block, &["192.0.2.7/32"])
    }]));
    let class = zone
        .class(zone.lookup("192.0.2.7".parse().unwrap()))
        .unwrap();
    assert_eq!(
        (class.valid_until, class.next),
        (Some(at(NOW + 10)), NO_CLASS)
    );
    assert_eq!(
        zone.class_at("192.0.2.7".parse().unwrap(), at(NOW + 10)),
        None
    );
    assert_eq!(zone.rule_entries()[&RuleId(1)], 1);
}

#[test]
fn as_many_ends_as_the_kernel_follows_are_possible_and_one_more_is_refused() {
    let staggered = |rules: u32| {
        let rule = |index: u32| Rule {
            expires: Some(at(NOW + 1 + i64::from(index))),
            ..rule(
                index.into(),
                &format!("r{index}"),
                Block,
                &["203.0.113.0/24"],
            )
        };
        of_rules((0..rules).map(rule).collect())
    };
    let zone = compiled(&staggered(MAX_EXPIRY_CHAIN));
    assert_eq!(zone.classes.len(), MAX_EXPIRY_CHAIN as usize + 1);
    let refused = compile(
        &staggered(MAX_EXPIRY_CHAIN + 1),
        &ZoneName::default(),
        at(NOW),
    );
    let error = refused.unwrap_err();
    insta::assert_snapshot!(error, @"rules over 203.0.113.0 end at 33 different times, and at most 32 are possible over one address");
    insta::assert_snapshot!(error.hint().unwrap_or_default(), @"let some of them end together, or narrow their `match`");
}

#[test]
fn what_classes_of_one_zone_list_is_not_there_for_the_next() {
    let ruleset = of_rules(vec![
        rule(1, "a", Block, &["192.0.2.0/24"]),
        rule(2, "b", Warn, &["192.0.2.7/32"]),
    ]);
    let mut taken = Taken::default();
    for zones in 1..=3 {
        compile_within(&ruleset, &ZoneName::default(), at(NOW), &mut taken).unwrap();
        assert_eq!(taken.members, 3 * zones);
    }
    let mut nearly_all = Taken {
        members: MAX_CLASS_MEMBERS - 2,
    };
    let refused = compile_within(&ruleset, &ZoneName::default(), at(NOW), &mut nearly_all);
    let error = refused.unwrap_err();
    insta::assert_snapshot!(error, @"rules overlap too densely (at 192.0.2.7): their combinations, over all zones, list more than 16777216 rules");
    insta::assert_snapshot!(error.hint().unwrap_or_default(), @"unite rules that hold the same addresses, or let rules hold in fewer zones (`zones`)");
}

#[test]
fn an_error_names_its_zone_where_there_are_several() {
    let staggered = (0..=i64::from(MAX_EXPIRY_CHAIN)).map(|index| Rule {
        expires: Some(at(NOW + 1 + index)),
        zones: vec![zone("dmz")],
        ..rule(
            index.unsigned_abs(),
            &format!("r{index}"),
            Block,
            &["203.0.113.0/24"],
        )
    });
    let mut ruleset = of_rules(staggered.collect());
    ruleset.zones.insert(zone("dmz"), Zone::default());
    let error = compile_all(&ruleset, at(NOW)).unwrap_err();
    insta::assert_snapshot!(error, @"zone `dmz`: rules over 203.0.113.0 end at 33 different times, and at most 32 are possible over one address");
    for rule in &mut ruleset.rules {
        rule.expires = None;
    }
    let zones = compile_all(&ruleset, at(NOW)).unwrap();
    let counts: Vec<_> = zones
        .iter()
        .map(|(name, zone)| (name.as_str(), zone.entry_count()))
        .collect();
    assert_eq!(counts, [("default", 0), ("dmz", 1)]);
}

#[test]
fn an_unknown_zone_is_refused_with_the_names_of_those_there_are() {
    let refused = compile(&Ruleset::default(), &zone("edge"), at(NOW));
    let error = refused.unwrap_err();
    insta::assert_snapshot!(error, @"there is no zone `edge`");
    insta::assert_snapshot!(error.hint().unwrap_or_default(), @"zones are default");
}

#[test]
fn halves_unite_and_what_longer_entries_hide_is_left_out() {
    let zone = compiled(&of_rules(vec![
        rule(
            1,
            "a",
            Block,
            &["192.0.2.0/26", "192.0.2.64/26", "192.0.2.128/25"],
        ),
        rule(2, "b", Block, &["198.51.100.0/24"]),
        rule(3, "c", Block, &["198.51.100.0/25", "198.51.100.128/25"]),
    ]));
    let entries: Vec<_> = zone
        .ipv4
        .iter()
        .map(|(entry, _)| IpNet::from(*entry))
        .collect();
    assert_eq!(entries, [net("192.0.2.0/24"), net("198.51.100.0/24")]);
    assert_class(&zone, "198.51.100.200", ClassVerdict::Block, &[2, 3], &[]);
}

#[test]
fn rules_without_an_identity_yet_stay_apart() {
    let zone = compiled(&of_rules(vec![
        rule(0, "a", Block, &["192.0.2.0/24"]),
        rule(0, "b", Warn, &["192.0.2.7/32"]),
    ]));
    assert_class(&zone, "192.0.2.7", ClassVerdict::Block, &[0, 0], &[]);
    assert_class(&zone, "192.0.2.8", ClassVerdict::Block, &[0], &[]);
    assert_eq!(zone.rule_entries()[&RuleId(0)], 2);
}
