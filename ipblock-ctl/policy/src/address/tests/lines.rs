//! Lines with one address, with several, and with what could be either.

use super::*;

/// The addresses of a line and its note.
fn read(text: &str) -> (Vec<String>, String) {
    let line = read_line(text).unwrap().unwrap();
    let texts = addresses_of_line(text)
        .into_iter()
        .map(|text| text.unwrap());
    (texts.map(String::from).collect(), line.note.to_owned())
}

#[track_caller]
fn assert_line(text: &str, addresses: &[&str], note: &str) {
    let addresses: Vec<String> = addresses.iter().map(|text| (*text).to_owned()).collect();
    assert_eq!(read(text), (addresses, note.to_owned()), "{text}");
}

#[track_caller]
fn assert_line_refused(text: &str, problem: &str, hint: &str) {
    let answer = addresses_of_line(text);
    let [Err(error)] = answer.as_slice() else {
        panic!("`{text}` was read as {answer:?}");
    };
    let said = error.hint.clone().unwrap_or_default();
    assert!(
        error.problem.contains(problem),
        "`{text}`: {error} / {said}"
    );
    assert!(said.contains(hint), "`{text}`: {error} / {said}");
}

#[test]
fn commas_semicolons_and_white_space_make_several_addresses() {
    let three = ["192.0.2.7", "198.51.100.9", "203.0.113.5"];
    for text in [
        "192.0.2.7, 198.51.100.9, 203.0.113.5",
        "192.0.2.7,198.51.100.9;203.0.113.5",
        "192.0.2.7 198.51.100.9\t203.0.113.5 ",
        "192.0.2.7;198.51.100.9 ; 203.0.113.5;",
        "192.0.2.7,, 198.51.100.9,203.0.113.5,",
    ] {
        assert_line(text, &three, "");
    }
    assert_line(
        "198.51.100.7 203.0.113.0/25 2001:db8:bad::5",
        &["198.51.100.7", "203.0.113.0/25", "2001:db8:bad::5"],
        "",
    );
    assert_line(
        "192.0.2.1-192.0.2.9,@office # both",
        &["192.0.2.1-192.0.2.9", "@office"],
        "both",
    );
    // The first is greater: no range.
    assert_line(
        "198.51.100.9, 192.0.2.7 scanners",
        &["198.51.100.9", "192.0.2.7"],
        "scanners",
    );
}

#[test]
fn text_after_the_addresses_is_a_note() {
    assert_line("192.0.2.1", &["192.0.2.1"], "");
    assert_line("192.0.2.1 seen twice", &["192.0.2.1"], "seen twice");
    assert_line("192.0.2.1#office", &["192.0.2.1"], "office");
    assert_line("1.10.16.0/20 ; SBL256894", &["1.10.16.0/20"], "SBL256894");
    assert_line(
        "192.0.2.1 // of 198.51.100.7",
        &["192.0.2.1"],
        "of 198.51.100.7",
    );
    assert_line("192.0.2.1 # 198.51.100.7", &["192.0.2.1"], "198.51.100.7");
    assert_line(
        "192.0.2.1 seen 2026-01-17 07:30:05 v1.2.3 a:b 17.01.2026",
        &["192.0.2.1"],
        "seen 2026-01-17 07:30:05 v1.2.3 a:b 17.01.2026",
    );
    assert_line("192.0.2.1 @admin says so", &["192.0.2.1"], "@admin says so");
    assert_line("192.0.2.7 24", &["192.0.2.7"], "24");
    for blank in ["", "  ", "# 192.0.2.1", "; 192.0.2.1", " // 192.0.2.1"] {
        assert!(addresses_of_line(blank).is_empty(), "{blank}");
    }
}

#[test]
fn a_note_without_a_mark_is_told_from_a_comment() {
    for (line, note) in [
        ("192.0.2.1 seen twice ", Some("seen twice")),
        ("192.0.2.1, 192.0.2.2 seen", Some("seen")),
        ("192.0.2.1 # seen", None),
        ("192.0.2.1 ; seen", None),
        ("192.0.2.1 // seen", None),
        ("192.0.2.1", None),
        ("# seen", None),
        ("192.0.2.1 - 192.0.2.2", None),
    ] {
        assert_eq!(unmarked_note(line), note, "{line}");
    }
}

#[test]
fn a_range_in_words_is_refused_with_how_to_write_it() {
    let range = "write 192.0.2.1-192.0.2.9";
    for text in [
        "192.0.2.1 to 192.0.2.9",
        "192.0.2.1 - 192.0.2.9",
        "192.0.2.1 -192.0.2.9",
        "192.0.2.1- 192.0.2.9",
        "192.0.2.1 -> 192.0.2.9",
        "192.0.2.1 – 192.0.2.9 scanners",
        "192.0.2.9 - 192.0.2.1",
    ] {
        assert_line_refused(text, "range", range);
    }
    assert_line_refused("192.0.2.0 / 24", "white space", "write 192.0.2.0/24");
    assert_line_refused("192.0.2.0 /24 x", "white space", "write 192.0.2.0/24");
}

#[test]
fn a_mask_is_applied_where_a_word_names_it() {
    for text in [
        "192.0.2.0 netmask 255.255.255.0",
        "192.0.2.0 mask 255.255.255.0 office",
        "192.0.2.0 wildcard 0.0.0.255",
        "192.0.2.0 netmask /24",
    ] {
        assert_eq!(read(text).0, ["192.0.2.0/24"], "{text}");
    }
    let bad = "192.0.2.1 netmask 255.255.255.0";
    assert_line_refused(bad, "host bits", "write 192.0.2.0/24");
    assert_line_refused("192.0.2.0 netmask 255.0.255.0", "not a mask", "255.255");
    assert_line_refused("2001:db8:: netmask 255.0.0.0", "not a mask", "64");
    assert_line_refused("192.0.2.0/24 netmask 255.0.0.0", "beside", "192.0.2.0/24");
    assert_line("192.0.2.0 mask wearer", &["192.0.2.0"], "mask wearer");
}

#[test]
fn a_mask_that_nothing_names_is_refused() {
    for text in [
        "10.0.0.0,255.0.0.0",
        "10.0.0.0 255.0.0.0",
        "10.0.0.0 0.255.255.255",
    ] {
        assert_line_refused(text, "mask, or two addresses", "write 10.0.0.0/8");
    }
    assert_line_refused("192.0.2.0 24", "a number", "192.0.2.0/24");
    assert_line_refused("2001:db8:: 32", "a number", "2001:db8::/32");
}

#[test]
fn text_that_may_hold_another_address_is_refused() {
    let between = "several addresses with text between them";
    assert_line_refused("192.0.2.7 tcp 198.51.100.9", between, "`#`");
    assert_line_refused("192.0.2.7 seen (198.51.100.9)", between, "`#`");
    let either = "several addresses, or a note";
    assert_line_refused("192.0.2.7 ; 198.51.100.9 moved", either, "`#`");
    assert_line_refused("192.0.2.7, scanner", "after a comma", "--format csv");
    assert_line_refused("192.0.2.7 198.51.100.300", "greater than 255", "");
    assert_line_refused("192.0.2.7 198.51.100.1/24", "host bits", "");
    assert_line_refused("deny 192.0.2.7;", "begins with `deny`", "192.0.2.7");
    assert_line_refused("!192.0.2.10", "negates", "exception add RULE 192.0.2.10");
}

#[test]
fn members_of_an_ipset_without_their_header_keep_their_meaning() {
    let text = "10.0.0.0/25 nomatch";
    assert_line_refused(text, "`nomatch` entry", "exception add");
    assert_line_refused("10.0.0.0/25 timeout 5 nomatch", "`nomatch` entry", "");
    let line = read_line("192.0.2.1 timeout 3553 packets 0 bytes 0 comment \"a b\"");
    let line = line.unwrap().unwrap();
    assert_eq!((line.note, line.timed), ("a b", true));
    let line = read_line("192.0.2.1 timeout 0 packets 7 bytes 420").unwrap();
    assert_eq!(line.map(|line| (line.note, line.timed)), Some(("", false)));
    assert_line(
        "192.0.2.1 timeout reached",
        &["192.0.2.1"],
        "timeout reached",
    );
}
