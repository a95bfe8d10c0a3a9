//! Normalises names and values of records: header cells of CSV, keys and values of JSON.

use serde_json::Value;

/// Converts `ipv4Prefix` and `IP-Address` to `ipv4_prefix` and `ip_address`.
pub(super) fn snake(key: &str) -> String {
    let mut out = String::new();
    let mut was_lower = false;
    for character in key.chars() {
        if character.is_ascii_uppercase() && was_lower {
            out.push('_');
        }
        was_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        out.push(match character {
            ' ' | '-' => '_',
            other => other.to_ascii_lowercase(),
        });
    }
    out
}

/// Returns the words of a key: `ipv4` and `prefix` of `ipv4Prefix`.
pub(super) fn parts(key: &str) -> Vec<String> {
    let name = snake(key);
    let words = name.split(|c: char| !c.is_alphanumeric());
    words.map(str::to_owned).collect()
}

/// Returns a text unchanged, a number in digits, and an empty text for anything else.
pub(super) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// As [`text`], and a flag as a word.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        value => text(value.clone()),
    }
}
