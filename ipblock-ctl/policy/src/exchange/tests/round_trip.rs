//! What is written can be read back.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    Action, Ruleset, ZoneName,
    document::{self, tests::round_trip::ruleset},
    explain::Explainer,
    ruleset::ListElement,
};

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn elements_of(notes: &'static str) -> impl Strategy<Value = Vec<ListElement>> {
    let prefix = (any::<u128>(), any::<bool>(), 0_u8..=128).prop_map(|(bits, is_ipv4, length)| {
        let (address, length) = if is_ipv4 {
            let [.., a, b, c, d] = bits.to_be_bytes();
            (IpAddr::from([a, b, c, d]), length % 33)
        } else {
            // Not an IPv4-mapped one.
            (IpAddr::from((bits | 1 << 126).to_be_bytes()), length.max(2))
        };
        IpNet::new(address, length).unwrap().trunc()
    });
    let element = (prefix, notes).prop_map(|(prefix, note)| ListElement {
        prefix,
        note: note.trim().into(),
    });
    prop::collection::vec(element, 0..20).prop_map(|mut elements| {
        let mut seen = std::collections::HashSet::new();
        elements.retain(|element| seen.insert(element.prefix));
        elements
    })
}

fn list(elements: &[ListElement]) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let list = crate::List::by_hand(elements.to_vec());
    ruleset.lists.insert("feed".parse().unwrap(), list);
    ruleset
}

proptest! {
    #[test]
    fn plain_text_is_read_back(elements in elements_of("[a-z ,;\"{}=0-9.:]{0,12}")) {
        // A note that begins like a comment loses its mark.
        let elements: Vec<_> = elements.into_iter().map(|mut element| {
            element.note = element.note.trim_start_matches([';', ' ']).into();
            element
        }).collect();
        let parsed = read_text(&plain(&elements), Some(FileFormat::Plain));
        prop_assert_eq!(parsed.refused, []);
        prop_assert_eq!(parsed.elements, elements);
    }

    #[test]
    fn csv_is_read_back(elements in elements_of("[a-z ,;\"{}=0-9.:\n\t']{0,12}")) {
        let ruleset = list(&elements);
        let (name, held) = ruleset.lists.iter().next().unwrap();
        let text = csv(&ruleset, Selection::List(name, held), now());
        let parsed = read_text(&text, None);
        prop_assert_eq!(parsed.format, FileFormat::Csv);
        prop_assert_eq!(parsed.refused, []);
        prop_assert_eq!(parsed.elements, elements, "{}", text);
    }

    #[test]
    fn ipset_is_read_back(elements in elements_of("[a-z ,;{}=0-9.:']{0,12}")) {
        let elements: Vec<_> =
            elements.into_iter().filter(|element| element.prefix.prefix_len() > 0).collect();
        let parsed = read_text(&ipset(&elements), None);
        prop_assert_eq!(parsed.format, FileFormat::Ipset);
        prop_assert_eq!(parsed.refused, []);
        let (mut ipv4, ipv6): (Vec<_>, Vec<_>) =
            elements.into_iter().partition(|element| element.prefix.addr().is_ipv4());
        ipv4.extend(ipv6);
        prop_assert_eq!(parsed.elements, ipv4);
    }

    #[test]
    fn nft_holds_the_same_addresses(elements in elements_of("")) {
        let parsed = read_text(&nft(&elements), None);
        prop_assert_eq!(parsed.format, FileFormat::Nft);
        prop_assert_eq!(parsed.refused, []);
        let read = parsed.elements.iter().map(|element| element.prefix);
        let fewest = crate::address::aggregate(elements.iter().map(|e| e.prefix));
        prop_assert_eq!(read.collect::<Vec<_>>(), fewest);
    }

    #[test]
    fn json_holds_a_whole_ruleset(ruleset in ruleset()) {
        let text = json(&ruleset);
        let toml = ruleset_toml(&text).unwrap();
        prop_assert_eq!(document::parse(&toml, "t", true), Ok(ruleset), "{}", text);
    }

    /// The addresses that are exported as blocked are those that a rule blocks.
    #[test]
    fn what_is_blocked_is_what_block_rules_say(mut ruleset in ruleset()) {
        ruleset.allow.clear();
        ruleset.zones.clear();
        for rule in &mut ruleset.rules {
            rule.zones.clear();
        }
        let blocked = elements(&ruleset, Selection::All, now());
        let zone = ZoneName::default();
        let explainer = Explainer::new(&ruleset, &zone, now());
        let is_blocked = |address: IpAddr| explainer.explain(address).rules.iter().any(|rule| {
            rule.rule.action == Action::Block && rule.excepted_by.is_none()
        });
        for rule in &ruleset.rules {
            for prefix in ruleset.prefixes(&rule.matches).chain(ruleset.prefixes(&rule.except)) {
                for address in [prefix.network(), prefix.broadcast()] {
                    let written = blocked.iter().any(|element| element.prefix.contains(&address));
                    prop_assert_eq!(written, is_blocked(address), "{}", address);
                }
            }
        }
    }
}

#[test]
fn a_rule_is_written_without_what_it_excepts_and_keeps_its_notes() {
    let text = "[list.feed]\nmatch = [{ at = \"198.51.100.0/24\", note = \"feed\" }]\n[[rule]]\n\
        name = \"a\"\naction = \"warn\"\nmatch = [{ at = \"192.0.2.0/30\", note = \"n\" }, \"@feed\"]\n\
        except = [\"192.0.2.1\"]\nexpires = \"2030-01-01T00:00:00Z\"\n";
    let ruleset = document::parse(text, "t", false).unwrap();
    let rule = Selection::Rule(&ruleset.rules[0]);
    assert_eq!(
        plain(&elements(&ruleset, rule, now())),
        "192.0.2.0/32 # n\n192.0.2.2/31 # n\n198.51.100.0/24 # feed\n"
    );
    assert_eq!(
        csv(&ruleset, rule, now()),
        "rule,action,address,kind,note,expires\n\
         a,warn,192.0.2.0/30,match,n,2030-01-01T00:00:00Z\n\
         a,warn,198.51.100.0/24,match,feed,2030-01-01T00:00:00Z\n\
         a,warn,192.0.2.1/32,except,,2030-01-01T00:00:00Z\n"
    );
    assert_eq!(
        elements(&ruleset, Selection::All, now()),
        [],
        "it blocks nothing"
    );
}

#[test]
fn comments_of_ipset_hold_what_ipset_can_hold() {
    let element = ListElement {
        prefix: "0.0.0.0/0".parse().unwrap(),
        note: format!("a \"b\"\nc{}", "é".repeat(200)).into(),
    };
    let text = ipset(&[element]);
    let comment = format!("a 'b' c{}", "é".repeat(124));
    assert!(
        text.contains(&format!("add ipblock4 0.0.0.0/1 comment \"{comment}\"\n")),
        "{text}"
    );
    assert!(text.contains("add ipblock4 128.0.0.0/1 comment"), "{text}");
}
