//! Lines of standard input: their addresses, or what is wrong with them.

use std::io::{self, BufRead, Read as _};

use ipblock_output::view::visible;
use ipblock_policy::{
    Diagnostic, Hinted,
    address::{AddressError, addresses_in_text, addresses_of_line, unmarked_note},
    exchange::{ReadError, refuse_binary, unpack_error, unpacked},
};

use super::error::CliError;

/// Maximum length of a line in bytes; a longer one is rejected, because an address might be
/// truncated.
const MAX_LINE: u64 = 64 << 10;
/// Some editors write it at the start of a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The argument for standard input.
pub(crate) const INPUT: &str = "-";

/// Whether addresses come from standard input.
pub(crate) fn from_input(arguments: &[String]) -> Result<bool, CliError> {
    if arguments.len() > 1 && arguments.iter().any(|argument| argument == INPUT) {
        return Err(CliError::Usage {
            message: "`-` stands alone: addresses come from standard input or from arguments"
                .to_owned(),
            hint: "leave the other addresses out, or the `-`".to_owned(),
        });
    }
    Ok(arguments.first().is_some_and(|argument| argument == INPUT))
}

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// One or several addresses a line, and a note.
    Lines,
    /// Any text with addresses in it.
    Text,
}

/// An address with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) address: String,
    /// Text after the addresses, at the line's first address.
    pub(crate) note: Option<String>,
}

/// The result of a read: an address, or the error of a line.
pub(crate) type Read = Result<Line, Diagnostic>;

/// Returns the error for the line with this number.
pub(crate) fn refused(number: u64, error: &dyn Hinted) -> Diagnostic {
    Diagnostic::of(error).at(format_args!("line {number}"))
}

/// Returns the beginning of a note, for a message.
fn shown(note: &str) -> String {
    const SHOWN: usize = 40;
    visible(note).chars().take(SHOWN).collect()
}

/// Passes on the content of each line until the input ends or the receiver is gone. Rejects a bad
/// line completely.
pub(crate) fn read(
    input: impl BufRead,
    how: Reading,
    mut take: impl FnMut(Result<Read, CliError>) -> bool,
) {
    let failed = |source: io::Error| match source.get_ref() {
        // Damaged gzip data.
        Some(inner) if inner.is::<ReadError>() => {
            let error = unpack_error(source);
            CliError::Usage {
                message: format!("standard input: {error}; the lines before were read"),
                hint: error.hint.unwrap_or_default(),
            }
        }
        _ => CliError::File {
            verb: "read",
            path: INPUT.into(),
            source,
        },
    };
    let mut input = match unpacked(input) {
        Ok(input) => input,
        Err(error) => {
            take(Err(failed(error)));
            return;
        }
    };
    let begin = input.fill_buf().map_err(failed);
    let is_text = begin.and_then(|begin| {
        refuse_binary(begin).map_err(|error| CliError::Usage {
            message: format!("standard input: {error}"),
            hint: error.hint.unwrap_or_default(),
        })
    });
    if let Err(error) = is_text {
        take(Err(error));
        return;
    }
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        number += 1;
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                take(Err(failed(error)));
                return;
            }
        }
        let is_cut = bytes.len() as u64 == MAX_LINE && bytes.last() != Some(&b'\n');
        if is_cut {
            if let Err(error) = input.skip_until(b'\n') {
                take(Err(failed(error)));
                return;
            }
            let error = Diagnostic::new(format!("longer than {MAX_LINE} bytes"))
                .with_hint("write fewer addresses a line");
            if !take(Ok(Err(refused(number, &error)))) {
                return;
            }
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_start_matches(BYTE_ORDER_MARK);
        if how == Reading::Text {
            let goes_on = addresses_in_text(text).into_iter().all(|found| {
                let found = found.map_err(|error| refused(number, &error));
                take(Ok(found.map(|address| Line {
                    number,
                    address,
                    note: None,
                })))
            });
            if !goes_on {
                return;
            }
            continue;
        }
        let pieces: Result<Vec<_>, AddressError> = addresses_of_line(text).into_iter().collect();
        let goes_on = match pieces {
            Err(error) => take(Ok(Err(refused(number, &error)))),
            Ok(pieces) => {
                let mut note = unmarked_note(text).map(shown);
                pieces.into_iter().all(|address| {
                    let address = address.into_owned();
                    let note = note.take();
                    take(Ok(Ok(Line {
                        number,
                        address,
                        note,
                    })))
                })
            }
        };
        if !goes_on {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BAD_INPUT;

    /// Returns each address with its line; the error of a line has 0.
    fn lines_of(text: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        read(text, Reading::Lines, |line| {
            lines.push(match line.expect("a line") {
                Ok(line) => (line.number, line.address),
                Err(refused) => (0, refused.to_string()),
            });
            true
        });
        lines
    }

    #[test]
    fn every_address_of_a_line_is_read_and_comments_are_not() {
        let text = b"192.0.2.1 seen twice\n\n  # a comment\n198.51.100.7 203.0.113.0/25\t2001:db8:bad::5\r\n\
            192.0.2.2,192.0.2.3 # scan\n; 192.0.2.4\n\t2001:db8::1";
        let expected = [
            (1, "192.0.2.1"),
            (4, "198.51.100.7"),
            (4, "203.0.113.0/25"),
            (4, "2001:db8:bad::5"),
            (5, "192.0.2.2"),
            (5, "192.0.2.3"),
            (7, "2001:db8::1"),
        ];
        assert_eq!(
            lines_of(text),
            expected.map(|(number, address)| (number, address.to_owned()))
        );
    }

    #[test]
    fn a_line_with_a_bad_address_is_refused_as_a_whole() {
        let lines = lines_of(b"192.0.2.1 192.0.2.300\n192.0.2.2\n");
        let refused = &lines[0].1;
        assert!(refused.starts_with("line 1: `192.0.2.300`"), "{refused}");
        assert_eq!(lines[1..], [(2, "192.0.2.2".to_owned())]);
    }

    #[test]
    fn what_is_not_text_is_named_and_nothing_of_it_is_read() {
        for (bytes, what) in [
            (
                &b"\x1f\x8b\x08\0\0\n192.0.2.1\n"[..],
                "gzip data that is damaged",
            ),
            (b"\xff\xfe1\x009\x002\0", "text in UTF-16"),
            (b"192.0.2.1\n\0\x07\x08", "binary data"),
        ] {
            let mut taken = Vec::new();
            read(bytes, Reading::Lines, |line| {
                taken.push(line);
                true
            });
            let [Err(error)] = taken.as_slice() else {
                panic!("{taken:?}");
            };
            assert!(error.to_string().contains(what), "{error}");
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()));
            assert_eq!(error.exit_code(), BAD_INPUT);
        }
    }

    #[test]
    fn an_end_of_an_entry_is_reported_as_not_kept() {
        let mut notes = Vec::new();
        read(
            &b"192.0.2.1 timeout 60 comment \"x\"\n"[..],
            Reading::Lines,
            |line| {
                notes.push(line.expect("input").expect("a line").note);
                true
            },
        );
        assert_eq!(notes, [Some("timeout 60 comment \"x\"".to_owned())]);
    }

    #[test]
    fn an_endless_line_is_refused_and_the_next_one_is_read() {
        let text = format!("192.0.2.1 {}\n192.0.2.2\n", "192.0.2.3 ".repeat(10_000));
        let lines = lines_of(text.as_bytes());
        let refused = "line 1: longer than 65536 bytes";
        assert_eq!(lines[0], (0, refused.to_owned()));
        assert_eq!(lines[1..], [(2, "192.0.2.2".to_owned())]);
    }

    #[test]
    fn input_is_one_argument_alone() {
        let arguments = |list: &[&str]| -> Vec<String> {
            list.iter().map(|&argument| argument.to_owned()).collect()
        };
        assert!(from_input(&arguments(&["-"])).expect("alone"));
        assert!(!from_input(&arguments(&["192.0.2.1"])).expect("no input"));
        assert!(from_input(&arguments(&["192.0.2.1", "-"])).is_err());
    }
}
