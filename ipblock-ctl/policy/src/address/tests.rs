use std::net::Ipv4Addr;

use super::*;

mod lines;

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn refused(text: &str) -> AddressError {
    match parse_prefixes(text) {
        Err(error) => error,
        Ok(prefixes) => panic!("`{text}` was read as {prefixes:?}"),
    }
}

/// Asserts a fragment of the problem and one of the hint.
#[track_caller]
fn assert_refused(text: &str, problem: &str, hint: &str) {
    let error = refused(text);
    let said = error.hint.clone().unwrap_or_default();
    assert!(error.problem.contains(problem), "{error} / {said}");
    assert!(said.contains(hint), "{error} / {said}");
}

#[test]
fn an_address_is_a_prefix_of_full_length() {
    assert_eq!(parse_prefixes("192.0.2.1"), Ok(nets(&["192.0.2.1/32"])));
    assert_eq!(
        parse_prefixes("2001:DB8::1"),
        Ok(nets(&["2001:db8::1/128"]))
    );
}

#[test]
fn a_prefix_is_itself() {
    for text in [
        "0.0.0.0/0",
        "192.0.2.0/24",
        "192.0.2.1/32",
        "::/0",
        "2001:db8::/32",
    ] {
        assert_eq!(parse_prefixes(text), Ok(nets(&[text])));
    }
}

#[test]
fn a_range_becomes_its_fewest_prefixes() {
    let expected = nets(&[
        "192.0.2.1/32",
        "192.0.2.2/31",
        "192.0.2.4/30",
        "192.0.2.8/31",
    ]);
    assert_eq!(parse_prefixes("192.0.2.1-192.0.2.9"), Ok(expected));
    let all = nets(&["0.0.0.0/0"]);
    assert_eq!(parse_prefixes("0.0.0.0-255.255.255.255"), Ok(all));
    let text = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    assert_eq!(parse_prefixes(text), Ok(nets(&["::/0"])));
}

#[test]
fn a_range_from_an_address_to_itself_is_that_address() {
    assert_eq!(
        parse_prefixes("192.0.2.1-192.0.2.1"),
        Ok(nets(&["192.0.2.1/32"]))
    );
}

#[test]
fn a_single_mapped_address_becomes_ipv4() {
    for text in [
        "::ffff:192.0.2.1",
        "::ffff:c000:201",
        "::ffff:192.0.2.1/128",
        "::ffff:192.0.2.1-192.0.2.1",
    ] {
        assert_eq!(parse_prefixes(text), Ok(nets(&["192.0.2.1/32"])), "{text}");
    }
    let ipv4 = Some(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(written_as_mapped("::ffff:192.0.2.1"), ipv4);
    assert_eq!(written_as_mapped("0:0:0:0:0:ffff:c000:201/128"), ipv4);
    assert_eq!(written_as_mapped("::ffff:192.0.2.0/120"), None);
    assert_eq!(written_as_mapped("192.0.2.1"), None);
}

#[test]
fn a_shorter_mapped_prefix_stays_ipv6() {
    for text in [
        "::ffff:0:0/96",
        "::ffff:192.0.2.0/120",
        "::ffff:192.0.2.0/127",
        "::/90",
    ] {
        assert_eq!(parse_prefixes(text), Ok(nets(&[text])), "{text}");
    }
    assert_refused(
        "::ffff:192.0.2.1/120",
        "host bits",
        "write ::ffff:192.0.2.0/120",
    );
    assert_refused("::ffff:192.0.2.1/24", "all 128 bits", "write 192.0.2.0/24");
    let all = "an IPv4-mapped address is the end of a range";
    let mapped = "::ffff:192.0.2.0-::ffff:192.0.2.9";
    assert_refused(mapped, all, "write 192.0.2.0-192.0.2.9 for IPv4");
    assert_refused("::ffff:192.0.2.0-192.0.2.9", all, "192.0.2.0-192.0.2.9");
    assert_refused("::1-::ffff:192.0.2.9", all, "both ends");
}

#[test]
fn an_ipv6_range_over_the_mapped_block_is_read_back() {
    let prefixes = parse_prefixes("::fffe:0:1-::1:0:0:0").unwrap();
    assert!(prefixes.contains(&nets(&["::ffff:0:0/96"])[0]));
    for prefix in prefixes {
        assert_eq!(parse_prefixes(&prefix.to_string()), Ok(vec![prefix]));
    }
}

#[test]
fn a_list_is_an_element_and_no_prefix() {
    let name = "office".parse().unwrap();
    assert_eq!(parse_elements("@office"), Ok(vec![At::List(name)]));
    assert_refused("@office", "list cannot stand here", "192.0.2.1");
    let error = parse_elements("@two words").unwrap_err();
    assert!(error.problem.contains("letters, digits"), "{error}");
}

#[test]
fn host_bits_are_never_masked_away() {
    assert_refused(
        "10.0.0.1/8",
        "host bits set",
        "write 10.0.0.0/8, or 10.0.0.1 for the one",
    );
    assert_refused(
        "2001:db8::1/32",
        "host bits set",
        "write 2001:db8::/32, or 2001:db8::1",
    );
}

#[test]
fn ranges_that_are_none_are_refused() {
    assert_refused(
        "192.0.2.9-192.0.2.1",
        "reversed",
        "write 192.0.2.1-192.0.2.9",
    );
    assert_refused("192.0.2.1-2001:db8::1", "mixes families", "both ends");
    assert_refused("192.0.2.1-", "one end", "192.0.2.1-192.0.2.9");
    assert_refused("-192.0.2.1", "one end", "");
    assert_refused("192.0.2.1-9", "four parts", "write 192.0.2.1-192.0.2.9");
    assert_refused(
        "192.0.2.0/24-192.0.3.0/24",
        "not prefixes",
        "elements of their own",
    );
    assert_refused("192.0.2.1-192.0.2.2-192.0.2.3", "more than one", "");
    assert_refused("192.0.2.1-192.0.2.999", "`192.0.2.999` in the range", "");
}

#[test]
fn prefix_lengths_are_exact() {
    assert_refused("192.0.2.0/33", "too great", "192.0.2.0/32");
    assert_refused("192.0.2.0/129", "too great", "192.0.2.0/32");
    assert_refused("2001:db8::/129", "128 bits", "2001:db8::/128");
    assert_refused("192.0.2.0/1000", "too great", "");
    assert_refused("192.0.2.0/024", "leading zeros", "192.0.2.0/24");
    assert_refused("0.0.0.0/00", "leading zeros", "0.0.0.0/0");
    assert_refused("192.0.2.0/", "missing", "192.0.2.0");
    assert_refused("192.0.2.0/+24", "not a number", "write 192.0.2.0 for");
    assert_refused("192.0.2.4/-1", "not a number", "write 192.0.2.4 for");
    assert_refused("192.0.2.0/x", "not a number", "");
    assert_refused("192.0.2.0/24/24", "not a number", "");
    assert_refused("192.0.2.7/255.255.255.0", "netmask", "write 192.0.2.0/24");
}

#[test]
fn every_other_garbage_is_told_what_to_write() {
    assert_refused("", "no address given", "192.0.2.1");
    assert_refused(" 192.0.2.1", "white space", "write 192.0.2.1");
    assert_refused(
        "192.0.2.1 - 192.0.2.9",
        "white space",
        "write 192.0.2.1-192.0.2.9",
    );
    assert_refused("192.0.2.1\n192.0.2.9", "white space", "of its own");
    assert_refused("192.0.2", "four parts, not 3", "192.0.2.0/24");
    assert_refused("10/8", "four parts, not 1", "10.0.0.0/8");
    assert_refused("192.0.2.1.5", "four parts, not 5", "");
    assert_refused("192.0..1", "empty part", "");
    assert_refused("192.0.2.256", "256 is greater than 255", "");
    assert_refused("3221225985", "greater than 255", "192.0.2.1");
    assert_refused("192.0.02.1", "leading zeros", "write 192.0.2.1");
    assert_refused("192.0.02.0/24", "leading zeros", "write 192.0.2.0/24");
    assert_refused("192.0.2.*", "`*`", "write 192.0.2.0/24");
    assert_refused("192.0.2.1:80", "no port", "write 192.0.2.1");
    assert_refused("[2001:db8::1]:443", "no port", "write 2001:db8::1:");
    assert_refused("[192.0.2.1]", "brackets", "write 192.0.2.1");
    assert_refused("[2001:db8::1]", "brackets", "write 2001:db8::1");
    assert_refused("fe80::1%eth0", "interface", "write fe80::1;");
    assert_refused("fe80::%eth0/64", "interface", "write fe80::/64;");
    assert_refused("example.org", "not resolved", "");
    assert_refused("2001:db8::g", "`g`", "");
    assert_refused("2001::db8::", "once", "");
    assert_refused("2001:db8", "eight parts", "");
    assert_refused("2001:0db80::", "four digits", "");
    assert_refused("192.0.2.1\u{1b}[31m", "not resolved", "");
}

#[test]
fn several_addresses_in_one_text_are_called_so() {
    let own = "each address as a text of its own";
    for text in [
        "192.0.2.0/24,192.0.3.0/24",
        "192.0.2.1;::1",
        "192.0.2.1, 192.0.2.2",
    ] {
        assert_refused(text, "several addresses", own);
    }
    assert_refused("192.0.2.1,", "a comma or semicolon", "write 192.0.2.1");
    assert_refused("192.0.2.1,x", "several addresses", "192.0.2.1");
}

#[test]
fn what_a_paste_brings_along_is_told_with_the_address_in_it() {
    for text in [
        "\"192.0.2.1\"",
        "<192.0.2.1>",
        "192[.]0[.]2[.]1",
        "'192.0.2.1'",
    ] {
        assert_refused(text, "more than an address", "write 192.0.2.1");
    }
    assert_refused("http://192.0.2.1/x?y=1", "URL", "write 192.0.2.1");
    assert_refused("https://[2001:db8::1]:8443/", "URL", "write 2001:db8::1");
    assert_refused("https://u@192.0.2.1:80", "URL", "write 192.0.2.1");
    assert_refused("https://example.org/a-b", "URL", "not resolved");
}

#[test]
fn errors_show_no_control_characters_and_no_endless_texts() {
    let error = refused(&"\u{1b}x".repeat(10_000));
    assert!(error.to_string().len() < 1000);
    assert!(!error.to_string().contains('\u{1b}'));
}

#[test]
fn two_bare_addresses_convert_as_one_range() {
    let arguments = ["192.0.2.1", "192.0.2.10"].map(str::to_owned);
    let answer = convert(&arguments).unwrap();
    assert_eq!(answer.len(), 1);
    assert_eq!(answer[0].addresses, "10");
    assert_eq!(answer[0].input, "192.0.2.1 192.0.2.10");
    let arguments = ["192.0.2.1", "192.0.2.10", "192.0.2.11/32"].map(str::to_owned);
    assert_eq!(convert(&arguments).unwrap().len(), 3);
    let arguments = ["192.0.2.10", "192.0.2.1"].map(str::to_owned);
    assert!(
        convert(&arguments)
            .unwrap_err()
            .problem
            .contains("reversed")
    );
    assert!(convert(&["@office".to_owned()]).is_err());
}

#[test]
fn address_counts_pass_two_to_the_sixty_four() {
    let count = |text: &str| convert(&[text.to_owned()]).unwrap()[0].addresses.clone();
    assert_eq!(count("2001:db8::/32"), "79228162514264337593543950336");
    assert_eq!(count("::/0"), "340282366920938463463374607431768211456");
    let both = nets(&["0.0.0.0/0", "::/0"]);
    let expected = "340282366920938463463374607436063178752";
    assert_eq!(count_addresses(&both).to_string(), expected);
}

#[test]
fn a_covered_family_is_seen_through_its_parts() {
    let covered = |texts: &[&str]| covered_family(|| nets(texts));
    assert_eq!(
        covered(&["0.0.0.0/1", "128.0.0.0/1"]),
        nets(&["0.0.0.0/0"]).pop()
    );
    assert_eq!(
        covered(&["::/1", "8000::/2", "c000::/2"]),
        nets(&["::/0"]).pop()
    );
    assert_eq!(covered(&["0.0.0.0/1", "0.0.0.0/1"]), None);
    assert_eq!(covered(&["0.0.0.0/1", "128.0.0.0/2", "::/1"]), None);
    assert_eq!(covered(&[]), None);
}

#[test]
fn what_a_hint_says_to_write_is_taken() {
    for text in [
        "*",
        "0/0",
        "10/8",
        "192.0.2.*",
        "192.0.2.1/24",
        "192.0.2.1/33",
        "192.0.2.1/-1",
        "192.0.2.1/255.255.255.0",
        "192.0.2.01",
        "192.0.2.1:443",
        "[2001:db8::1]:443",
        "https://192.0.2.1/x",
        "192[.]0[.]2[.]1",
        "192.0.2.9-192.0.2.1",
        "192.0.2.1-9",
        "::ffff:192.0.2.1/24",
        "::ffff:192.0.2.1-::ffff:192.0.2.9",
        "::ffff:192.0.2.9-::ffff:192.0.2.1",
        "::ffff:192.0.2.1-192.0.2.9",
        "192.0.2.1 192.0.2.2",
        "fe80::1%eth0/64",
        "2001:db8::1/64",
    ] {
        let hint = parse_prefixes(text).unwrap_err().hint.unwrap();
        let written = hint.split_whitespace().filter_map(|word| {
            let word = word
                .trim_start_matches('(')
                .trim_end_matches([',', ';', ':', ')']);
            word.contains(|c: char| c.is_ascii_digit()).then_some(word)
        });
        for word in written.filter(|word| word.contains(['.', ':'])) {
            assert!(parse_prefixes(word).is_ok(), "{text}: {hint}: {word}");
        }
    }
}
