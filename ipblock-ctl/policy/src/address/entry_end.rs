//! Names and values that mean that an entry expires.

use crate::duration::is_endless;

/// Names of columns, keys and words, in snake case.
const NAMES: [&str; 36] = [
    "ban_time",
    "ban_until",
    "banned_for",
    "banned_until",
    "bantime",
    "block_until",
    "blocked_until",
    "duration",
    "end_date",
    "end_time",
    "ends",
    "ends_at",
    "expiration",
    "expiration_date",
    "expiration_time",
    "expire",
    "expire_at",
    "expire_date",
    "expire_time",
    "expires",
    "expires_at",
    "expires_in",
    "expires_on",
    "expiry",
    "expiry_date",
    "expiry_time",
    "lifetime",
    "remaining",
    "seconds_left",
    "time_left",
    "time_to_live",
    "timeout",
    "ttl",
    "until",
    "valid_to",
    "valid_until",
];

/// Whether a name, in snake case, denotes an end or a remaining time.
pub(crate) fn names_end(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Whether the value of such a name is an end.
pub(crate) fn is_end(value: &str) -> bool {
    let value = value.trim();
    let is_none = ["", "0", "0s", "-", "none", "null", "false", "no", "n/a"]
        .iter()
        .any(|none| value.eq_ignore_ascii_case(none));
    !is_none && !is_endless(value)
}

/// Whether a note begins with an end: `until 2026-12-01`, `ttl=600`, `expires in 2 days`.
pub(crate) fn says_end(note: &str) -> bool {
    let mut words = note.split_whitespace();
    let word = words.next().unwrap_or_default().to_ascii_lowercase();
    let bare = word.trim_end_matches([':', '=']);
    let next = words.next().unwrap_or_default();
    let (name, value) = bare.split_once([':', '=']).unwrap_or((bare, next));
    let is_value = value.starts_with(|first: char| first.is_ascii_digit())
        || matches!(value, "in" | "on" | "at" | "after");
    is_value && names_end(name)
}
