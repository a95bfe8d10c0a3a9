use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    action::Action,
    name::{ListName, RuleName, ZoneName},
    ruleset::{At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, RuleId, Zone},
    source::Source,
};

mod refused;
pub(crate) mod round_trip;

const WHOLE: &str = r#"
[list.office]
match = ["192.0.2.0/28", { at = "2001:db8::1", note = "the \"gateway\"" }]

[allow]
match = ["@office", "::ffff:198.51.100.1"]

[zone.dmz]
default = "drop"
malformed = "drop"
allow = ["203.0.113.0/25"]

[[rule]]
name = "abuse"
action = "block"
match = ["192.0.2.1-192.0.2.6", { at = "198.51.100.0/24", note = "ticket 42" }, "@office"]
except = ["192.0.2.2"]
expires = 2030-12-31T23:59:00+01:00
note = "open tickets"
alert = true
zones = ["default", "dmz"]

[[rule]]
name = "watch"
action = "warn"
match = ["0.0.0.0/0"]
enabled = false
"#;

#[test]
fn every_key_is_read() {
    let ruleset = parse(WHOLE, "rules.toml", false).unwrap();
    let [abuse, watch] = ruleset.rules.as_slice() else {
        panic!("{:?}", ruleset.rules);
    };
    assert_eq!(abuse.name.as_str(), "abuse");
    assert_eq!(abuse.id, RuleId(0));
    assert_eq!(abuse.action, Action::Block);
    let shown: Vec<_> = abuse
        .matches
        .iter()
        .map(|e| (format!("{:?}", e.at), &*e.note))
        .collect();
    assert_eq!(shown.len(), 6, "{shown:?}");
    assert_eq!(shown[4].1, "ticket 42");
    assert_eq!(abuse.expires.unwrap().to_string(), "2030-12-31T22:59:00Z");
    assert_eq!(abuse.note, "open tickets");
    assert!(abuse.enabled && abuse.alert);
    assert_eq!(abuse.zones.len(), 2);
    assert!(!watch.enabled && !watch.alert && watch.zones.is_empty());
    let dmz = &ruleset.zones[&"dmz".parse::<ZoneName>().unwrap()];
    assert_eq!(dmz.default, DefaultVerdict::Drop);
    assert_eq!(dmz.malformed, MalformedPolicy::Drop);
    assert_eq!(dmz.allow.len(), 1);
    let office = &ruleset.lists[&"office".parse::<ListName>().unwrap()];
    assert_eq!(&*office.elements[1].note, "the \"gateway\"");
    assert_eq!(
        ruleset.allow[1].at,
        At::Prefix("198.51.100.1/32".parse().unwrap())
    );
}

#[test]
fn an_empty_document_is_an_empty_ruleset() {
    assert_eq!(
        parse("# nothing\n", "rules.toml", false),
        Ok(Ruleset::default())
    );
    assert_eq!(print(&Ruleset::default()), "");
}

#[test]
fn each_prefix_of_a_range_carries_its_note() {
    let text = "[list.a]\nmatch = [{ at = \"192.0.2.1-192.0.2.3\", note = \"pair\" }]";
    let ruleset = parse(text, "rules.toml", false).unwrap();
    let list = ruleset.lists.values().next().unwrap();
    assert_eq!(list.elements.len(), 2);
    assert!(list.elements.iter().all(|element| &*element.note == "pair"));
}

#[test]
fn a_list_with_a_file_is_unread_until_its_elements_are_given() {
    let alone = "[list.a]\nfile = \"feeds/a.txt\"\n";
    let read = "[list.a]\nfile = \"feeds/a.txt\"\nmatch = [\"192.0.2.0/24\"]\n";
    for (text, unread) in [(alone, true), (read, false)] {
        let ruleset = parse(text, "rules.toml", false).unwrap();
        let list = ruleset.lists.values().next().unwrap();
        assert_eq!(list.source.to_string(), "feeds/a.txt");
        assert_eq!(list.is_unread(), unread);
        assert_eq!(print(&ruleset), text);
    }
}

#[test]
fn a_zone_that_allows_an_unread_list_is_not_taken_as_shut() {
    let zone = "[zone.dmz]\ndefault = \"drop\"\nallow = [\"@a\"]\n";
    let unread = format!("[list.a]\nfile = \"a.txt\"\n{zone}");
    assert!(parse(&unread, "rules.toml", false).is_ok());
    let empty = format!("[list.a]\nmatch = []\n{zone}");
    assert!(parse(&empty, "rules.toml", false).is_err());
}

#[test]
fn a_printed_ruleset_reads_as_a_person_would_have_written_it() {
    let ruleset = parse(WHOLE, "rules.toml", false).unwrap();
    let expected = r#"[list.office]
match = [
    "192.0.2.0/28",
    { at = "2001:db8::1/128", note = "the \"gateway\"" },
]

[allow]
match = ["@office", "198.51.100.1/32"]

[zone.dmz]
default = "drop"
malformed = "drop"
allow = ["203.0.113.0/25"]

[[rule]]
name = "abuse"
action = "block"
match = [
    "192.0.2.1/32",
    "192.0.2.2/31",
    "192.0.2.4/31",
    "192.0.2.6/32",
    { at = "198.51.100.0/24", note = "ticket 42" },
    "@office",
]
except = ["192.0.2.2/32"]
expires = "2030-12-31T22:59:00Z"
note = "open tickets"
alert = true
zones = ["default", "dmz"]

[[rule]]
name = "watch"
action = "warn"
match = ["0.0.0.0/0"]
enabled = false
"#;
    assert_eq!(print(&ruleset), expected);
}

#[test]
fn a_printed_rule_shows_every_key() {
    let mut ruleset = parse(WHOLE, "rules.toml", false).unwrap();
    let watch = ruleset.rules.pop().unwrap();
    let text = print_rule(&watch);
    for key in [
        "name",
        "action",
        "match",
        "except",
        "# expires",
        "note",
        "enabled",
        "alert",
    ] {
        assert!(text.contains(&format!("\n{key} = ")), "{key}: {text}");
    }
    assert!(text.contains("\nzones = []\n"));
    assert_eq!(parse_rule(&text, "rule watch", &ruleset, false), Ok(watch));
}

#[test]
fn many_elements_are_read_as_they_were_printed() {
    let element = |number: u32| Element {
        at: At::Prefix(IpNet::from(std::net::IpAddr::from(
            std::net::Ipv4Addr::from(number * 4001),
        ))),
        note: Box::default(),
    };
    let mut ruleset = parse(WHOLE, "rules.toml", false).unwrap();
    ruleset.rules[0].matches = (0..20_000).map(element).collect();
    let text = print(&ruleset);
    assert_eq!(parse(&text, "rules.toml", false).unwrap(), ruleset);
}
