//! Reads the content of a list file: all of it, or nothing.

use super::{PassedOver, ReadOptions, Refusal};
use crate::{Diagnostic, ruleset::ListElement, text::counted};

/// Reads the content of a list file, each prefix once, in any format that `import` knows. The error names the first line that is wrong, and how many more are.
pub fn read_list(content: &str, options: &ReadOptions) -> Result<Vec<ListElement>, Diagnostic> {
    let parsed = super::read_with(content.as_bytes(), options);
    let parsed = parsed.map_err(|error| Diagnostic::of(&error))?;
    let refused_lines = parsed.refused.len() as u64 + parsed.more_refused;
    let Some(first) = parsed.refused.into_iter().next() else {
        return match parsed.passed_over.first() {
            None if parsed.timed > 0 => Err(ends(parsed.timed)),
            None => Ok(parsed.elements),
            Some(place) => Err(not_read(place)),
        };
    };
    let more = match refused_lines - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let Refusal {
        line,
        text,
        problem,
        hint,
    } = first;
    let text = match text.as_str() {
        "" => String::new(),
        text => format!(" `{text}`:"),
    };
    Err(Diagnostic {
        message: format!("line {line}:{text} {problem}{more}"),
        hint,
    })
}

/// Rejects skipped addresses, which `import` would report. A followed file has no operator who
/// reads that, and an exception among them would be blocked.
fn not_read(place: &PassedOver) -> Diagnostic {
    let PassedOver { what, count } = place;
    let addresses = counted(count, "address", "addresses");
    let message = format!("{addresses} under `{what}`: not read as part of the list");
    Diagnostic::new(message).with_hint(
        "a list file is taken as a whole: write the addresses alone, or use ipblock-ctl import",
    )
}

/// Rejects entries that expire: elements of a list do not, so its rules would block them for
/// longer.
fn ends(count: u64) -> Diagnostic {
    let entries = counted(count, "entry has", "entries have");
    let message = format!("{entries} an end (timeout, expiry), and entries of a list have none");
    Diagnostic::new(message).with_hint(
        "ban them until then: ipblock-ctl import FILE --as-bans; where the file is written anew as \
         entries end, leave the ends out of it",
    )
}

/// Rejects bytes that are not text, and says what they are.
pub fn refuse_binary(bytes: &[u8]) -> Result<(), Diagnostic> {
    let refused = super::binary::refuse(bytes, std::io::empty());
    refused.map_err(|error| Diagnostic::of(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_elements(text: &str) -> Vec<String> {
        let elements = read_list(text, &ReadOptions::default()).unwrap();
        let shown = elements.iter().map(|element| match &*element.note {
            "" => element.prefix.to_string(),
            note => format!("{} {note}", element.prefix),
        });
        shown.collect()
    }

    #[test]
    fn what_follows_an_address_is_its_note() {
        let text = "# a feed\n192.0.2.0/24 ; SBL1\n198.51.100.4-198.51.100.7\n";
        assert_eq!(
            shown_elements(text),
            ["192.0.2.0/24 SBL1", "198.51.100.4/30"]
        );
    }

    #[test]
    fn a_feed_may_have_any_format_that_import_reads() {
        let spamhaus = "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\",\"rir\":\"apnic\"}\n\
                        {\"type\":\"metadata\",\"records\":1}\n";
        assert_eq!(shown_elements(spamhaus), ["192.0.2.0/24 SBL1"]);
        let ipset = "create bad hash:net family inet\nadd bad 192.0.2.0/24\n";
        assert_eq!(shown_elements(ipset), ["192.0.2.0/24"]);
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_counted() {
        let error = read_list(
            "# x\n192.0.2.1/24\n192.0.2.7\nfoo\n\nbar\n",
            &ReadOptions::default(),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "line 2: `192.0.2.1/24`: host bits set (and 2 more)"
        );
        assert!(error.hint.unwrap().contains("192.0.2.0/24"));
    }

    #[test]
    fn what_import_would_pass_over_is_refused_in_a_file_that_is_followed() {
        for text in [
            r#"{"addresses": ["192.0.2.0/24"], "except": ["192.0.2.7"]}"#,
            r#"{"addresses": ["192.0.2.0/24"], "blocked6": ["2001:db8::/48"]}"#,
        ] {
            let error = read_list(text, &ReadOptions::default()).unwrap_err();
            assert!(error.message.contains("not read as part"), "{error}");
        }
    }
}
