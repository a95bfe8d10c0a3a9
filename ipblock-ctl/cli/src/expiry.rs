//! `--for`, `--until` and `--permanent`: durations and times as people write them.

use clap::Args;
use ipblock_policy::{
    duration::{self, DurationError},
    edit::Expiry,
};
use jiff::{Timestamp, civil, tz::TimeZone};

/// When a rule or a ban ends.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub(crate) struct ExpiryArgs {
    /// End after this long: 90s, 15m, 2h, 7d, 2w, 1h30m
    #[arg(
        long = "for",
        value_name = "DURATION",
        value_parser = parse_for,
        allow_hyphen_values = true
    )]
    duration: Option<u64>,
    /// End at this time: 2026-12-01, "2026-12-01 18:00" (local time), 2026-12-01T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    until: Option<Until>,
    /// Never end
    #[arg(long)]
    permanent: bool,
}

impl ExpiryArgs {
    /// Returns the arguments for an end after this number of seconds.
    #[cfg(test)]
    pub(crate) fn after(seconds: u64) -> Self {
        Self {
            duration: Some(seconds),
            ..Self::default()
        }
    }

    /// Returns the requested end, if there is one.
    pub(crate) fn expiry(&self) -> Option<Expiry> {
        if self.permanent {
            return Some(Expiry::Never);
        }
        let at = self.until.as_ref().map(|until| Expiry::At(until.at));
        self.duration.map(Expiry::After).or(at)
    }

    /// Returns how a time without an offset was interpreted.
    pub(crate) fn reading(&self) -> Option<&str> {
        self.until.as_ref()?.reading.as_deref()
    }
}

/// A time, and how it was interpreted if that is not obvious.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Until {
    pub(super) at: Timestamp,
    pub(super) reading: Option<String>,
}

/// Parses whole seconds, at least one. A day is 24 hours.
pub(crate) fn parse_duration(text: &str) -> Result<u64, String> {
    duration::whole_seconds(text).map_err(|error| error.to_string())
}

/// As [`parse_duration`], for objects that can also end at a time, or never.
fn parse_for(text: &str) -> Result<u64, String> {
    let advice = |error: DurationError| match error {
        DurationError::Calendar => format!("{error}, or a date with --until"),
        DurationError::Zero => {
            "a duration of 0 ends at once: write 1s or more, or --permanent in the \
                                place of --for, for no end"
                .to_owned()
        }
        DurationError::TooLong => format!("{error}: write --permanent instead"),
        DurationError::Negative => {
            "a duration is not negative: write for example 2h, or --permanent for no end".to_owned()
        }
        DurationError::Endless => {
            "not a duration: write --permanent in the place of --for, for no end".to_owned()
        }
        _ => error.to_string(),
    };
    duration::whole_seconds(text).map_err(advice)
}

fn parse_until(text: &str) -> Result<Until, String> {
    read_until(text, Timestamp::now(), &TimeZone::system())
}

fn read_until(text: &str, now: Timestamp, local: &TimeZone) -> Result<Until, String> {
    let until = read_time(text.trim(), local)?;
    if until.at <= now {
        let at = until.at.to_zoned(local.clone());
        return Err(format!(
            "in the past: {}",
            at.strftime("%Y-%m-%d %H:%M:%S %:z")
        ));
    }
    Ok(until)
}

/// Parses a time, past or future.
pub(super) fn read_time(text: &str, local: &TimeZone) -> Result<Until, String> {
    match text.parse::<Timestamp>() {
        Ok(at) => Ok(Until { at, reading: None }),
        Err(_) => read_local(text, local),
    }
}

fn read_local(text: &str, local: &TimeZone) -> Result<Until, String> {
    let time: civil::DateTime = text.parse().map_err(|_source: jiff::Error| {
        "not a time: write 2026-12-01, \"2026-12-01 18:00\" or 2026-12-01T18:00:00Z".to_owned()
    })?;
    let zoned = time
        .to_zoned(local.clone())
        .map_err(|error| format!("not a time here: {error}"))?;
    Ok(Until {
        at: zoned.timestamp(),
        reading: Some(format!(
            "`{text}` is local time: {}",
            zoned.strftime("%Y-%m-%d %H:%M:%S %:z")
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        let cases = [
            ("1s", 1),
            ("90s", 90),
            ("15m", 900),
            ("2h", 7200),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("1h30m", 5400),
            ("1d 2h", 93_600),
            ("2 hours", 7200),
            ("1.5h", 5400),
            ("59m58.910348754s", 3599),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_for(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn durations_that_cannot_be_meant_are_refused_with_advice() {
        let cases = [
            ("90", "write 90s"),
            ("0", "--permanent in the place of --for"),
            ("0s", "ends at once"),
            ("-2h", "not negative"),
            ("2h ago", "not negative"),
            ("-1", "--permanent for no end"),
            ("permanent", "write --permanent"),
            ("--until", "the duration is missing"),
            ("1mo", "differ in length"),
            ("1y", "differ in length"),
            ("6000w", "longer than 100 years"),
            ("99999999999999999999h", "not a duration"),
            ("soon", "not a duration"),
            ("", "not a duration"),
        ];
        for (text, part) in cases {
            let error = parse_for(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").expect("a time zone")
    }

    fn read(text: &str) -> Result<Until, String> {
        let now = "2026-10-01T12:00:00Z".parse().expect("a time");
        read_until(text, now, &berlin())
    }

    #[test]
    fn a_time_with_an_offset_is_taken_as_it_is() {
        let until = read("2026-12-01T18:00:00+02:00").expect("a time");
        assert_eq!(until.at.to_string(), "2026-12-01T16:00:00Z");
        assert_eq!(until.reading, None);
    }

    #[test]
    fn a_time_without_an_offset_is_local_and_says_so() {
        let until = read("2026-12-01").expect("a time");
        assert_eq!(until.at.to_string(), "2026-11-30T23:00:00Z");
        assert_eq!(
            until.reading.as_deref(),
            Some("`2026-12-01` is local time: 2026-12-01 00:00:00 +01:00")
        );
        let until = read("2026-10-02 18:00").expect("a time");
        assert_eq!(until.at.to_string(), "2026-10-02T16:00:00Z");
    }

    #[test]
    fn a_time_in_the_past_or_no_time_is_refused() {
        let error = read("2026-09-30").expect_err("past");
        assert_eq!(error, "in the past: 2026-09-30 00:00:00 +02:00");
        assert!(
            read("tomorrow")
                .expect_err("no time")
                .contains("write 2026-12-01")
        );
        assert!(read("2026-02-30").is_err());
    }
}
