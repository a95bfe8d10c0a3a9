use ipblock_common::limits::MAX_EXPIRY_CHAIN;
use ipnet::IpNet;
use proptest::prelude::*;

use super::{
    oracle::{NOW, at, dense_ruleset, elements, naive, net, rule, universe, zone},
    *,
};
use crate::{
    Action::{Block, Warn},
    At, Element, Rule, Zone,
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

/// Compares one address with the naive walk, now and around every end of a rule.
fn agrees_at(ruleset: &Ruleset, name: &ZoneName, compiled: &CompiledZone, address: IpAddr) {
    for second in [0, 9, 10, 11, 19, 20, 21, 29, 30, 31].map(|offset| NOW + offset) {
        let expected = naive(ruleset, name, at(second), address);
        match compiled.class_at(address, at(second)) {
            None => assert!(expected.is_nothing(), "{address} at {second}: {expected:?}"),
            Some(class) => {
                assert_eq!(class.verdict, expected.verdict, "{address} at {second}");
                assert_eq!(class.matched, expected.matched, "{address} at {second}");
                assert_eq!(class.excepted, expected.excepted, "{address} at {second}");
                assert!(!expected.is_nothing(), "{address} has a class for nothing");
            }
        }
    }
}

/// Prefixes all over both address spaces, of every length.
fn wide_net() -> impl Strategy<Value = IpNet> {
    // Few distinct leading and trailing bits, so that long prefixes nest in short ones.
    let v4 = (0_u32..4, 0_u32..4, 0_u8..=32).prop_map(|(high, low, len)| {
        let address = (high << 30 | low).into();
        IpNet::from(Ipv4Net::new(address, len).unwrap().trunc())
    });
    let v6 = (0_u128..4, 0_u128..4, 0_u8..=128).prop_map(|(high, low, len)| {
        let address = (high << 126 | low).into();
        IpNet::from(Ipv6Net::new(address, len).unwrap().trunc())
    });
    prop_oneof![v4, v6]
}

fn neighbourhood(net: IpNet) -> Vec<IpAddr> {
    fn around<B: Bits>(prefix: Prefix<B>) -> Vec<IpAddr> {
        let (first, last) = (prefix.first, prefix.last());
        let bits = [first.previous(), Some(first), Some(last), last.next()];
        bits.into_iter().flatten().map(Bits::address).collect()
    }
    match net {
        IpNet::V4(net) => around(u32::prefix(net)),
        IpNet::V6(net) => around(u128::prefix(net)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_agrees_with_the_naive_walk_on_every_address_at_every_time(ruleset in dense_ruleset()) {
        for name in ["default", "edge"].map(zone) {
            let compiled = compile(&ruleset, &name, at(NOW)).unwrap();
            for address in universe() {
                agrees_at(&ruleset, &name, &compiled, address);
            }
        }
    }

    #[test]
    fn it_agrees_with_the_naive_walk_around_prefixes_of_every_length(
        sides in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(wide_net(), 1..6), prop::collection::vec(wide_net(), 0..4)),
            1..5,
        ),
        allow in prop::collection::vec(wide_net(), 0..2),
    ) {
        let element = |net: &IpNet| Element { at: At::Prefix(*net), note: "".into() };
        let rules = (1..).zip(&sides).map(|(id, (block, matches, except))| Rule {
            matches: matches.iter().map(element).collect(),
            except: except.iter().map(element).collect(),
            ..rule(id, &format!("r{id}"), if *block { Block } else { Warn }, &[])
        });
        let mut ruleset = of_rules(rules.collect());
        ruleset.allow = allow.iter().map(element).collect();
        let zone = compiled(&ruleset);
        let nets = sides.iter().flat_map(|(_, matches, except)| matches.iter().chain(except));
        for address in nets.chain(&allow).copied().flat_map(neighbourhood) {
            agrees_at(&ruleset, &ZoneName::default(), &zone, address);
        }
    }

    #[test]
    fn entries_are_sorted_and_none_can_be_left_out(ruleset in dense_ruleset()) {
        let zone = compiled(&ruleset);
        prop_assert!(zone.ipv4.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(zone.ipv6.is_sorted_by(|a, b| a.0 < b.0));
        let answers = |zone: &CompiledZone| -> Vec<ClassId> {
            universe().into_iter().map(|address| zone.lookup(address)).collect()
        };
        let all = answers(&zone);
        for position in 0..zone.ipv4.len() {
            let mut less = zone.clone();
            let entry = less.ipv4.remove(position);
            prop_assert_ne!(answers(&less), all.clone(), "{:?} is redundant", entry);
        }
        for position in 0..zone.ipv6.len() {
            let mut less = zone.clone();
            let entry = less.ipv6.remove(position);
            prop_assert_ne!(answers(&less), all.clone(), "{:?} is redundant", entry);
        }
    }

    #[test]
    fn a_class_ends_with_the_first_of_its_rules_and_every_class_is_made_once(
        ruleset in dense_ruleset(),
    ) {
        let zone = compiled(&ruleset);
        for class in zone.classes.iter().skip(1) {
            let members = class.matched.iter().chain(&class.excepted);
            let ends = members.filter_map(|id| {
                ruleset.rules.iter().find(|rule| rule.id == *id).unwrap().expires
            });
            prop_assert_eq!(class.valid_until, ends.min());
            prop_assert_eq!(zone.classes.iter().filter(|other| *other == class).count(), 1);
        }
    }

    #[test]
    fn entries_per_rule_are_those_whose_class_lists_it(ruleset in dense_ruleset()) {
        let zone = compiled(&ruleset);
        let per_rule = zone.rule_entries();
        for rule in &ruleset.rules {
            let v4 = zone.ipv4.iter().map(|(_, class)| class);
            let entries = v4.chain(zone.ipv6.iter().map(|(_, class)| class));
            let counted = entries.filter(|class| zone.class(**class).unwrap().matched.contains(&rule.id));
            prop_assert_eq!(per_rule.get(&rule.id).copied().unwrap_or(0), counted.count() as u64);
        }
    }
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
    // Nothing is left of the warn rule.
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

#[test]
fn more_classes_than_the_kernel_has_are_refused() {
    // Each of 2^20 addresses in a combination of its own of 20 rules.
    let rules = (0..20).map(|bit: u32| {
        let hosts = (0..1_u32 << 20).filter(|host| host >> bit & 1 == 1);
        let element = |host| Element {
            at: At::Prefix(IpNet::from(IpAddr::from(std::net::Ipv4Addr::from_bits(
                host,
            )))),
            note: "".into(),
        };
        Rule {
            matches: hosts.map(element).collect(),
            ..rule(u64::from(bit) + 1, &format!("r{bit}"), Block, &[])
        }
    });
    let mut ruleset = of_rules(rules.collect());
    ruleset
        .rules
        .push(rule(21, "one", Block, &["255.0.0.1/32"]));
    ruleset
        .rules
        .push(rule(22, "more", Block, &["255.0.0.2/32"]));
    let refused = compile(&ruleset, &ZoneName::default(), at(NOW)).unwrap_err();
    assert!(
        matches!(refused, CompileError::TooManyClasses { .. }),
        "{refused}"
    );
}
