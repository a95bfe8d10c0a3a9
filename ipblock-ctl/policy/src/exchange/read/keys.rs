//! Names and values of records in words: header cells of CSV, keys and values of JSON.

use serde_json::Value;

/// `ipv4Prefix` and `IP-Address` as `ipv4_prefix` and `ip_address`.
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

/// A text as it is, a number in digits, anything else as nothing.
pub(super) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The same, and a flag in words.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        value => text(value.clone()),
    }
}
