//! Parses durations as people write them.

use jiff::{Span, SpanRelativeTo};
use thiserror::Error;

/// Maximum in seconds: 100 years. A longer duration is a typing error.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

/// Why a text is not a duration, and what to write.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// A number without a unit.
    #[error("a duration needs a unit: write {0}s")]
    Unit(String),
    /// Any other text.
    #[error("not a duration: write for example 90s, 15m, 2h, 7d or 1h30m")]
    Text,
    /// Months or years.
    #[error("months and years differ in length: write days (30d)")]
    Calendar,
    /// A negative duration.
    #[error("a duration is not negative: write for example 2h")]
    Negative,
    /// A word for "permanent".
    #[error("a duration has an end: write for example 2h")]
    Endless,
    /// An option instead of the value.
    #[error("the duration is missing: write for example 2h")]
    Missing,
    /// Zero.
    #[error("a duration is not 0: write 1s or more")]
    Zero,
    /// Longer than any real use.
    #[error("longer than 100 years")]
    TooLong,
}

/// Words that people write for a duration without an end.
const ENDLESS: [&str; 7] = [
    "permanent",
    "permanently",
    "never",
    "forever",
    "infinite",
    "inf",
    "unlimited",
];

/// Whether a word means that there is no end.
pub(crate) fn is_endless(text: &str) -> bool {
    ENDLESS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Reads whole seconds, at least one. A day is 24 hours. Parts of a second are rounded up: programs
/// write `59m58.91s`, and a rule must not end before the requested time.
pub fn whole_seconds(text: &str) -> Result<u64, DurationError> {
    let text = text.trim();
    if let Some(positive) = text.strip_prefix('-') {
        return Err(match whole_seconds(positive) {
            _ if positive.starts_with('-') => DurationError::Missing,
            Err(DurationError::Text) => DurationError::Text,
            _ => DurationError::Negative,
        });
    }
    if !text.is_empty() && text.bytes().all(|byte| byte == b'0') {
        return Err(DurationError::Zero);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::Unit(text.to_owned()));
    }
    if is_endless(text) {
        return Err(DurationError::Endless);
    }
    let span: Span = text
        .parse()
        .map_err(|_source: jiff::Error| DurationError::Text)?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(DurationError::Calendar);
    }
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_source| DurationError::TooLong)?;
    if duration.is_negative() {
        return Err(DurationError::Negative);
    }
    let begun = u64::from(duration.subsec_nanos() > 0);
    match duration.as_secs().unsigned_abs() + begun {
        0 => Err(DurationError::Zero),
        MAX_SECONDS.. => Err(DurationError::TooLong),
        seconds => Ok(seconds),
    }
}

/// Reads a duration, perhaps negative, in seconds, rounded up; `None` if the text is not one.
pub(crate) fn signed_seconds(text: &str) -> Option<i64> {
    let span: Span = text.trim().parse().ok()?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return None;
    }
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let seconds = duration.as_secs() + i64::from(duration.subsec_nanos() > 0);
    let limit = i64::try_from(MAX_SECONDS).unwrap_or(i64::MAX);
    (-limit..limit).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_second_count_as_a_whole_one() {
        let cases = [
            ("59m58.910348754s", 3599),
            ("1h0m0.000000001s", 3601),
            ("500ms", 1),
            ("822.640361ms", 1),
            ("1s1us", 2),
            ("1.5h", 5400),
            ("1ns", 1),
            ("3s0ms", 3),
        ];
        for (text, seconds) in cases {
            assert_eq!(whole_seconds(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_negative_is_called_so() {
        for text in ["-1", "-1s", "-822.640361ms", "-1h2m", "-0s", "2h ago"] {
            assert_eq!(whole_seconds(text), Err(DurationError::Negative), "{text}");
        }
        assert_eq!(whole_seconds("-soon"), Err(DurationError::Text));
        assert_eq!(whole_seconds("--until"), Err(DurationError::Missing));
        assert_eq!(whole_seconds("0.0s"), Err(DurationError::Zero));
        assert_eq!(whole_seconds("0"), Err(DurationError::Zero));
        assert_eq!(whole_seconds("Forever"), Err(DurationError::Endless));
    }
}
