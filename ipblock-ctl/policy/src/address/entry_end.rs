//! Names and values that mean that an entry expires, and when.

use jiff::Timestamp;

use crate::duration::{is_endless, signed_seconds};

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
    end_name(name).is_some()
}

/// Returns the known name of an end.
pub(crate) fn end_name(name: &str) -> Option<&'static str> {
    NAMES.into_iter().find(|known| *known == name)
}

/// Names whose value is a number of seconds from now on.
const SECONDS: [&str; 8] = [
    "ban_time",
    "bantime",
    "expires_in",
    "remaining",
    "seconds_left",
    "time_to_live",
    "timeout",
    "ttl",
];

/// Numbers from here on are seconds since 1970, not a remaining time: it would be over 31 years.
const EPOCH: i64 = 1_000_000_000;

/// As seconds since 1970, numbers up to here are before the year 5138.
const MAX_EPOCH: i64 = 100_000_000_000;

/// When an entry expires in its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The source names no end.
    #[default]
    None,
    /// The source says that it does not end.
    Never,
    /// At this time.
    At(Timestamp),
    /// This number of seconds after now, rounded up. Zero and less are in the past.
    After(i64),
    /// The source names an end, but not a clear one.
    Unreadable,
}

impl End {
    /// Reads a value under a name that [`names_end`].
    pub(crate) fn under(name: &str, value: &str) -> Self {
        let value = value.trim();
        let is_any = |words: &[&str]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
        if is_any(&["", "-", "none", "null", "false", "no", "n/a"]) {
            return Self::None;
        }
        // A timeout of 0 means none, and so does a ban time of -1 in fail2ban.
        if is_any(&["0", "0s", "-1"]) || is_endless(value) {
            return Self::Never;
        }
        if let Ok(number) = value.parse::<i64>() {
            return Self::of_number(name, number);
        }
        let utc = value.strip_suffix(" UTC").map(|time| format!("{time}Z"));
        // A time without an offset may be local or UTC.
        if let Ok(at) = utc.as_deref().unwrap_or(value).parse() {
            return Self::At(at);
        }
        signed_seconds(value).map_or(Self::Unreadable, Self::After)
    }

    fn of_number(name: &str, number: i64) -> Self {
        if SECONDS.contains(&name) {
            return Self::After(number);
        }
        let at = (EPOCH..MAX_EPOCH)
            .contains(&number)
            .then(|| Timestamp::from_second(number).ok());
        at.flatten().map_or(Self::Unreadable, Self::At)
    }

    /// Reads the end at the beginning of a note: `until 2026-12-01`, `ttl=600`, `expires in 2 days`.
    pub(crate) fn of_note(note: &str) -> Self {
        let note = note.trim();
        let end = note.find(|c: char| c.is_whitespace() || matches!(c, ':' | '='));
        let (name, rest) = note
            .split_at_checked(end.unwrap_or(note.len()))
            .unwrap_or_default();
        let value = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ':' | '='));
        let word = value.split_whitespace().next().unwrap_or_default();
        let is_value = word.starts_with(|first: char| first.is_ascii_digit())
            || matches!(word, "in" | "on" | "at" | "after");
        let name = name.to_ascii_lowercase();
        if !is_value || !names_end(&name) {
            return Self::None;
        }
        Self::under(&name, value)
    }

    /// Reads a remaining time: seconds, or a duration with units.
    pub(crate) fn remaining(value: &str) -> Self {
        let seconds = value.parse().ok().or_else(|| signed_seconds(value));
        seconds.map_or(Self::Unreadable, Self::After)
    }

    /// Returns this end, or the other one if the source does not name this.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }

    /// Whether the entry expires.
    #[must_use]
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::None | Self::Never)
    }

    /// Returns the end of an address that has both: the later one, if that is clear.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Unreadable, _) | (_, Self::Unreadable) => Self::Unreadable,
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::At(one), Self::At(other)) => Self::At(one.max(other)),
            (Self::After(one), Self::After(other)) => Self::After(one.max(other)),
            _ => Self::Unreadable,
        }
    }
}
