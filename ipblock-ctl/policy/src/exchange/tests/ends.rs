//! The end of each entry, in every format that has ends.

use super::*;
use crate::address::End;

fn at(text: &str) -> End {
    End::At(text.parse().unwrap())
}

/// Returns the end of each element.
#[track_caller]
fn ends(text: &str) -> Vec<End> {
    let parsed = read_text(text, None);
    assert_eq!(parsed.refused, [], "{text}");
    let count = parsed.elements.len();
    (0..count).map(|index| parsed.end_of(index)).collect()
}

#[test]
fn ends_of_sets_are_their_remaining_seconds() {
    let ipset = "create s hash:ip timeout 3600\nadd s 192.0.2.1 timeout 595\n\
                 add s 192.0.2.2 timeout 0\nadd s 192.0.2.3\n";
    let wanted = [End::After(595), End::Never, End::After(3600)];
    assert_eq!(ends(ipset), wanted);
    assert_eq!(read_text(ipset, None).timed, 2);
    let nft = "table ip t {\n set s { type ipv4_addr; timeout 1h; elements = { 192.0.2.1 timeout \
               10m expires 9m59s996ms, 192.0.2.2 timeout 0s, 192.0.2.3, 192.0.2.4 expires 0s }\n}\n}\n";
    let wanted = [End::After(600), End::Never, End::After(3600), End::After(0)];
    assert_eq!(ends(nft), wanted);
    let json = r#"{"nftables": [{"set": {"family": "ip", "name": "s", "table": "t",
        "type": "ipv4_addr", "elem": [{"elem": {"val": "192.0.2.1", "timeout": 600,
        "expires": 3}}, "192.0.2.2"], "timeout": 60}}]}"#;
    assert_eq!(ends(json), [End::After(3), End::After(60)]);
}

/// findings/nft-json-last-second.sh: nft rounds down, so an element in its last second has a 0 that
/// does not mean "never".
#[test]
fn a_zero_of_nft_json_is_the_last_second() {
    let elements = r#"{"nftables": [{"set": {"family": "ip", "name": "s", "table": "t",
        "type": "ipv4_addr", "flags": ["timeout"], "elem": [
        {"elem": {"val": "192.0.2.1", "timeout": 0, "expires": 0}},
        {"elem": {"val": "192.0.2.2", "timeout": 3600, "expires": 0}}, "192.0.2.4"]}}]}"#;
    assert_eq!(ends(elements), [End::After(0), End::After(0), End::None]);
}

#[test]
fn ends_of_records_are_times_or_durations() {
    let csv = "ip,expires (UTC)\n192.0.2.1,2030-01-01T00:00:00Z\n192.0.2.2,1893456000\n\
               192.0.2.3,3h59m56.577757657s\n192.0.2.4,-822.640361ms\n192.0.2.5,never\n192.0.2.6,\n\
               192.0.2.7,2030-01-01 00:00:00\n192.0.2.8,3600\n192.0.2.9,2030-01-01 00:00:00 UTC\n";
    let wanted = [
        at("2030-01-01T00:00:00Z"),
        at("2030-01-01T00:00:00Z"),
        End::After(14_397),
        End::After(0),
        End::Never,
        End::None,
        // Local time or UTC; seconds or minutes.
        End::Unreadable,
        End::Unreadable,
        at("2030-01-01T00:00:00Z"),
    ];
    assert_eq!(ends(csv), wanted);
    let json =
        r#"[{"ip": "192.0.2.1", "ttl": 60}, {"ip": "192.0.2.2", "end": "2030-01-01T00:00:00Z"}]"#;
    assert_eq!(ends(json), [End::After(60), at("2030-01-01T00:00:00Z")]);
    let plain = "192.0.2.1 until 2030-01-01T00:00:00Z\n192.0.2.2 ttl=60\n192.0.2.3\n\
                 192.0.2.4 expires in 2 days\n192.0.2.5 timeout 60 comment \"x\"\n";
    let wanted = [
        at("2030-01-01T00:00:00Z"),
        End::After(60),
        End::None,
        End::Unreadable,
        End::After(60),
    ];
    assert_eq!(ends(plain), wanted);
}

#[test]
fn the_end_of_a_rule_is_that_of_its_addresses() {
    let toml = "[[rule]]\nname = \"a\"\naction = \"block\"\nexpires = 2030-01-01T00:00:00Z\n\
                match = [\"192.0.2.1\"]\n[[rule]]\nname = \"b\"\naction = \"block\"\n\
                match = [\"192.0.2.2\"]\n";
    assert_eq!(ends(toml), [at("2030-01-01T00:00:00Z"), End::None]);
    let json = r#"{"rule": [{"match": ["192.0.2.1", "192.0.2.2"], "expires": "2030-01-01T00:00:00Z"},
        {"match": ["192.0.2.2", "192.0.2.3"], "expires": "2031-01-01T00:00:00Z"},
        {"match": ["192.0.2.4"]}]}"#;
    let wanted = [
        at("2030-01-01T00:00:00Z"),
        at("2031-01-01T00:00:00Z"),
        at("2031-01-01T00:00:00Z"),
        End::None,
    ];
    assert_eq!(ends(json), wanted);
    assert_eq!(read_text(json, None).timed, 4);
}

#[test]
fn a_repeated_address_has_the_later_end_if_that_is_clear() {
    let text = |one: &str, other: &str| format!("ip,expires\n192.0.2.1,{one}\n192.0.2.1,{other}\n");
    assert_eq!(ends(&text("1h", "2h")), [End::After(7200)]);
    assert_eq!(ends(&text("2h", "1h")), [End::After(7200)]);
    assert_eq!(ends(&text("1h", "never")), [End::Never]);
    assert_eq!(ends(&text("1h", "2030-01-01T00:00:00Z")), [End::Unreadable]);
    assert_eq!(ends(&text("", "1h")), [End::Unreadable]);
    assert_eq!(ends(&text("1h", "")), [End::Unreadable]);
    assert_eq!(ends(&text("", "")), [End::None]);
}

#[test]
fn entries_without_ends_take_no_memory_for_them() {
    let parsed = read_text("192.0.2.1\n192.0.2.2\n", None);
    assert_eq!((parsed.ends, parsed.timed), (Vec::new(), 0));
}
