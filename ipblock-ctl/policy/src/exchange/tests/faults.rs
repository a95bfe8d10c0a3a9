//! Inputs from real files and public reports that were once read incorrectly, with the number of
//! the bug. Most bugs were silent. What is rejected here is ambiguous.

use std::fmt::Write as _;

use super::*;
use crate::{Hinted, samples::shown_by_block};

/// Prints the result of a text, its rejections, and the answer for a list that follows it.
///
/// If the first line is `@sets A,B`, only these sets are read. `@same` after it means the text of
/// the previous case. `@format plain` disables the detection of the format.
#[test]
fn what_was_read_wrong_once_is_read_right_or_refused() {
    let mut last = String::new();
    let show = |case: &str| {
        let (how, text) = match case.split_once('\n') {
            Some((how, text)) if how.starts_with('@') => (how, text),
            _ => ("", case),
        };
        if text != "@same\n" {
            text.clone_into(&mut last);
        }
        let sets = how.strip_prefix("@sets ").into_iter();
        let options = ReadOptions {
            format: (how == "@format plain").then_some(FileFormat::Plain),
            sets: sets
                .flat_map(|sets| sets.split(','))
                .map(str::to_owned)
                .collect(),
            ..ReadOptions::default()
        };
        let parsed = read_with(last.as_bytes(), &options).unwrap();
        let mut shown = told(&parsed);
        match read_list(text, &ReadOptions::default()) {
            _ if !how.is_empty() => {}
            Ok(_) => assert_eq!(parsed.refused, [], "{text}"),
            // A list file has more reasons for rejection: whatever would be omitted silently.
            Err(error) if parsed.refused.is_empty() => {
                let hint = error.hint().unwrap_or_default();
                writeln!(shown, "as a list: {error}\n  hint: {hint}").unwrap();
            }
            Err(_) => {}
        }
        shown
    };
    let shown = shown_by_block(include_str!("faults.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("faults", shown);
    });
}

pub(super) fn told(parsed: &Parsed) -> String {
    let mut out = format!("{}: {} read", parsed.format, parsed.read);
    for (count, what) in [
        (parsed.duplicates, "twice"),
        (parsed.timed, "with an end"),
        (parsed.mapped, "mapped"),
    ] {
        if count > 0 {
            write!(out, ", {count} {what}").unwrap();
        }
    }
    out.push('\n');
    for (prefix, note) in pairs(parsed) {
        writeln!(out, "  {}", format!("{prefix} {note}").trim_end()).unwrap();
    }
    for place in &parsed.passed_over {
        writeln!(out, "passed over: {} ({})", place.what, place.count).unwrap();
    }
    for refusal in &parsed.refused {
        let hint = refusal.hint.as_deref().unwrap_or("-");
        let (line, text, problem) = (refusal.line, &refusal.text, &refusal.problem);
        writeln!(
            out,
            "refused: line {line}: `{text}`: {problem}\n  hint: {hint}"
        )
        .unwrap();
    }
    if parsed.is_spoilt {
        assert!(!parsed.refused.is_empty() && parsed.elements.is_empty());
        out.push_str("nothing of it is taken, --lenient or not\n");
    }
    out
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

#[test]
fn d9_a_file_that_is_not_text_is_named_in_one_line() {
    let said = |bytes: &[u8]| match read(bytes, None) {
        Err(error @ ReadError::Binary { .. }) => {
            format!("{error}; {}", error.hint().unwrap_or_default())
        }
        other => panic!("{other:?}"),
    };
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
