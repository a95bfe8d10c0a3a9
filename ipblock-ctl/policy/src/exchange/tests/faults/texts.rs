//! Plain text, CSV, JSON and ipset.

use super::*;

#[test]
fn f01_several_addresses_on_one_line_are_not_a_range() {
    assert_eq!(
        prefixes("192.0.2.7, 198.51.100.9, 203.0.113.5\n"),
        ["192.0.2.7/32", "198.51.100.9/32", "203.0.113.5/32"]
    );
}

#[test]
fn f02_a_netmask_beside_an_address_is_refused() {
    let hint = "write 10.0.0.0/8";
    assert_refused("10.0.0.0,255.0.0.0\n", "an address and a netmask", hint);
    assert_refused("10.0.0.0 255.0.0.0\n", "an address and a netmask", hint);
    assert_refused("10.0.0.0\t0.255.255.255\n", "a wildcard mask", hint);
}

#[test]
fn f03_a_prefix_is_not_the_note_of_another() {
    assert_eq!(
        prefixes("198.51.100.0/24, 203.0.113.0/24, 192.0.2.7\n"),
        ["198.51.100.0/24", "203.0.113.0/24", "192.0.2.7/32"]
    );
}

#[test]
fn b2_two_addresses_without_a_header_are_refused_with_both_readings() {
    let text = "1.2.3.4,8.8.8.8\n9.9.9.9,203.0.113.1,45.1.1.1\n";
    let parsed = read_text(text, None);
    assert_eq!(
        problems(&parsed),
        [(1, "1.2.3.4,8.8.8.8", "a range or two addresses")]
    );
    let hint = parsed.refused[0].hint.as_deref().unwrap();
    for way in ["1.2.3.4-8.8.8.8", "`start,end`", "--format plain"] {
        assert!(hint.contains(way), "{hint}");
    }
    // The line of three is a list.
    assert_eq!(parsed.elements.len(), 3);
    let as_list = read_text("1.2.3.4,8.8.8.8\n", Some(FileFormat::Plain));
    assert_eq!(as_list.refused, []);
    assert_eq!(as_list.elements.len(), 2);
    assert_eq!(
        prefixes("start,end\n192.0.2.0,192.0.2.255\n"),
        ["192.0.2.0/24"]
    );
    let error = "a range or two addresses";
    assert_refused("1.0.0.0,1.0.0.255,AU\n", error, "`start,end`");
    assert_refused("192.0.2.7;198.51.100.9\n", error, "");
    assert_refused("192.0.2.7\t198.51.100.9\n", error, "");
    // A line of a firewall's log.
    let log = "203.0.113.1,192.0.2.7,tcp,22\n";
    assert_refused(log, "several addresses in one record", "`address`");
    // No range ends before it begins.
    assert_eq!(prefixes("8.8.8.8,1.2.3.4\n"), ["8.8.8.8/32", "1.2.3.4/32"]);
}

#[test]
fn f05_an_array_of_addresses_is_not_a_range() {
    assert_eq!(
        prefixes(r#"[{"name":"scanner","ip":["192.0.2.10","192.0.2.200"]}]"#),
        ["192.0.2.10/32", "192.0.2.200/32"]
    );
    let salesforce = r#"{"prefixes":[{"ip_prefix":["192.0.2.0/25","198.51.100.0/25"]},
        {"ip_prefix":["203.0.113.0/24"]}]}"#;
    assert_eq!(
        prefixes(salesforce),
        ["192.0.2.0/25", "198.51.100.0/25", "203.0.113.0/24"]
    );
    let text = r#"[{"range":["192.0.2.10","192.0.2.200"]}]"#;
    assert_refused(text, "a range, or a list", "");
}

#[test]
fn f06_addresses_of_both_families_are_read() {
    let text = r#"{"addresses":["192.0.2.0/24"],"ipv6_addresses":["2001:db8:aa::/32"]}"#;
    // As reported, the second has host bits: it is refused, and no longer left out in silence.
    let parsed = read_text(text, None);
    assert_eq!(
        problems(&parsed),
        [(1, "2001:db8:aa::/32", "host bits set")]
    );
    let text = &text.replace("2001:db8:aa::/32", "2001:db8:aa::/48");
    assert_eq!(prefixes(text), ["192.0.2.0/24", "2001:db8:aa::/48"]);
    for keys in [
        ("ipv4", "ipv6"),
        ("ipv4Prefixes", "ipv6Prefixes"),
        ("ips_v4", "ips-v6"),
    ] {
        let text = text
            .replace("\"addresses\"", &format!("{:?}", keys.0))
            .replace("\"ipv6_addresses\"", &format!("{:?}", keys.1));
        assert_eq!(prefixes(&text).len(), 2, "{text}");
    }
}

#[test]
fn f06_addresses_that_are_not_read_are_named_by_their_keys() {
    let text = r#"{"addresses":["192.0.2.0/24"],"values":[{"a":["192.0.2.1","x"]}],
        "other":{"b":"2001:db8::1","192.0.2.9":1},"prefixes":[{"cidr":"192.0.2.8","gw":"192.0.2.1"}]}"#;
    let parsed = read_text(text, None);
    assert_eq!(parsed.refused, []);
    assert_eq!(
        passed_over(&parsed),
        [("values", 1), ("other", 2), ("gw", 1)]
    );
    let azure = r#"{"values":[{"properties":{"addressPrefixes":["192.0.2.0/24"]}}]}"#;
    let parsed = read_text(azure, None);
    assert_eq!(parsed.refused[0].problem, "no addresses are found in it");
    assert_eq!(passed_over(&parsed), [("values", 1)]);
}

#[test]
fn f07_a_mask_is_applied_where_a_header_or_a_word_names_it() {
    for text in [
        "network,mask\n192.0.2.0,24\n",
        "network,mask\n192.0.2.0,/24\n",
        "network,mask\n192.0.2.0/24,24\n",
        "ip;netmask;note\n192.0.2.0;255.255.255.0;x\n",
        "address,wildcard\n192.0.2.0,0.0.0.255\n",
        "192.0.2.0 netmask 255.255.255.0\n",
    ] {
        assert_eq!(prefixes(text), ["192.0.2.0/24"], "{text}");
    }
    let parsed = read_text("ip;netmask;note\n192.0.2.0;255.255.255.0;x\n", None);
    assert_eq!(pairs(&parsed), expected(&[("192.0.2.0/24", "x")]));
    assert_refused("network,mask\n192.0.2.1,24\n", "host bits", "192.0.2.0/24");
    assert_refused("network,mask\n192.0.2.0,x\n", "not a mask", "255.255.255.0");
    assert_refused("network,mask\n192.0.2.0,\n", "not a mask", "24");
    assert_refused(
        "192.0.2.0,24\n",
        "or an address and a number",
        "192.0.2.0/24",
    );
    assert_eq!(prefixes("192.0.2.7,24\n"), ["192.0.2.7/32"]);
}

#[test]
fn f08_a_range_in_other_words_is_refused() {
    for text in [
        "192.0.2.1 to 192.0.2.9\n",
        "192.0.2.1 -192.0.2.9\n",
        "192.0.2.1 - 192.0.2.9\n",
    ] {
        assert_refused(text, "range", "write 192.0.2.1-192.0.2.9");
    }
}

#[test]
fn f09_the_netmask_of_a_set_applies_to_its_members() {
    let text = "create nm hash:ip family inet hashsize 1024 maxelem 65536 netmask 24 bucketsize 12 \
                initval 0x2c26d711\nadd nm 192.0.2.0\n";
    assert_eq!(prefixes(text), ["192.0.2.0/24"]);
    let text = "create nm hash:ip family inet6 netmask 64\nadd nm 2001:db8::\n";
    assert_eq!(prefixes(text), ["2001:db8::/64"]);
    let text = "create nm hash:ip netmask 24\nadd nm 192.0.2.1\n";
    assert_refused(text, "host bits", "192.0.2.0/24");
}

const TWO_SETS: &str = "create whitelist hash:net family inet\nadd whitelist 192.0.2.10\n\
    create blacklist hash:net family inet\nadd blacklist 198.51.100.0/24\n";

#[test]
fn f10_several_sets_are_refused_and_listed() {
    let problem = "2 sets in one file: whitelist (1 entry), blacklist (1 entry)";
    assert_refused(TWO_SETS, problem, "--set NAME");
    assert!(read_text(TWO_SETS, None).is_spoilt, "--lenient takes none");
    let error = read_list(TWO_SETS).unwrap_err();
    assert!(error.problem.contains(problem), "{error}");
    let parsed = read_sets(TWO_SETS, &["blacklist"]);
    assert_eq!(parsed.refused, []);
    assert_eq!(pairs(&parsed), expected(&[("198.51.100.0/24", "")]));
    let both = read_sets(TWO_SETS, &["blacklist", "whitelist"]);
    assert_eq!((both.refused.len(), both.elements.len()), (0, 2));
    let missing = read_sets(TWO_SETS, &["greylist"]);
    let [refusal] = missing.refused.as_slice() else {
        panic!("{missing:?}");
    };
    assert!(refusal.problem.contains("no set `greylist`"), "{refusal:?}");
    assert!(
        refusal.hint.as_ref().unwrap().contains("blacklist"),
        "{refusal:?}"
    );
    assert!(missing.is_spoilt);
}

#[test]
fn f10_the_halves_of_one_list_are_one_set() {
    let halves = |one: &str, other: &str| {
        let text = format!(
            "create {one} hash:net\nadd {one} 192.0.2.0/24\ncreate {other} hash:net family inet6\n\
             add {other} 2001:db8::/32\n"
        );
        read_text(&text, None).elements.len()
    };
    for (one, other) in [
        ("ipblock4", "ipblock6"),
        ("feed", "feed6"),
        ("bad-v4", "bad-v6"),
        ("ipv4_bad", "ipv6_bad"),
    ] {
        assert_eq!(halves(one, other), 2, "{one} {other}");
    }
    for (one, other) in [("white", "black"), ("list2024", "list2026")] {
        assert_eq!(halves(one, other), 0, "{one} {other}");
    }
}

#[test]
fn f10_what_another_set_holds_does_not_matter() {
    let text = "create ports hash:ip,port\nadd ports 192.0.2.1,tcp:22\n\
                create a hash:net\nadd a 192.0.2.0/24 nomatch\n\
                create b hash:net\nadd b 192.0.2.0/24\ndel a 192.0.2.0/24\n";
    let parsed = read_sets(text, &["b"]);
    assert_eq!(parsed.refused, []);
    assert_eq!(pairs(&parsed), expected(&[("192.0.2.0/24", "")]));
}

#[test]
fn f17_a_document_that_is_cut_off_is_never_taken() {
    for text in [
        r#"["192.0.2.1","192.0.2.2","198.5"#,
        "{\"prefixes\":[\"192.0.2.1\",",
        "table t {\n set s {\n type ipv4_addr\n elements = { 192.0.2.1, 192.0.2",
        "address,note\n192.0.2.1,x\n192.0.2.2,\"open\n",
    ] {
        let parsed = read_text(text, None);
        assert!(parsed.is_spoilt, "{text}");
        assert_eq!(parsed.elements, [], "{text}");
        assert!(!parsed.refused.is_empty(), "{text}");
    }
}

#[test]
fn f19_a_first_line_without_an_address_is_a_header() {
    let feodo = "\"first_seen_utc\",\"dst_ip\",\"dst_port\",\"c2_status\",\"last_online\",\
        \"malware\"\n\"2026-01-17 07:30:05\",\"192.0.2.10\",\"443\",\"offline\",\"2026-11-28\",\
        \"Dridex\"\n";
    assert_eq!(prefixes(feodo), ["192.0.2.10/32"]);
    assert_eq!(prefixes("src_ip,info\n192.0.2.7,x\n"), ["192.0.2.7/32"]);
    let other = "seen;indicator 1;what\n2026-01-17;192.0.2.7;x\n";
    assert_eq!(prefixes(other), ["192.0.2.7/32"]);
    let two = "src_ip,dst_ip\n203.0.113.1,192.0.2.7\n";
    assert_refused(
        two,
        "two columns of addresses: `src_ip` and `dst_ip`",
        "rename",
    );
    let names = "example.org,phishing\nexample.net,phishing\n";
    assert_eq!(read_text(names, None).refused.len(), 2);
}

#[test]
fn f20_a_byte_order_mark_is_passed_over() {
    let text = "\u{feff}{\"prefixes\":[{\"ip_prefix\":\"192.0.2.0/24\"}]}";
    assert_eq!(prefixes(text), ["192.0.2.0/24"]);
    assert_eq!(
        prefixes("\u{feff}address,note\n192.0.2.1,x\n"),
        ["192.0.2.1/32"]
    );
    assert_eq!(prefixes("\u{feff}add a 192.0.2.1\n"), ["192.0.2.1/32"]);
}

#[test]
fn f21_sets_that_are_swapped_are_read() {
    let text = "create a-tmp -exist hash:net family inet\nadd a-tmp 192.0.2.0/24\nswap a a-tmp\n\
                destroy a-tmp\n";
    assert_eq!(prefixes(text), ["192.0.2.0/24"]);
    let parsed = read_sets(text, &["a"]);
    assert_eq!((parsed.refused.len(), parsed.elements.len()), (0, 1));
}

#[test]
fn f26_messages_say_what_to_write() {
    assert_refused("deny 192.0.2.7;\n", "begins with `deny`", "192.0.2.7");
    assert_refused("!192.0.2.10\n", "negates", "exception add");
    let seen = r#"[{"ip":"192.0.2.7","first":"2026-01-01","last":"2026-02-01"}]"#;
    assert_eq!(prefixes(seen), ["192.0.2.7/32"]);
    assert_eq!(prefixes(r#"{"list":["192.0.2.0/24"]}"#), ["192.0.2.0/24"]);
}

#[test]
fn f27_a_hosts_file_is_not_a_list_of_addresses() {
    let text = "127.0.0.1 localhost\n0.0.0.0 ads.example.com\n::1 ip6-localhost\n";
    let parsed = read_text(text, None);
    assert_eq!(parsed.elements, []);
    let said: Vec<&str> = problems(&parsed).iter().map(|(.., said)| *said).collect();
    assert_eq!(
        said,
        ["a line of a hosts file, or an address with a note"; 3]
    );
    assert_eq!(prefixes("127.0.0.1 # localhost\n"), ["127.0.0.1/32"]);
    assert_eq!(prefixes("127.0.0.1 this machine\n"), ["127.0.0.1/32"]);
}

#[test]
fn f28_a_mapped_prefix_stays_ipv6() {
    assert_eq!(prefixes("::ffff:0:0/96\n"), ["::ffff:0.0.0.0/96"]);
    assert_eq!(prefixes("::ffff:192.0.2.0/120\n"), ["::ffff:192.0.2.0/120"]);
    let parsed = read_text("::ffff:192.0.2.7\n::ffff:c000:208/128\n192.0.2.9\n", None);
    assert_eq!(parsed.elements.len(), 3);
    assert_eq!(parsed.mapped, 2);
    for text in [
        "create a hash:net family inet6\nadd a ::ffff:0:0/96\n",
        "add element ip6 t s { ::ffff:0:0/96 }\n",
        "[\"::ffff:0:0/96\"]",
    ] {
        assert_eq!(prefixes(text), ["::ffff:0.0.0.0/96"], "{text}");
    }
}

#[test]
fn f30_what_takes_entries_away_is_never_lenient() {
    for text in [
        "create a hash:net\nadd a 192.0.2.0/24\nflush a\n",
        "create a hash:net\nadd a 192.0.2.0/24\nflush\n",
        "create a hash:net\nadd a 192.0.2.0/24\ndestroy a\n",
        "create a hash:net\nadd a 192.0.2.0/24\ndel a 192.0.2.0/24\n",
    ] {
        let parsed = read_text(text, None);
        assert!(parsed.is_spoilt, "{text}");
        assert_eq!(parsed.elements, [], "{text}");
    }
    let first = "create a hash:net\nflush a\nadd a 192.0.2.0/24\n";
    assert_eq!(prefixes(first), ["192.0.2.0/24"], "it was empty");
}

#[test]
fn f07_a_mask_under_any_of_its_names_is_applied() {
    for text in [
        "network,bits\n192.0.2.0,24\n",
        "network,netmask_bits\n192.0.2.0,24\n",
        "address,length\n192.0.2.0,24\n",
        "ip,end\n192.0.2.0,192.0.2.255\n",
        "network,broadcast\n192.0.2.0,192.0.2.255\n",
        "192.0.2.0 prefixlen 24\n",
        "192.0.2.0 mask=24\n",
        "192.0.2.0 netmask=255.255.255.0\n",
        "[{\"ip\":\"192.0.2.0\",\"mask\":24}]",
        "[{\"ip\":\"192.0.2.0\",\"prefix_length\":\"24\"}]",
        "[{\"ip\":\"192.0.2.0\",\"netmask\":\"255.255.255.0\"}]",
        "[{\"ip\":\"192.0.2.0\",\"len\":24}]",
    ] {
        assert_eq!(prefixes(text), ["192.0.2.0/24"], "{text}");
    }
    // A day is not an end.
    let seen = "ip,last\n192.0.2.7,2026-01-01\n";
    assert_eq!(prefixes(seen), ["192.0.2.7/32"]);
}

#[test]
fn f07_a_mask_that_no_name_explains_is_refused() {
    let text = "ip,x\n192.0.2.0,255.255.255.0\n";
    assert_refused(text, "an address and a netmask", "write 192.0.2.0/24");
    let text = "[{\"ip\":\"192.0.2.0\",\"end\":\"192.0.2.255\"}]";
    assert_refused(text, "an address and an end", "");
    let text = "[{\"ip\":\"192.0.2.0\",\"mask\":99}]";
    assert_refused(text, "a mask that does not fit", "");
}

#[test]
fn an_address_that_is_negated_is_not_a_note() {
    for text in [
        "192.0.2.0/24 !192.0.2.7\n",
        "192.0.2.0/24,!192.0.2.7\n",
        "192.0.2.1,-192.0.2.9\n",
    ] {
        let parsed = read_text(text, None);
        assert_eq!(parsed.elements, [], "{text}");
        assert_eq!(parsed.refused.len(), 1, "{text}");
    }
}

#[test]
fn an_exported_ruleset_is_recognised_by_its_revision() {
    let text = "revision = \"21@a.b\"\n\n[[rule]]\nname = \"a\"\naction = \"block\"\nmatch = [\"192.0.2.7\"]\n";
    assert_eq!(prefixes(text), ["192.0.2.7/32"]);
}
