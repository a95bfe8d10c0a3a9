use std::net::Ipv4Addr;

use super::*;
use crate::samples::shown_by_line;

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn refused(text: &str) -> AddressError {
    match parse_prefixes(text) {
        Err(error) => error,
        Ok(prefixes) => panic!("`{text}` was read as {prefixes:?}"),
    }
}

#[test]
fn each_text_is_read_as_its_prefixes_or_refused_with_what_to_write() {
    let show = |text: &str| match parse_elements(text) {
        Ok(elements) => {
            let prefixes = parse_prefixes(text);
            let is_same = |elements: &[At], prefixes: &[IpNet]| {
                let prefixes: Vec<At> = prefixes.iter().copied().map(At::Prefix).collect();
                elements == prefixes
            };
            match prefixes {
                Ok(prefixes) => {
                    assert!(is_same(&elements, &prefixes), "{text}");
                    let texts: Vec<_> = prefixes.iter().map(IpNet::to_string).collect();
                    texts.join(" ")
                }
                // A list, which is an element but not a prefix.
                Err(error) => format!("{elements:?}\n{}", told(&error)),
            }
        }
        Err(error) => told(&error),
    };
    let shown = shown_by_line(include_str!("tests/addresses.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("addresses", shown);
    });
}

/// The addresses of a line, its note, and whether the note starts with a mark.
#[test]
fn each_line_is_read_as_its_addresses_and_a_note_or_refused() {
    let show = |text: &str| {
        let parts = addresses_of_line(text).into_iter().map(|part| match part {
            Ok(part) => String::from(part),
            Err(error) => told(&error),
        });
        let mut lines: Vec<String> = parts.collect();
        if let Ok(Some(line)) = read_line(text) {
            let timed = if line.end.is_end() {
                ", which ends"
            } else {
                ""
            };
            lines.push(format!("note: {:?}{timed}", line.note));
        }
        lines.extend(unmarked_note(text).map(|note| format!("without a mark: {note:?}")));
        lines.join("\n")
    };
    let shown = shown_by_line(include_str!("tests/lines.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("lines", shown);
    });
}

/// The addresses of a text, and what is not taken. Characters that cannot be seen have names.
#[test]
fn addresses_are_found_in_text_and_what_is_doubtful_is_not_taken() {
    const UNSEEN: [(&str, &str); 4] = [
        ("<bom>", "\u{feff}"),
        ("<cr>", "\r"),
        ("<nbsp>", "\u{a0}"),
        ("<zwsp>", "\u{200b}"),
    ];
    let show = |text: &str| {
        let unseen = |text: String, (name, character): &(&str, &str)| text.replace(name, character);
        let text = UNSEEN.iter().fold(text.to_owned(), unseen);
        let found = addresses_in_text(&text)
            .into_iter()
            .map(|found| match found {
                Ok(text) => text,
                Err(error) => format!(
                    "not taken: {error}\n  {}",
                    error.hint.as_deref().unwrap_or_default()
                ),
            });
        found.collect::<Vec<_>>().join("\n")
    };
    let shown = shown_by_line(include_str!("tests/extract.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("extract", shown);
    });
}

fn told(error: &AddressError) -> String {
    let hint = error.hint.as_deref().unwrap_or("-");
    format!("error: {}\nhint: {hint}", error.problem)
}

#[test]
fn a_mapped_address_is_told_from_one_that_is_written_as_ipv4() {
    let ipv4 = Some(Ipv4Addr::new(192, 0, 2, 1));
    assert_eq!(written_as_mapped("::ffff:192.0.2.1"), ipv4);
    assert_eq!(written_as_mapped("0:0:0:0:0:ffff:c000:201/128"), ipv4);
    assert_eq!(written_as_mapped("::ffff:192.0.2.0/120"), None);
    assert_eq!(written_as_mapped("192.0.2.1"), None);
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
    let arguments = ["192.0.2.0", "255.255.255.0"].map(str::to_owned);
    let error = convert(&arguments).unwrap_err();
    let hint = "write 192.0.2.0/24 for the network; write 192.0.2.0-255.255.255.0 for the range";
    assert_eq!(error.hint.as_deref(), Some(hint));
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
