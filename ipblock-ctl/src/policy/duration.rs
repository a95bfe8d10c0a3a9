//! Durations as people write them.

use jiff::{Span, SpanRelativeTo};
use thiserror::Error;

/// Longer durations are typing errors. Seconds; 100 years.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

/// Why a text is no duration, and what to write.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum DurationError {
    /// A number alone.
    #[error("a duration needs a unit: write {0}s")]
    Unit(String),
    /// Something else.
    #[error("not a duration: write for example 90s, 15m, 2h, 7d or 1h30m")]
    Text,
    /// Months or years.
    #[error("months and years differ in length: write days (30d)")]
    Calendar,
    /// Into the past.
    #[error("a duration is not negative: write for example 2h")]
    Negative,
    /// Parts of a second.
    #[error("a duration has whole seconds: write 1s or more")]
    Fraction,
    /// Nothing.
    #[error("a duration is not 0: write 1s or more")]
    Zero,
    /// What nobody means.
    #[error("longer than 100 years")]
    TooLong,
}

/// Reads whole seconds, at least one. A day is 24 hours.
pub(crate) fn whole_seconds(text: &str) -> Result<u64, DurationError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::Unit(text.to_owned()));
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
    if duration.subsec_nanos() != 0 {
        return Err(DurationError::Fraction);
    }
    match duration.as_secs().unsigned_abs() {
        0 => Err(DurationError::Zero),
        MAX_SECONDS.. => Err(DurationError::TooLong),
        seconds => Ok(seconds),
    }
}
