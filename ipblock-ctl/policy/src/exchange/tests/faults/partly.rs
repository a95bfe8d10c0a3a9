//! Texts of which a part was read and the rest dropped in silence.

use super::*;

/// How many entries of a text have an end; nothing of it is refused.
#[track_caller]
fn timed(text: &str) -> u64 {
    let parsed = read_text(text, None);
    assert_eq!(parsed.refused, [], "{text}");
    parsed.timed
}

#[test]
fn an_end_of_an_entry_is_counted_in_every_format() {
    for text in [
        "create a hash:ip timeout 0\nadd a 192.0.2.1 timeout 60\n",
        "create a hash:ip timeout 300\nadd a 192.0.2.1\nadd a 192.0.2.2 timeout 0\n",
        "192.0.2.1 timeout 600\n",
        "192.0.2.1 until 2026-12-01\n",
        "192.0.2.1 expires=2026-12-01 scanner\n",
        "table t { set s { type ipv4_addr; timeout 1h; elements = { 192.0.2.1 } } }\n",
        "table t { set s { type ipv4_addr; elements = { 192.0.2.1 expires 59m } } }\n",
        r#"{"nftables":[{"set":{"family":"ip","table":"t","name":"s","type":"ipv4_addr",
            "timeout":60,"elem":["192.0.2.1"]}}]}"#,
        r#"{"nftables":[{"set":{"family":"ip","table":"t","name":"s","type":"ipv4_addr",
            "elem":[{"elem":{"val":"192.0.2.1","expires":9}}]}}]}"#,
        "ip,expiration\n192.0.2.1,2026-12-01\n192.0.2.2,never\n192.0.2.3,\n",
        "ip,expiresAt\n192.0.2.1,2026-12-01\n",
        "ip,expires (UTC)\n192.0.2.1,2026-12-01\n",
        "192.0.2.1,until 2026-12-01\n",
        "192.0.2.1 expires in 2 days\n",
        "ip;TTL\n192.0.2.1;3600\n192.0.2.2;0\n",
        r#"[{"ip":"192.0.2.1","validUntil":"2026-12-01"},{"ip":"192.0.2.2","validUntil":null}]"#,
        r#"[{"ip":"192.0.2.1","end":"2026-12-01"}]"#,
        "{\"cidr\":\"192.0.2.0/24\",\"expires\":1790000000}\n{\"cidr\":\"198.51.100.0/24\"}\n",
        "[[rule]]\nname = \"a\"\naction = \"block\"\nexpires = 2030-01-01T00:00:00Z\n\
         match = [\"192.0.2.1\"]\n[list.b]\nmatch = [\"192.0.2.2\"]\n",
        r#"{"rule":[{"match":["192.0.2.1"],"expires":"2030-01-01T00:00:00Z"}],
            "list":{"b":{"match":["192.0.2.2"]}}}"#,
    ] {
        assert_eq!(timed(text), 1, "{text}");
        let error = read_list(text).unwrap_err();
        assert!(error.problem.contains("1 entry has an end"), "{error}");
        assert!(error.hint.unwrap().contains("ban - --for 1h"), "{text}");
    }
    assert!(read_list("create a hash:ip timeout 0\nadd a 192.0.2.1 timeout 0\n").is_ok());
}

#[test]
fn a_length_in_a_column_of_any_name_is_refused() {
    for name in ["x", "cidr_suffix", "netbits", "CIDR Mask"] {
        for (row, network) in [
            ("192.0.2.0,/24", "write 192.0.2.0/24 in"),
            ("192.0.2.7,/24", "write 192.0.2.0/24 in"),
            ("2001:db8::,/32", "write 2001:db8::/32 in"),
        ] {
            let parsed = read_text(&format!("ip,{name}\n{row}\n"), None);
            assert_eq!(parsed.refused.len(), 1, "{name}: {row}");
            let hint = parsed.refused[0].hint.clone().unwrap();
            assert!(hint.contains(network), "{hint}");
        }
    }
    let parsed = read_text(
        "ip,path\n192.0.2.1,/32\n192.0.2.2,/index\n192.0.2.3,24\n",
        None,
    );
    assert_eq!(parsed.refused, []);
}

#[test]
fn a_range_whose_end_is_cut_short_is_refused() {
    for (text, hint) in [
        (
            "192.0.2.1 to 9\n",
            "write 192.0.2.1-192.0.2.9 for the range",
        ),
        ("192.0.2.1 - 24\n", "write 192.0.2.1 # - 24"),
        ("192.0.2.1 -9\n", "write 192.0.2.1 # -9"),
        ("192.0.2.1 .. 2.9\n", "for the range"),
        ("192.0.2.1 until 9\n", "for the range"),
        ("192.0.2.1 | 24 | scanner\n", "write 192.0.2.1 # | 24"),
        ("192.0.2.1 + 8\n", "for the range"),
        ("2001:db8::1 - 9\n", "for the range"),
    ] {
        assert_refused(text, "a range or a prefix, or an address with a note", hint);
    }
    for note in [
        "- scanner",
        "- - [29/Nov/2026]",
        "# - 24",
        "-scanner",
        "9 times",
    ] {
        assert_eq!(prefixes(&format!("192.0.2.7 {note}\n")), ["192.0.2.7/32"]);
    }
    assert_eq!(prefixes("192.0.2.0/24 - 256 addresses\n"), ["192.0.2.0/24"]);
}

const LISTED: &str = "Name: blacklist\nType: hash:net\nRevision: 7\n\
    Header: family inet hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x9dd3f3ab\n\
    Size in memory: 600\nReferences: 1\nNumber of entries: 2\nMembers:\n\
    192.0.2.0/24 comment \"ticket 42\"\n198.51.100.7\n";

#[test]
fn what_ipset_list_prints_is_read() {
    let expected_pairs = expected(&[("192.0.2.0/24", "ticket 42"), ("198.51.100.7/32", "")]);
    let parsed = read_text(LISTED, None);
    assert_eq!(
        (parsed.format, parsed.refused.len()),
        (FileFormat::Ipset, 0)
    );
    assert_eq!(pairs(&parsed), expected_pairs);
    let other = LISTED.replace("blacklist", "whitelist");
    let both = format!("{LISTED}\n{other}");
    assert_refused(
        &both,
        "2 sets in one file: blacklist (2 entries)",
        "--set NAME",
    );
    let one = read_sets(&both, &["blacklist"]);
    assert_eq!((pairs(&one), one.refused.len()), (expected_pairs, 0));
    let masked = "Name: a\nType: hash:ip\nHeader: family inet netmask 24 timeout 60\nMembers:\n\
                  192.0.2.0 timeout 59\n";
    let parsed = read_text(masked, None);
    assert_eq!(pairs(&parsed), expected(&[("192.0.2.0/24", "")]));
    assert_eq!(parsed.timed, 1);
    let ports = "Name: a\nType: hash:ip,port\nHeader: family inet\nMembers:\n192.0.2.5,tcp:80\n";
    assert_refused(ports, "more than an address", "hash:ip and hash:net");
    let nomatch = "Name: a\nType: hash:net\nHeader: family inet\nMembers:\n10.0.0.0/25 nomatch\n";
    assert_refused(nomatch, "`nomatch` entry", "exception add");
}

#[test]
fn words_that_no_option_explains_are_refused_in_ipset() {
    let text = "create a hash:ip\nadd a 192.0.2.1 192.0.2.2\n";
    assert_refused(text, "more than a member of a set", "one address a line");
}

#[test]
fn a_number_beside_an_address_in_json_is_refused_by_its_key() {
    for (object, key) in [
        (r#"{"ip":"192.0.2.0","prefix":24}"#, "`prefix`"),
        (r#"{"prefix":24,"ip":"192.0.2.0"}"#, "`prefix`"),
        (r#"{"ip":"192.0.2.0","cidr":"24"}"#, "`cidr`"),
        (r#"{"ip":"192.0.2.0","CIDR":"/24"}"#, "`CIDR`"),
        (r#"{"ip":"192.0.2.0","subnet":{"bits":24}}"#, "`bits`"),
        (r#"{"ip":"192.0.2.0","mask":"x"}"#, "`mask`"),
        (r#"{"ip":"192.0.2.0","mask":""}"#, "`mask`"),
        (r#"{"ip":"192.0.2.0","prefix_len":[24]}"#, "`prefix_len`"),
        (r#"{"ip":"192.0.2.1","end":9}"#, "an end"),
    ] {
        assert_refused(&format!("[{object}]"), key, "192.0.2.0/24");
    }
    for object in [
        r#"{"ip":"192.0.2.0","maskLength":24}"#,
        r#"{"ip":"192.0.2.0","subnet-mask":"255.255.255.0"}"#,
        r#"{"ip":"192.0.2.0","wildcard":"0.0.0.255"}"#,
        r#"{"ip":"192.0.2.0/24","mask":null,"prefix":null}"#,
    ] {
        assert_eq!(
            prefixes(&format!("[{object}]")),
            ["192.0.2.0/24"],
            "{object}"
        );
    }
    let line = "{\"cidr\":\"192.0.2.0\",\"mask\":24}\n";
    assert_refused(
        line,
        "a mask or a prefix length beside `cidr`",
        "192.0.2.0/24",
    );
}

#[test]
fn a_member_that_is_limited_to_a_port_is_refused() {
    let problem = "a port, a protocol or a mark";
    for text in [
        "192.0.2.5,tcp:80\n",
        "192.0.2.5,443/tcp\n",
        "192.0.2.5,80,tcp\n",
        "192.0.2.5,0x63\n",
        "192.0.2.5 udp:53\n",
        "192.0.2.5;tcp:80\n",
        "192.0.2.5 port 80\n",
        "192.0.2.5 --dport 22\n",
        "192.0.2.5 tcp 80\n",
        "192.0.2.5 : 80\n",
        "192.0.2.5,22/tcp;80/tcp\n",
        "192.0.2.5,01:02:03:0a:0b:0c\n",
    ] {
        assert_refused(text, problem, "192.0.2.5 alone");
    }
    let named = "ip,service\n192.0.2.5,tcp:80\n";
    assert_eq!(
        prefixes(named),
        ["192.0.2.5/32"],
        "the header says what it is"
    );
    for note in ["port scan", "# tcp:80", "ssh tcp:22"] {
        assert_eq!(prefixes(&format!("192.0.2.5 {note}\n")), ["192.0.2.5/32"]);
    }
}

#[test]
fn a_first_address_without_a_last_one_is_refused() {
    let text = "start,count\n192.0.2.0,256\n";
    assert_refused(
        text,
        "a column `start`, and none with the ends",
        "`address`",
    );
}

#[test]
fn a_set_without_entries_is_named() {
    let ipset = "create a hash:net\ncreate b hash:net\nadd b 192.0.2.1\n";
    let nft = "table t { set a { type ipv4_addr; }\n set b { type ipv4_addr; elements = { 192.0.2.1 } } }\n";
    let json = r#"{"nftables":[{"set":{"family":"ip","table":"t","name":"a","type":"ipv4_addr"}},
        {"set":{"family":"ip","table":"t","name":"b","type":"ipv4_addr","elem":["192.0.2.1"]}}]}"#;
    let listed = LISTED.replace("blacklist", "b");
    let listed = format!("Name: a\nType: hash:net\nHeader: family inet\nMembers:\n\n{listed}");
    for text in [ipset, nft, json, &listed] {
        let parsed = read_sets(text, &["a"]);
        let said = &parsed.refused[0].problem;
        assert!(
            said.contains("` has no entries") && said.contains('a'),
            "{said}"
        );
        assert!(parsed.is_spoilt);
    }
}

#[test]
fn a_mask_that_cannot_be_read_is_refused() {
    let number = "an address and its prefix length, or an address and a number";
    assert_refused("192.0.2.0;24\n", number, "192.0.2.0/24");
    assert_refused("192.0.2.0,office,24\n", number, "192.0.2.0/24");
    assert_eq!(prefixes("192.0.2.0;mask 24\n"), ["192.0.2.0/24"]);
    let cell = "192.0.2.1,192.0.2.2;until noon\n";
    assert_refused(cell, "several addresses in one record", "`address`");
    assert_refused(
        "192.0.2.0 netmask ffffff00\n",
        "not a mask",
        "255.255.255.0",
    );
    assert_eq!(prefixes("192.0.2.0 bits 24\n"), ["192.0.2.0/24"]);
    assert_eq!(prefixes("192.0.2.0 mask of the office\n"), ["192.0.2.0/32"]);
}

#[test]
fn a_range_of_two_columns_has_both_ends() {
    let error = "range";
    assert_refused("from,to\n192.0.2.1,\n", error, "");
    assert_refused("from,to\n192.0.2.1,9\n", error, "");
    assert_refused("ip,end\n192.0.2.1,9\n", error, "");
    assert_eq!(prefixes("ip,end\n192.0.2.1,\n"), ["192.0.2.1/32"]);
    assert_eq!(timed("ip,end\n192.0.2.1,2026-12-01\n"), 1);
}

#[test]
fn what_is_let_through_is_refused() {
    let said = "an entry that is let through";
    for text in [
        "ip,action\n192.0.2.1,Allow\n",
        "ip,exclude\n192.0.2.1,true\n",
        r#"[{"ip":"192.0.2.1","negate":true}]"#,
        r#"[{"action":"pass","ip":"192.0.2.1"}]"#,
        "{\"cidr\":\"192.0.2.0/24\",\"whitelisted\":true}\n",
    ] {
        assert_refused(text, said, "ipblock-ctl allow add");
    }
    for text in ["192.0.2.1 allow\n", "192.0.2.0/24 except .7\n"] {
        assert_refused(
            text,
            "an exception, or a note that begins with",
            "exception add",
        );
    }
    let exported = "rule,action,address,kind,note,expires\n,,203.0.113.0/28,allow,first floor,\n";
    assert_refused(exported, "an entry of an allow list", "allow add");
    assert_eq!(prefixes("ip,action\n192.0.2.1,block\n"), ["192.0.2.1/32"]);
    assert_eq!(
        prefixes(r#"[{"ip":"192.0.2.1","excluded":false}]"#),
        ["192.0.2.1/32"]
    );
}

#[test]
fn addresses_beside_those_that_are_read_are_named() {
    for (text, place) in [
        ("ip,spared\n192.0.2.0/24,192.0.2.7\n", "spared"),
        (
            "{\"cidr\":\"192.0.2.0/24\",\"spared\":[\"192.0.2.7\"]}\n",
            "spared",
        ),
        (
            "[list.a]\nmatch = [\"192.0.2.1\"]\n[lists.b]\nmatch = [\"192.0.2.2\"]\n",
            "lists",
        ),
        (
            "[list.a]\nmatch = [\"192.0.2.1\"]\n[list.b]\nfile = \"b\"\n",
            "a list of another file",
        ),
    ] {
        let parsed = read_text(text, None);
        assert_eq!(
            (parsed.refused.len(), parsed.elements.len()),
            (0, 1),
            "{text}"
        );
        assert_eq!(passed_over(&parsed), [(place, 1)], "{text}");
        assert!(read_list(text).is_err(), "{text}");
    }
    let text = "[[rule]]\nname = \"a\"\nmatch = \"192.0.2.1\"\n";
    let parsed = read_text(text, Some(FileFormat::Toml));
    assert_eq!(parsed.refused.len(), 1, "{parsed:?}");
    let element = "[list.a]\nmatch = [{ at = \"192.0.2.1\", until = \"2030-01-01\" }]\n";
    assert_eq!(timed(element), 1);
}
