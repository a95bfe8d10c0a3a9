use num_bigint::BigUint;

use super::*;
use crate::{Action, DefaultVerdict};
use crate::{
    Zone,
    compile::{CompiledZone, compile},
    samples::{NOW, at, elements, rule, zone},
};

fn of_rules(rules: Vec<Rule>) -> Ruleset {
    Ruleset {
        rules,
        ..Ruleset::default()
    }
}

fn lines(diff: &RulesetDiff) -> Vec<String> {
    let rules = diff.rules.iter().flat_map(|change| {
        let head = format!("{:?} {}", change.kind, change.name);
        std::iter::once(head).chain(change.detail.iter().map(|line| format!("  {line}")))
    });
    rules.chain(diff.other.iter().cloned()).collect()
}

#[test]
fn a_changed_rule_is_described_field_by_field() {
    let before = of_rules(vec![rule(
        1,
        "abuse",
        Action::Warn,
        &["198.51.100.7/32", "192.0.2.0/24"],
    )]);
    let mut after = of_rules(vec![Rule {
        except: elements(["@office"]),
        expires: Some("2026-12-24T18:00:00Z".parse().unwrap()),
        note: "ticket 42".to_owned(),
        enabled: false,
        zones: vec![zone("edge")],
        ..rule(
            1,
            "abusers",
            Action::Block,
            &["192.0.2.0/24", "203.0.113.0/24"],
        )
    }]);
    let expected = [
        "Changed abusers",
        "  renamed from `abuse`",
        "  action: warn -> block",
        "  match: +203.0.113.0/24, -198.51.100.7/32",
        "  except: +@office",
        "  expires: never -> 2026-12-24T18:00:00Z",
        "  note: \"\" -> \"ticket 42\"",
        "  enabled: true -> false",
        "  zones: all -> edge",
    ];
    assert_eq!(lines(&diff(&before, &after)), expected);

    after.rules[0].id = RuleId(2);
    let kinds = diff(&before, &after)
        .rules
        .into_iter()
        .map(|change| change.kind);
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        [ChangeKind::Added, ChangeKind::Removed]
    );
}

#[test]
fn a_rule_without_identity_is_the_one_with_its_name() {
    let before = of_rules(vec![rule(7, "abuse", Action::Warn, &["192.0.2.0/24"])]);
    let after = of_rules(vec![rule(0, "abuse", Action::Block, &["192.0.2.0/24"])]);
    let expected = ["Changed abuse", "  action: warn -> block"];
    assert_eq!(lines(&diff(&before, &after)), expected);
}

#[test]
fn one_name_with_two_identities_is_two_rules() {
    let before = of_rules(vec![rule(7, "abuse", Action::Block, &["192.0.2.0/24"])]);
    let after = of_rules(vec![rule(8, "abuse", Action::Block, &["192.0.2.0/24"])]);
    let expected = [
        "Added abuse",
        "  action: block",
        "  match: +192.0.2.0/24",
        "Removed abuse",
        "  action: block",
        "  match: -192.0.2.0/24",
    ];
    assert_eq!(lines(&diff(&before, &after)), expected);
}

#[test]
fn many_elements_are_counted_after_the_first_ten() {
    let nets: Vec<_> = (0..12).map(|host| format!("192.0.2.{host}/32")).collect();
    let before = of_rules(vec![rule(1, "abuse", Action::Block, &[])]);
    let mut after = before.clone();
    after.rules[0].matches = elements(nets.iter().map(String::as_str));
    let line = &diff(&before, &after).rules[0].detail[0];
    assert!(line.starts_with("match: +192.0.2.0/32, "), "{line}");
    assert!(line.ends_with("+192.0.2.9/32 and 2 more"), "{line}");
}

#[test]
fn allow_lists_zones_and_lists_are_described_in_a_line_each() {
    let mut before = Ruleset {
        allow: elements(["192.0.2.1/32"]),
        ..Ruleset::default()
    };
    before
        .lists
        .insert("old".parse().unwrap(), crate::List::default());
    let mut after = Ruleset {
        allow: elements(["192.0.2.2/32"]),
        ..Ruleset::default()
    };
    after.zones.insert(
        zone("edge"),
        Zone {
            default: DefaultVerdict::Drop,
            allow: elements(["@office"]),
            ..Zone::default()
        },
    );
    let office = after.lists.entry("office".parse().unwrap()).or_default();
    office.elements.push(crate::ListElement {
        prefix: "203.0.113.0/24".parse().unwrap(),
        note: "".into(),
    });
    let expected = [
        "allow: +192.0.2.2/32, -192.0.2.1/32",
        "zone `edge`: added",
        "zone `edge`: default: pass -> drop",
        "zone `edge`: allow: +@office",
        "list `office`: added",
        "list `office`: 1 prefix more: +203.0.113.0/24",
        "list `old`: removed",
    ];
    assert_eq!(lines(&diff(&before, &after)), expected);
}

#[test]
fn a_list_says_how_many_prefixes_come_and_go_and_where_they_come_from() {
    let list = |text: &str| {
        let text = format!("[list.feed]\n{text}");
        crate::document::parse(&text, "rules.toml", false).unwrap()
    };
    let said = |before: &str, after: &str| lines(&diff(&list(before), &list(after)));
    let one = "match = [\"192.0.2.1\"]";
    assert_eq!(
        said(one, "match = [\"192.0.2.2\", \"192.0.2.3\"]"),
        ["list `feed`: 2 prefixes more, 1 fewer: +192.0.2.2/32, +192.0.2.3/32, -192.0.2.1/32"]
    );
    let read = format!("file = \"x.txt\"\n{one}");
    assert_eq!(
        said(one, &read),
        ["list `feed`: file: none, kept by hand -> x.txt"]
    );
    assert_eq!(
        said(&read, &read.replace("x.txt", "y.txt")),
        ["list `feed`: file: x.txt -> y.txt"]
    );
    let noted = "match = [{ at = \"192.0.2.1\", note = \"x\" }]";
    assert_eq!(said(one, noted), ["list `feed`: note of 1 element"]);
    let added = diff(&Ruleset::default(), &list(&read));
    assert_eq!(
        lines(&added),
        [
            "list `feed`: added, read from x.txt",
            "list `feed`: 1 prefix more: +192.0.2.1/32"
        ]
    );
}

fn empty_zone(default: DefaultVerdict) -> CompiledZone {
    let mut ruleset = Ruleset::default();
    let settings = ruleset.zones.entry(zone("default")).or_default();
    settings.default = default;
    compile(&ruleset, &zone("default"), at(NOW)).unwrap()
}

#[test]
fn switching_a_zone_to_drop_changes_every_address_of_both_families() {
    let (pass, drop) = (
        empty_zone(DefaultVerdict::Pass),
        empty_zone(DefaultVerdict::Drop),
    );
    let all = (BigUint::from(1_u8) << 128_u32) + (BigUint::from(1_u8) << 32_u32);
    let there = diff_addresses(&[(&pass, &drop)]);
    assert_eq!(
        (there.newly_blocked, there.newly_passed),
        (all.clone(), BigUint::default())
    );
    let back = diff_addresses(&[(&drop, &pass)]);
    assert_eq!(
        (back.newly_blocked, back.newly_passed),
        (BigUint::default(), all)
    );
}

#[test]
fn what_only_moves_or_comes_twice_neither_comes_nor_goes() {
    let said = |before: &[&str], after: &[&str]| {
        let of = |nets| of_rules(vec![rule(1, "abuse", Action::Block, nets)]);
        lines(&diff(&of(before), &of(after)))
    };
    let (a, b, c) = ("192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32");
    let same = "  match: the same elements in another order or number";
    assert_eq!(said(&[a, b, c], &[b, c, a]), ["Changed abuse", same]);
    assert_eq!(said(&[a, b], &[a, b, a]), ["Changed abuse", same]);
    assert_eq!(said(&[a, b, a], &[a, b]), ["Changed abuse", same]);
    let line = format!("  match: +{c}, -{b}");
    assert_eq!(said(&[a, b, a], &[a, c]), ["Changed abuse", &line]);
}
