//! `parse(print(ruleset)) == ruleset`.

use super::*;
use crate::exchange::ReadOptions;

fn prefix() -> impl Strategy<Value = IpNet> {
    let ipv4 = (any::<u32>(), 1_u8..=32).prop_map(|(address, length)| {
        let address = std::net::Ipv4Addr::from(address);
        IpNet::new(address.into(), length).unwrap().trunc()
    });
    let ipv6 = (any::<u64>(), 1_u8..=128).prop_map(|(low, length)| {
        let address = std::net::Ipv6Addr::from((0x2001_0db8_u128 << 96) | u128::from(low));
        IpNet::new(address.into(), length).unwrap().trunc()
    });
    prop_oneof![ipv4, ipv6]
}

/// Any text, with frequent quotes, backslashes, line ends and control characters.
fn note() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        2 => "[a-z \"'\\\\\r\n\t\u{0}\u{7f}\u{85}\u{feff}#={}]{0,12}",
        1 => any::<String>(),
    ]
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![
        4 => prefix().prop_map(At::Prefix),
        1 => prop_oneof![Just("office"), Just("a.b-c")].prop_map(|n| At::List(n.parse().unwrap())),
    ]
}

fn elements(least: usize) -> impl Strategy<Value = Vec<Element>> {
    let element = (at(), note()).prop_map(|(at, note)| Element {
        at,
        note: note.into(),
    });
    prop::collection::vec(element, least..8)
}

fn list() -> impl Strategy<Value = List> {
    let element = (prefix(), note());
    let element = element.prop_map(|(prefix, note)| ListElement {
        prefix,
        note: note.into(),
    });
    let file = prop_oneof![Just("feed.txt"), Just("a b/\"drop\\.txt")];
    let options = prop_oneof![
        Just(&[][..]),
        Just(&[("format", "csv"), ("column", "1-2"), ("delimiter", "|")][..]),
        Just(&[("where", "a \"b=\\"), ("where", "2=C"), ("set", "x")][..]),
    ];
    let file = (file, options).prop_map(|(path, texts)| {
        let mut options = ReadOptions::default();
        for (key, text) in texts {
            options.put(key, text).unwrap();
        }
        Source::File(path.parse().unwrap(), Box::new(options))
    });
    let source = prop_oneof![Just(Source::Hand), file];
    (source, prop::collection::vec(element, 0..8)).prop_map(|(source, elements)| List {
        source,
        elements: elements.into(),
    })
}

fn zone() -> impl Strategy<Value = Zone> {
    let default = prop_oneof![Just(DefaultVerdict::Pass), Just(DefaultVerdict::Drop)];
    let malformed = prop_oneof![Just(MalformedPolicy::Pass), Just(MalformedPolicy::Drop)];
    (default, malformed, elements(0)).prop_map(|(default, malformed, allow)| Zone {
        default,
        malformed,
        allow: allow.into(),
    })
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let seconds = Timestamp::MIN.as_second()..Timestamp::MAX.as_second();
    (seconds, 0_i32..1_000_000_000)
        .prop_map(|(seconds, nanoseconds)| Timestamp::new(seconds, nanoseconds).unwrap())
}

fn rule() -> impl Strategy<Value = Rule> {
    let zones = prop::sample::subsequence(vec!["default", "dmz", "a.b"], 0..=3);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let expires = prop::option::of(timestamp());
    (elements(1), elements(0), expires, note(), switches, zones).prop_map(
        |(matches, except, expires, note, (warn, enabled, alert), zones)| Rule {
            id: RuleId(0),
            name: "placeholder".parse().unwrap(),
            action: if warn { Action::Warn } else { Action::Block },
            matches: matches.into(),
            except: except.into(),
            expires,
            note,
            enabled,
            alert,
            zones: zones
                .into_iter()
                .map(|zone| zone.parse().unwrap())
                .collect(),
        },
    )
}

/// Any ruleset, with identities 0.
pub(crate) fn ruleset() -> impl Strategy<Value = Ruleset> {
    let rules = prop::collection::vec(rule(), 0..5);
    (
        rules,
        elements(0),
        [zone(), zone()],
        [list(), list()],
        any::<bool>(),
    )
        .prop_map(
            |(mut rules, allow, [dmz, dotted], [office, other], set_default)| {
                for (index, rule) in rules.iter_mut().enumerate() {
                    rule.name = format!("rule.{index}").parse::<RuleName>().unwrap();
                }
                let named = |name: &str, zone: Zone| (name.parse::<ZoneName>().unwrap(), zone);
                let mut zones = BTreeMap::from([named("dmz", dmz), named("a.b", dotted)]);
                if set_default {
                    zones.extend([named("default", Zone::default())]);
                }
                let lists = [("office", office), ("a.b-c", other)];
                let lists = lists.map(|(name, list)| (name.parse::<ListName>().unwrap(), list));
                Ruleset {
                    rules,
                    allow: allow.into(),
                    zones,
                    lists: lists.into(),
                }
            },
        )
}

proptest! {
    #[test]
    fn what_a_ruleset_prints_is_read_back(ruleset in ruleset()) {
        let text = print(&ruleset);
        prop_assert_eq!(parse(&text, "rules.toml", true), Ok(ruleset), "{}", text);
    }

    #[test]
    fn what_a_rule_prints_is_read_back(ruleset in ruleset()) {
        for rule in &ruleset.rules {
            let text = print_rule(rule);
            let read = parse_rule(&text, "rule", &ruleset, true);
            prop_assert_eq!(read.as_ref(), Ok(rule), "{}", text);
        }
    }
}
