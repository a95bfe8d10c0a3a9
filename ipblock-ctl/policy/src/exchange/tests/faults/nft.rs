//! Scripts and listings of nft, as text and as JSON.

use std::fmt::Write as _;

use super::*;

#[test]
fn f04_sets_within_rules_never_count() {
    let text = "define s = { 192.0.2.7, 198.51.100.0/24 }\nadd element inet fw blk $s\n\
                add rule inet fw input ip saddr { 203.0.113.77 } accept\n";
    let parsed = read_text(text, None);
    assert_eq!(
        pairs(&parsed),
        expected(&[("192.0.2.7/32", ""), ("198.51.100.0/24", "")])
    );
    assert_eq!(parsed.refused, []);
    assert_eq!(passed_over(&parsed), [("rules", 1)]);
}

#[test]
fn f29_a_variable_counts_where_a_set_uses_it() {
    let text = "define office = { 192.0.2.250 }\ntable ip t {\n set s {\n type ipv4_addr\n \
                elements = { 203.0.113.7 }\n }\n}\n";
    let parsed = read_text(text, None);
    assert_eq!(pairs(&parsed), expected(&[("203.0.113.7/32", "")]));
    assert_eq!(passed_over(&parsed), [("define office", 1)]);
    let one_line = "define office = { 192.0.2.250 }\n\
        table ip t { set s { type ipv4_addr; elements = { 203.0.113.7 } } }\n";
    assert_eq!(prefixes(one_line), ["203.0.113.7/32"]);
    // Nothing but variables.
    let alone = "define a = { 192.0.2.1, 192.0.2.2 }\ndefine b = 198.51.100.0/24\n\
                 redefine a = { 192.0.2.3 }\ndefine c = { 203.0.113.1 }\nundefine c\n";
    assert_eq!(prefixes(alone), ["192.0.2.3/32", "198.51.100.0/24"]);
    // A variable and rules: there is no set.
    let rules = "define office = { 192.0.2.250 }\ntable ip t { chain c {\n ip saddr $office accept\n\
                 ip saddr { 192.0.2.1, 192.0.2.2 } drop\n } }\n";
    let parsed = read_text(rules, None);
    assert_eq!((parsed.refused.len(), parsed.elements.len()), (0, 0));
    assert_eq!(passed_over(&parsed), [("rules", 2), ("define office", 1)]);
}

#[test]
fn f29_redefine_replaces_and_undefine_removes() {
    let text = "define a = { 192.0.2.1 }\nadd element t s $a\nredefine a = { 192.0.2.2 }\n\
                add element t s { $a }\nundefine a\nadd element t s $a\n";
    let parsed = read_text(text, None);
    assert_eq!(
        pairs(&parsed),
        expected(&[("192.0.2.1/32", ""), ("192.0.2.2/32", "")])
    );
    assert_eq!(
        problems(&parsed),
        [(6, "$a", "a variable that is not defined")]
    );
}

#[test]
fn f31_a_variable_may_stand_among_addresses() {
    let text = "define a = 192.0.2.1\ndefine b = { $a, 192.0.2.2 }\ntable t { set s {\n\
                type ipv4_addr\nelements = { $b, 203.0.113.7 }\n} }\n";
    assert_eq!(
        prefixes(text),
        ["192.0.2.1/32", "192.0.2.2/32", "203.0.113.7/32"]
    );
    let text = "define a = 192.0.2.1\ntable t { set s {\nelements = $a\n} }\n";
    assert_eq!(prefixes(text), ["192.0.2.1/32"]);
}

#[test]
fn variables_that_grow_without_end_are_refused() {
    let mut text = "define a0 = { 192.0.2.1, 192.0.2.2 }\n".to_owned();
    for n in 0..64 {
        let next = n + 1;
        writeln!(text, "define a{next} = {{ $a{n}, $a{n} }}").unwrap();
    }
    let error = read(text.as_bytes(), None).unwrap_err();
    assert!(matches!(error, ReadError::TooManyDefined { .. }), "{error}");
}

const RULESET: &str = "table inet fw {\n\tset white {\n\t\ttype ipv4_addr\n\t\telements = { \
    192.0.2.10 }\n\t}\n\tset black {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { \
    198.51.100.0/24, 203.0.113.1-203.0.113.2 }\n\t}\n\tset ports {\n\t\ttype inet_service\n\t\t\
    elements = { 22, 80, 443 }\n\t}\n\tmap m {\n\t\ttype ipv4_addr : verdict\n\t\telements = { \
    192.0.2.99 : drop }\n\t}\n}\n";

const RULESET_JSON: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}},
    {"set": {"family": "inet", "name": "white", "table": "fw", "type": "ipv4_addr", "handle": 2,
     "elem": ["192.0.2.10"]}},
    {"set": {"family": "inet", "name": "black", "table": "fw", "type": "ipv4_addr", "handle": 3,
     "flags": ["interval"], "elem": [{"prefix": {"addr": "198.51.100.0", "len": 24}},
     {"range": ["203.0.113.1", "203.0.113.2"]}]}},
    {"set": {"family": "inet", "name": "ports", "table": "fw", "type": "inet_service", "handle": 4,
     "elem": [22, 80, 443]}},
    {"map": {"family": "inet", "name": "m", "table": "fw", "type": "ipv4_addr", "handle": 5,
     "map": "verdict", "elem": [["192.0.2.99", {"drop": null}]]}},
    {"rule": {"family": "inet", "table": "fw", "chain": "c", "expr": [{"match": {"op": "==",
     "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "192.0.2.77"}}]}}]}"#;

#[test]
fn f10_sets_of_nft_are_refused_and_chosen_by_name() {
    for text in [RULESET, RULESET_JSON] {
        let parsed = read_text(text, None);
        assert!(parsed.is_spoilt);
        let refusal = parsed
            .refused
            .iter()
            .find(|refusal| refusal.line == 1)
            .unwrap();
        assert!(
            refusal
                .problem
                .contains("inet fw white (1 entry), inet fw black (2 entries)"),
            "{refusal:?}"
        );
        for name in ["black", "inet fw black"] {
            let parsed = read_sets(text, &[name]);
            assert_eq!(parsed.refused, []);
            assert_eq!(
                pairs(&parsed),
                expected(&[
                    ("198.51.100.0/24", ""),
                    ("203.0.113.1/32", ""),
                    ("203.0.113.2/32", "")
                ])
            );
        }
    }
}

#[test]
fn f22_f32_sets_of_other_types_and_maps_are_refused_once_and_named() {
    for text in [RULESET, RULESET_JSON] {
        let parsed = read_sets(text, &["black", "ports", "m"]);
        let problems = problems(&parsed);
        let said: Vec<(&str, &str)> = problems
            .iter()
            .map(|(_, text, said)| (*text, *said))
            .collect();
        assert_eq!(
            said,
            [
                ("set inet fw ports", "a set of inet_service"),
                ("map inet fw m", "a map")
            ],
            "{text}"
        );
        assert_eq!(parsed.elements.len(), 3);
    }
}

#[test]
fn f25_a_set_of_ports_by_typeof_is_refused() {
    let text = "table t { set p {\n typeof tcp dport\n elements = { 2222 }\n } }";
    assert_refused(text, "a set of tcp dport", "nft list set");
    let text = "table t { set s {\n typeof ip saddr\n elements = { 192.0.2.1 }\n } }";
    assert_eq!(prefixes(text), ["192.0.2.1/32"]);
}

#[test]
fn f30_what_takes_elements_away_is_never_lenient() {
    let add = "add element t s {10.0.24.0/24}\n";
    for after in [
        "delete element t s {10.0.24.0/24}\n",
        "delete set t s\n",
        "delete set ip t s\n",
        "flush set t s\n",
        "destroy table t\n",
        "flush ruleset\n",
    ] {
        let parsed = read_text(&format!("{add}{after}"), None);
        assert!(parsed.is_spoilt, "{after}");
        assert_eq!(parsed.elements, [], "{after}");
        assert_eq!(parsed.refused.len(), 1, "{after}");
    }
    // Nothing was there, or in another table.
    let script = "#!/usr/sbin/nft -f\nflush ruleset\ntable t\ndelete table t\ntable t {\n set s {\n\
                  type ipv4_addr\n elements = { 10.0.24.0/24 }\n }\n}\nflush chain t c\n\
                  delete set ip6 t s\n";
    assert_eq!(prefixes(script), ["10.0.24.0/24"]);
    let json = r#"{"nftables": [{"add": {"element": {"family": "ip", "table": "t", "name": "s",
        "elem": ["10.0.24.1"]}}}, {"flush": {"ruleset": null}}]}"#;
    let parsed = read_text(json, None);
    assert!(parsed.is_spoilt && parsed.elements.is_empty(), "{parsed:?}");
}
