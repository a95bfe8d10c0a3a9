//! The results of each format.

use super::*;

#[test]
fn plain_text_has_comments_notes_and_ranges() {
    let text = "\u{feff}# a feed\n\n192.0.2.1\n  192.0.2.0/24 \r\n; more\n// and more\n\
                198.51.100.1-198.51.100.3 scanner seen twice\n1.10.16.0/20 ; SBL256894\n\
                2001:db8::1#office\n::ffff:203.0.113.9 // mapped\n192.0.2.1 again\n";
    assert_eq!(
        held(text, FileFormat::Plain),
        expected(&[
            ("192.0.2.1/32", "again"),
            ("192.0.2.0/24", ""),
            ("198.51.100.1/32", "scanner seen twice"),
            ("198.51.100.2/31", "scanner seen twice"),
            ("1.10.16.0/20", "SBL256894"),
            ("2001:db8::1/128", "office"),
            ("203.0.113.9/32", "mapped"),
        ])
    );
    let parsed = read_text(text, None);
    assert_eq!((parsed.read, parsed.duplicates), (7, 1));
}

#[test]
fn csv_columns_are_found_by_their_names() {
    let text = "id;Description;IP-Address\r\n1;\"first; \"\"seen\"\" in\nspring\";192.0.2.1\r\n\
                2; plain ; 192.0.2.0/24\r\n";
    assert_eq!(
        held(text, FileFormat::Csv),
        expected(&[
            ("192.0.2.1/32", "first; \"seen\" in\nspring"),
            ("192.0.2.0/24", "plain"),
        ])
    );
    let text = "start_ip,end_ip,country\n192.0.2.0,192.0.2.255,ZZ\n198.51.100.7,198.51.100.7,ZZ\n";
    assert_eq!(
        held(text, FileFormat::Csv),
        expected(&[("192.0.2.0/24", ""), ("198.51.100.7/32", "")])
    );
    let text = "rule\taddress\tkind\texpires\nabuse\t192.0.2.1\tmatch\t2030-01-01T00:00:00Z\n";
    let parsed = read_text(text, None);
    assert_eq!((parsed.format, parsed.timed), (FileFormat::Csv, 1));
    assert_eq!(pairs(&parsed), expected(&[("192.0.2.1/32", "")]));
}

#[test]
fn csv_columns_are_found_by_what_they_hold() {
    let text = "# no header\n7,192.0.2.1,\"a, b\"\n8,198.51.100.0/24\n";
    assert_eq!(
        held(text, FileFormat::Csv),
        expected(&[("192.0.2.1/32", "a, b"), ("198.51.100.0/24", "")])
    );
    let text = "start,end,note\n192.0.2.0,192.0.2.127,first half\n192.0.2.128,192.0.2.255\n";
    assert_eq!(
        held(text, FileFormat::Csv),
        expected(&[("192.0.2.0/25", "first half"), ("192.0.2.128/25", "")])
    );
    let text = "who it was,why\n192.0.2.1,spam\n";
    let parsed = read_text(text, Some(FileFormat::Csv));
    assert_eq!(parsed.refused, [], "a header in other words");
    assert_eq!(pairs(&parsed), expected(&[("192.0.2.1/32", "spam")]));
}

#[test]
fn json_is_an_array_of_texts_or_objects() {
    let text = r#"["192.0.2.1",
        {"cidr": "192.0.2.0/24", "comment": "c", "other": {"x": [1]}},
        {"start": "198.51.100.0", "end": "198.51.100.255"},
        {"at": "2001:db8::/32", "note": null}, {"ip": "192.0.2.1", "reason": "r"}]"#;
    assert_eq!(
        held(text, FileFormat::Json),
        expected(&[
            ("192.0.2.1/32", "r"),
            ("192.0.2.0/24", "c"),
            ("198.51.100.0/24", ""),
            ("2001:db8::/32", ""),
        ])
    );
}

#[test]
fn json_of_cloud_providers_is_read() {
    let aws = r#"{"syncToken": "1", "prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "x"}],
        "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32"}]}"#;
    let google = r#"{"creationTime": "2026", "prefixes": [{"ipv4Prefix": "192.0.2.0/24"},
        {"ipv6Prefix": "2001:db8::/32"}]}"#;
    for text in [aws, google] {
        assert_eq!(
            held(text, FileFormat::Json),
            expected(&[("192.0.2.0/24", ""), ("2001:db8::/32", "")])
        );
    }
}

#[test]
fn json_of_nft_is_read() {
    let text = r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"name": "t"}},
        {"set": {"family": "inet", "name": "s", "type": "ipv4_addr", "elem": ["192.0.2.1",
        {"prefix": {"addr": "192.0.2.0", "len": 24}}, {"range": ["198.51.100.1", "198.51.100.3"]},
        {"elem": {"val": {"prefix": {"addr": "203.0.113.0", "len": 30}}, "comment": "c",
         "timeout": 3600, "expires": 3500}}]}}, {"rule": {"expr": [{"match": {}}]}}]}"#;
    assert_eq!(
        held(text, FileFormat::Json),
        expected(&[
            ("192.0.2.1/32", ""),
            ("192.0.2.0/24", ""),
            ("198.51.100.1/32", ""),
            ("198.51.100.2/31", ""),
            ("203.0.113.0/30", "c"),
        ])
    );
    assert_eq!(read_text(text, None).timed, 1);
}

#[test]
fn ipset_saves_are_read() {
    let text = "create feed hash:net family inet hashsize 1024 maxelem 65536 timeout 0 comment\n\
                add feed 192.0.2.1 timeout 3600 comment \"two words\"\n\
                add feed 192.0.2.0/24 timeout 0 -exist\n-exist add feed 198.51.100.0-198.51.100.1\n\
                create feed6 hash:ip family inet6\nadd feed6 2001:db8::1 packets 7 bytes 420\n";
    assert_eq!(
        held(text, FileFormat::Ipset),
        expected(&[
            ("192.0.2.1/32", "two words"),
            ("192.0.2.0/24", ""),
            ("198.51.100.0/31", ""),
            ("2001:db8::1/128", ""),
        ])
    );
    assert_eq!(read_text(text, None).timed, 1);
}

#[test]
fn nft_sets_are_read_out_of_rulesets_and_scripts() {
    let text = "table inet filter {\n\tset feed {\n\t\ttype ipv4_addr\n\t\tflags interval,timeout\n\
        \t\telements = { 192.0.2.1, 192.0.2.0/24,\n\t\t\t198.51.100.1-198.51.100.3 timeout 1h \
        expires 59m comment \"a, b\" }\n\t}\n\tchain in {\n\t\ttype filter hook input priority 0; \
        policy accept;\n\t\tip saddr @feed counter drop # no { 203.0.113.1 }\n\t\tip saddr { \
        203.0.113.2 } drop\n\t}\n}\nadd element inet filter feed6 { 2001:db8::1 }\n";
    assert_eq!(
        held(text, FileFormat::Nft),
        expected(&[
            ("192.0.2.1/32", ""),
            ("192.0.2.0/24", ""),
            ("198.51.100.1/32", "a, b"),
            ("198.51.100.2/31", "a, b"),
            ("2001:db8::1/128", ""),
        ])
    );
    assert_eq!(read_text(text, None).timed, 1);
}

#[test]
fn spamhaus_drop_has_its_listings_as_notes() {
    let text = "{\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n\
        {\"cidr\":\"2001:db8::/32\",\"sblid\":\"SBL1\",\"rir\":\"apnic\"}\n\
        {\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL2\",\"rir\":\"apnic\"}\n\
        {\"type\":\"metadata\",\"timestamp\":1712345678,\"size\":2,\"records\":2,\"copyright\":\"c\"}\n";
    assert_eq!(
        held(text, FileFormat::Spamhaus),
        expected(&[
            ("1.10.16.0/20", "SBL256894; SBL2"),
            ("2001:db8::/32", "SBL1"),
        ])
    );
}

#[test]
fn a_ruleset_file_has_the_addresses_of_its_rules_and_lists() {
    let text = "[list.feed]\nmatch = [{ at = \"192.0.2.1\", note = \"n\" }]\n\
                [[rule]]\nname = \"a\"\naction = \"block\"\nmatch = [\"@feed\", \"192.0.2.0/24\"]\n";
    let wanted = expected(&[("192.0.2.1/32", "n"), ("192.0.2.0/24", "")]);
    assert_eq!(held(text, FileFormat::Toml), wanted);
    let ruleset = crate::document::parse(text, "t", false).unwrap();
    assert_eq!(held(&json(&ruleset), FileFormat::Json), wanted);
}

#[test]
fn the_examples_of_the_manual_are_read() {
    let manual = include_str!("../../../../../docs/formats.md");
    let (_, formats) = manual.split_once("## The formats").unwrap();
    let mut read = Vec::new();
    for block in formats.split("```").skip(1).step_by(2) {
        let (_language, text) = block.split_once('\n').unwrap();
        let parsed = read_text(text, None);
        let refused: Vec<&str> = problems(&parsed)
            .iter()
            .map(|(.., problem)| *problem)
            .collect();
        match parsed.format {
            FileFormat::Csv => assert_eq!(refused, ["an exception of a rule"]),
            _ => assert_eq!(refused, [""; 0], "{text}"),
        }
        read.push((parsed.format, parsed.elements.len()));
    }
    assert_eq!(
        read,
        [
            (FileFormat::Plain, 11),
            (FileFormat::Csv, 1),
            (FileFormat::Json, 2),
            (FileFormat::Ipset, 1),
            (FileFormat::Nft, 5),
            (FileFormat::Spamhaus, 1),
            (FileFormat::Rir, 2),
        ]
    );
}
