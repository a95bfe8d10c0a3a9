//! `--since`: a time, or a duration before now.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::expiry::{Until, parse_duration, read_time};

/// A time in the past, and how it was interpreted if that is not obvious.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) at: Timestamp,
    pub(crate) reading: Option<String>,
}

pub(crate) fn parse_since(text: &str) -> Result<Since, String> {
    read_since(text.trim(), Timestamp::now(), &TimeZone::system())
}

fn read_since(text: &str, now: Timestamp, local: &TimeZone) -> Result<Since, String> {
    let problem = match parse_duration(text) {
        Ok(seconds) => {
            let ago = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            let at = now.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH);
            return Ok(Since { at, reading: None });
        }
        Err(problem) => problem,
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Err(problem);
    }
    let Until { at, reading } = read_time(text, local).map_err(|_neither| {
        "neither a duration nor a time: write 30m, 2h, 7d, 2026-12-01, \"2026-12-01 18:00\" or \
         2026-12-01T18:00:00Z"
            .to_owned()
    })?;
    if at > now {
        let at = at.to_zoned(local.clone());
        return Err(format!(
            "in the future: {}",
            at.strftime("%Y-%m-%d %H:%M:%S %:z")
        ));
    }
    Ok(Since { at, reading })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Since, String> {
        let now = "2026-10-01T12:00:00Z".parse().expect("a time");
        let local = TimeZone::get("Europe/Berlin").expect("a time zone");
        read_since(text, now, &local)
    }

    #[test]
    fn a_duration_is_counted_back_from_now() {
        for (text, at) in [
            ("2h", "2026-10-01T10:00:00Z"),
            ("30m", "2026-10-01T11:30:00Z"),
            ("1d 2h", "2026-09-30T10:00:00Z"),
        ] {
            assert_eq!(read(text).expect(text).at.to_string(), at, "{text}");
        }
        assert!(read("90y").is_err());
        assert_eq!(read("5000w").expect("long ago").reading, None);
    }

    #[test]
    fn a_time_without_an_offset_is_local_and_says_so() {
        let since = read("2026-10-01 13:00").expect("a time");
        assert_eq!(since.at.to_string(), "2026-10-01T11:00:00Z");
        assert_eq!(
            since.reading.as_deref(),
            Some("`2026-10-01 13:00` is local time: 2026-10-01 13:00:00 +02:00")
        );
        let since = read("2026-10-01T11:00:00Z").expect("a time");
        assert_eq!(since.reading, None);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_advice() {
        for (text, part) in [
            ("90", "write 90s"),
            ("", "neither a duration nor a time"),
            ("yesterday", "neither a duration nor a time"),
            ("2026-10-02", "in the future: 2026-10-02 00:00:00 +02:00"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
