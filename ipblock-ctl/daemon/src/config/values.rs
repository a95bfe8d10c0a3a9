//! Values of the configuration file with limits.

use std::{fmt, ops::RangeInclusive, time::Duration};

use ipblock_policy::duration;
use serde::{
    Deserialize as _, Deserializer,
    de::{Error as _, Visitor},
};

/// Reads a string; otherwise the error says what was expected.
pub(super) fn text<'de, D: Deserializer<'de>>(
    value: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    struct Text(&'static str);

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }

    value.deserialize_str(Text(expected))
}

/// Reads a duration such as `"60s"` within limits in seconds; `wanted` describes them.
pub(super) fn duration<'de, D: Deserializer<'de>>(
    value: D,
    bounds: RangeInclusive<u64>,
    wanted: &str,
) -> Result<Duration, D::Error> {
    let text = text(value, "a duration in quotes, as in \"60s\"")?;
    let seconds = duration::whole_seconds(&text)
        .map_err(|error| D::Error::custom(format_args!("`{text}`: {error}")))?;
    if bounds.contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(D::Error::custom(format_args!(
        "`{text}` is out of bounds: write {wanted}"
    )))
}

/// Reads a number within limits.
pub(super) fn number<'de, D: Deserializer<'de>>(
    value: D,
    bounds: RangeInclusive<u64>,
) -> Result<u64, D::Error> {
    let number = i64::deserialize(value)?;
    match u64::try_from(number) {
        Ok(number) if bounds.contains(&number) => Ok(number),
        _ => Err(D::Error::custom(format_args!(
            "{number} is out of bounds: write {} to {}",
            bounds.start(),
            bounds.end()
        ))),
    }
}
