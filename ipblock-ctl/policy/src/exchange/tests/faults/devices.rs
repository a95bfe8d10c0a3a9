//! What other tools print: meters, members of a set, and files that are not text.

use super::*;
use crate::Hinted;

#[test]
fn d7_meters_are_refused() {
    let set = |elements: &str| {
        format!(
            "table ip t {{\n\tset k {{\n\t\ttype ipv4_addr\n\t\tsize 65535\n\t\tflags \
             dynamic,timeout\n\t\telements = {{ {elements} }}\n\t}}\n}}\n"
        )
    };
    for element in [
        "192.0.2.1 limit rate over 10/second timeout 10m expires 9m59s996ms",
        "192.0.2.1 ct count over 2",
        "192.0.2.1 quota over 10 bytes used 10 bytes",
    ] {
        let problem = "more than an address: a limit";
        assert_refused(&set(element), problem, "nft list set");
    }
    let harmless = set("192.0.2.1 counter packets 3 bytes 180 timeout 10m expires 9m, 192.0.2.2");
    assert_eq!(prefixes(&harmless), ["192.0.2.1/32", "192.0.2.2/32"]);
    assert_eq!(read_text(&harmless, None).timed, 1);
    let json = |key: &str| {
        format!(
            r#"{{"nftables": [{{"set": {{"family": "ip", "name": "k", "table": "t",
            "type": "ipv4_addr", "flags": ["dynamic"], "elem": [{{"elem": {{"val": "192.0.2.1",
            "{key}": {{"val": 10, "inv": true}}, "timeout": 600, "expires": 599}}}}]}}}}]}}"#
        )
    };
    for key in ["limit", "ct count", "quota"] {
        let problem = "more than an address: a limit";
        assert_refused(&json(key), problem, "nft list set");
    }
    assert_eq!(prefixes(&json("counter")), ["192.0.2.1/32"]);
}

#[test]
fn d8_members_without_their_header_keep_what_they_say() {
    let listed = "10.0.0.0/25 nomatch\n";
    assert_refused(listed, "`nomatch` entry", "exception add");
    let text = "10.0.1.0/24\n192.0.2.1 timeout 3553 packets 0 bytes 0\n";
    let parsed = read_text(text, None);
    assert_eq!(
        pairs(&parsed),
        expected(&[("10.0.1.0/24", ""), ("192.0.2.1/32", "")])
    );
    assert_eq!((parsed.refused.len(), parsed.timed), (0, 1));
}

#[test]
fn d9_a_file_that_is_not_text_is_named_in_one_line() {
    let said = |bytes: &[u8]| match read(bytes, None) {
        Err(error @ ReadError::Binary { .. }) => {
            format!("{error}; {}", error.hint().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        said(b"\x1f\x8b\x08\0\0"),
        "gzip data; unpack it first: gzip -d"
    );
    assert_eq!(
        said(b"PK\x03\x04\x14"),
        "a zip archive; unpack it first: unzip"
    );
    let utf16 = "text in UTF-16; convert it: iconv";
    assert!(said(b"\xff\xfe1\x009\x002\0").starts_with(utf16));
    assert!(said(b"1\x009\x002\0.\x000\0").starts_with(utf16));
    let mut mmdb = vec![0, 0, 1, 7, 0, 0, 2];
    mmdb.extend(vec![9; 200_000]);
    mmdb.extend(b"\xab\xcd\xefMaxMind.com\xe9");
    assert!(said(&mmdb).starts_with("a MaxMind database (MMDB); "));
    assert!(said(b"192.0.2.1\n\0\x07\x08").starts_with("binary data, not text; "));
    assert!(
        read(&b"\xff192.0.2.1\n"[..], None).is_ok(),
        "a bad byte is told with its line"
    );
}

#[test]
fn d07_members_of_a_meter_without_their_header_are_refused() {
    for line in [
        "192.0.2.1 limit rate over 10/second timeout 10m expires 9m59s996ms,\n",
        "192.0.2.1 timeout 10m expires 9m limit rate over 10/second\n",
        "192.0.2.1 ct count over 2,\n",
        "192.0.2.1 counter packets 5 bytes 300 quota over 10 bytes used 10 bytes\n",
    ] {
        assert_refused(line, "more than an address: a limit", "");
    }
    let timed = read_text("192.0.2.1 timeout 10m expires 9m59s996ms,\n", None);
    assert_eq!(timed.refused, []);
    assert_eq!(&*timed.elements[0].note, "");
    assert_eq!(timed.timed, 1);
    let counted = read_text("192.0.2.1 counter packets 5 bytes 300\n", None);
    assert_eq!((counted.refused.len(), counted.timed), (0, 0));
}
