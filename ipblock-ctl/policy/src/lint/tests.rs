use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::{
    Action::{self, Block, Warn},
    List, ListElement,
    samples::{NOW, at, elements, net, rule, zone},
};

/// A rule without warnings of its own.
fn quiet(name: &str, action: Action, matches: &[&str]) -> Rule {
    Rule {
        expires: Some(at(NOW)),
        ..rule(0, name, action, matches)
    }
}

fn warnings(rules: impl IntoIterator<Item = Rule>) -> Vec<String> {
    lint(&Ruleset {
        rules: rules.into_iter().collect(),
        ..Ruleset::default()
    })
}

#[track_caller]
fn assert_warns(found: &[String], expected: &[&str]) {
    assert_eq!(found, expected);
}

#[test]
fn a_sound_ruleset_gives_no_warning() {
    let mut ruleset = Ruleset {
        rules: vec![
            Rule {
                except: elements(["203.0.113.64/26", "2001:db8:1::/48"]),
                ..rule(1, "abuse", Block, &["203.0.113.0/24", "2001:db8::/32"])
            },
            // Exceeds the first rule, and overlaps its exception.
            rule(2, "watch", Warn, &["203.0.113.0/25", "198.51.100.7/32"]),
        ],
        ..Ruleset::default()
    };
    ruleset.allow = elements(["198.51.100.0/29", "203.0.113.128/25"]);
    assert_warns(&lint(&ruleset), &[]);
    assert_warns(&lint(&Ruleset::default()), &[]);
}

#[test]
fn a_rule_that_another_covers_adds_nothing() {
    let broad = quiet("broad", Block, &["192.0.2.0/25", "192.0.2.128/25"]);
    let narrow = |action| quiet("narrow", action, &["192.0.2.0/24"]);
    let expected = "rule `narrow` adds nothing: rule `broad` holds all of its addresses";
    assert_warns(&warnings([narrow(Warn), broad.clone()]), &[expected]);
    assert_warns(&warnings([broad.clone(), narrow(Block)]), &[expected]);

    let warning = quiet("broad", Warn, &["192.0.2.0/24"]);
    let blocking = quiet("narrow", Block, &["192.0.2.7/32"]);
    assert_warns(&warnings([warning, blocking]), &[]);

    let disabled = Rule {
        enabled: false,
        ..broad.clone()
    };
    assert_warns(&warnings([disabled, narrow(Warn)]), &[]);
    let spared = Rule {
        except: elements(["192.0.2.7/32"]),
        ..broad.clone()
    };
    assert_warns(&warnings([spared, narrow(Warn)]), &[]);
    let elsewhere = Rule {
        zones: vec![zone("edge")],
        ..broad.clone()
    };
    assert_warns(&warnings([elsewhere, narrow(Warn)]), &[]);
    let lasting = Rule {
        expires: Some(at(NOW + 1)),
        ..narrow(Warn)
    };
    assert_warns(&warnings([broad, lasting]), &[]);
}

#[test]
fn of_two_equal_rules_the_later_one_is_named() {
    let found = warnings(["first", "second"].map(|name| quiet(name, Block, &["192.0.2.0/24"])));
    let expected = "rule `second` adds nothing: rule `first` holds all of its addresses";
    assert_warns(&found, &[expected]);
}

#[test]
fn an_exception_outside_its_rule_spares_nothing() {
    let found = warnings([Rule {
        except: elements(["192.0.2.7/32", "198.51.100.0/24", "2001:db8::/32"]),
        ..quiet("abuse", Block, &["192.0.2.0/24"])
    }]);
    let expected = "rule `abuse`: exceptions outside its `match` spare nothing: \
                    198.51.100.0/24, 2001:db8::/32";
    assert_warns(&found, &[expected]);
}

#[test]
fn exceptions_may_leave_nothing_of_a_rule() {
    let found = warnings([Rule {
        except: elements(["192.0.2.0/25", "192.0.2.128/25"]),
        ..quiet("abuse", Block, &["192.0.2.0/24"])
    }]);
    assert_warns(
        &found,
        &["rule `abuse`: its exceptions leave nothing of it"],
    );
}

#[test]
fn an_allow_list_may_undo_a_rule_everywhere_or_in_a_zone() {
    let mut ruleset = Ruleset {
        rules: vec![quiet("abuse", Block, &["192.0.2.0/24"])],
        ..Ruleset::default()
    };
    ruleset.allow = elements(["192.0.2.0/25"]);
    assert_warns(&lint(&ruleset), &[]);

    let edge = ruleset.zones.entry(zone("edge")).or_default();
    edge.allow = elements(["192.0.2.128/25"]);
    let expected =
        "rule `abuse` has no effect in zone `edge`: the allow lists cover all of its `match`";
    assert_warns(&lint(&ruleset), &[expected]);
    ruleset.rules[0].zones = vec![zone("default")];
    assert_warns(&lint(&ruleset), &[]);

    ruleset.allow = elements(["192.0.0.0/16"]);
    let expected = "rule `abuse` has no effect: the allow list covers all of its `match`";
    assert_warns(&lint(&ruleset), &[expected]);
}

#[test]
fn duplicates_are_named_where_they_are() {
    let mut ruleset = Ruleset {
        rules: vec![Rule {
            except: elements(["@office", "192.0.2.7/32", "@office", "@office"]),
            ..quiet(
                "abuse",
                Block,
                &["192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/25"],
            )
        }],
        ..Ruleset::default()
    };
    ruleset.allow = elements(["198.51.100.7/32", "198.51.100.7/32"]);
    let entry = ListElement {
        prefix: net("192.0.2.8/32"),
        note: "".into(),
    };
    let office = List {
        elements: vec![entry.clone(), entry].into(),
        ..List::default()
    };
    ruleset.lists.insert("office".parse().unwrap(), office);
    let expected = [
        "the allow list holds more than once: 198.51.100.7/32",
        "list `office` holds more than once: 192.0.2.8/32",
        "`match` of rule `abuse` holds more than once: 192.0.2.0/24",
        "`except` of rule `abuse` holds more than once: @office",
    ];
    assert_warns(&lint(&ruleset), &expected);
}

#[test]
fn private_addresses_in_a_list_are_warned_about() {
    let mut ruleset = Ruleset {
        rules: vec![quiet("country", Block, &["@au"])],
        ..Ruleset::default()
    };
    let entry = ListElement {
        prefix: net("192.168.0.0/16"),
        note: "".into(),
    };
    let au = List {
        elements: vec![entry].into(),
        ..List::default()
    };
    ruleset.lists.insert("au".parse().unwrap(), au);
    let expected = "rule `country` blocks private addresses: 192.168.0.0/16 (from list @au)";
    assert_warns(&lint(&ruleset), &[expected]);
    assert_warns(&new_warnings(&Ruleset::default(), &ruleset), &[expected]);
}

#[test]
fn single_addresses_blocked_without_an_end_are_counted() {
    let hosts = ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::7/128"];
    let expected = "rule `abuse` blocks 2 single addresses without an end, and dynamic addresses \
                    change hands";
    assert_warns(&warnings([rule(1, "abuse", Block, &hosts)]), &[expected]);
    assert_warns(&warnings([rule(1, "watch", Warn, &hosts)]), &[]);
    assert_warns(&warnings([quiet("abuse", Block, &hosts)]), &[]);
    let twice = warnings([rule(1, "abuse", Block, &["192.0.2.7/32", "192.0.2.7/32"])]);
    let one = "blocks 1 single address without an end";
    assert!(twice.iter().any(|said| said.contains(one)), "{twice:?}");
}

#[test]
fn comparing_stops_when_there_are_too_many_rules_with_too_many_addresses() {
    // Every rule covers all addresses of each other rule except the last one.
    let hosts = (0..4_000_u32)
        .map(|host| IpNet::from(IpAddr::from(Ipv4Addr::from_bits((1 << 24) + host * 2))));
    let shared: Vec<_> = hosts.collect();
    let rules = (0..100_u32).map(|index| {
        let own = IpNet::from(IpAddr::from(Ipv4Addr::from_bits((3 << 24) + 2 * index)));
        let element = |net| Element {
            at: At::Prefix(net),
            note: "".into(),
        };
        Rule {
            matches: shared.iter().copied().chain([own]).map(element).collect(),
            ..quiet(&format!("r{index}"), Block, &[])
        }
    });
    let found = warnings(rules);
    let expected = "rules from `r50` on were not compared with the others: there are too many";
    assert_warns(&found, &[expected]);
}

#[test]
fn what_two_rulesets_share_is_looked_at_once_and_told_by_neither() {
    let big = rule(
        1,
        "big",
        Block,
        &["192.0.2.1/32", "192.0.2.2/32", "192.0.2.1/32"],
    );
    let before = Ruleset {
        rules: vec![big],
        ..Ruleset::default()
    };
    let mut after = before.clone();
    after.rules.push(rule(2, "new", Block, &["203.0.113.7/32"]));
    let expected = "rule `new` blocks 1 single address without an end, and dynamic addresses \
                    change hands";
    assert_warns(&new_warnings(&before, &after), &[expected]);
    assert_warns(&new_warnings(&after, &after), &[]);

    let mut known = KnownFacts::default();
    super::warnings(&before, &mut known);
    let of_before = known.looked_at;
    super::warnings(&after, &mut known);
    // Lists without elements are checked each time: the allow list and the exceptions.
    assert_eq!(known.looked_at - of_before, 1 + 1 + 2);
}
