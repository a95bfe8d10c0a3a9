//! Makes text from outside safe to show: notes, names, reasons and file contents reach terminals,
//! logs and files of other programs.

use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
};

/// Maximum length of text from outside in a message, in characters.
const LONGEST_IN_MESSAGE: usize = 100;

/// Returns `text` on one line. Each character that is not [`is_safe`] becomes its escape: `\n`,
/// `\u{202e}`.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push_printable(&mut safe, character);
    }
    Cow::Owned(safe)
}

/// Whether a character may reach a terminal or a log unchanged.
///
/// Unsafe are control characters (C0, DEL, C1), which steer a terminal or begin another line; line
/// and paragraph separators; bidirectional controls, which show text in another order than the
/// order of comparison; and characters without width, which make two names look the same. Source:
/// Unicode 16, general categories Cc, Cf, Zl and Zp.
#[must_use]
pub const fn is_safe(character: char) -> bool {
    !matches!(character,
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'..='\u{891}'
        | '\u{8e2}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{110bd}'
        | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0001}'..='\u{e007f}')
}

/// Returns JSON with each character that is not [`is_safe`] as `\uXXXX`; the value is the same.
///
/// Line breaks and tabs between tokens stay. `json` is valid JSON or a part of it: outside of
/// strings it is ASCII, and in strings C0 controls are escaped already.
#[must_use]
pub fn printable_json(json: &str) -> Cow<'_, str> {
    let is_kept = |character: char| character.is_ascii_control() || is_safe(character);
    if json.chars().all(is_kept) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_kept(character) {
            safe.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(safe)
}

/// Returns a decimal number with a comma before every three digits.
#[must_use]
pub fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number and its noun: `1 rule`, `2,000 rules`.
#[must_use]
pub fn counted(number: impl Display, one: &str, many: &str) -> String {
    let number = grouped(number);
    let noun = if number == "1" { one } else { many };
    format!("{number} {noun}")
}

/// Returns the first 100 characters of `text` as [`printable`] shows them, for a message.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == LONGEST_IN_MESSAGE {
            out.push_str("...");
            break;
        }
        push_printable(&mut out, character);
    }
    out
}

fn push_printable(out: &mut String, character: char) {
    if is_safe(character) {
        out.push(character);
    } else {
        out.extend(character.escape_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safe_text_is_borrowed_as_it_is() {
        for text in ["ticket 42 ü", "漢字", "", "שלום \"quoted\" \\"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn text_cannot_steer_a_terminal_or_begin_a_line() {
        assert_eq!(printable("\x1b[2Jgone\n"), "\\u{1b}[2Jgone\\n");
        assert_eq!(printable("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(printable("a\u{2028}b"), "a\\u{2028}b");
    }

    #[test]
    fn text_cannot_be_reordered_or_hidden() {
        assert_eq!(printable("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        for hidden in ['\u{200b}', '\u{2060}', '\u{feff}', '\u{e0041}', '\u{2066}'] {
            let text = format!("office{hidden}");
            assert!(printable(&text).is_ascii(), "{}", u32::from(hidden));
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = "\u{9b}31m \u{202e}x \u{e0041} ü \n";
        let json = serde_json::to_string_pretty(&[value]).unwrap();
        let safe = printable_json(&json);
        assert!(
            safe.contains("\\u009b31m \\u202ex \\udb40\\udc41 ü \\n"),
            "{safe}"
        );
        assert!(safe.starts_with("[\n  "), "{safe}");
        let read: Vec<String> = serde_json::from_str(&safe).unwrap();
        assert_eq!(read, [value]);
    }

    #[test]
    fn a_number_has_its_noun_and_one_has_no_plural() {
        let rules = |number| counted(number, "rule", "rules");
        assert_eq!(
            [rules(0), rules(1), rules(11), rules(2_001)],
            ["0 rules", "1 rule", "11 rules", "2,001 rules"]
        );
        assert_eq!(counted("1", "address", "addresses"), "1 address");
    }

    #[test]
    fn messages_show_the_beginning_of_a_long_text() {
        let long = "\x1b".repeat(101);
        assert_eq!(excerpt(&long), format!("{}...", "\\u{1b}".repeat(100)));
    }
}
