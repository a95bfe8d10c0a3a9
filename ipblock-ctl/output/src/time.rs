//! Times for people.

use jiff::{Timestamp, tz::TimeZone};

/// Returns `12s ago` or `in 2h`, with at most two units, rounded towards now.
#[must_use]
pub fn relative(now: Timestamp, time: Timestamp) -> String {
    let seconds = time.duration_since(now).as_secs();
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {}", span(seconds.unsigned_abs())),
        ..0 => format!("{} ago", span(seconds.unsigned_abs())),
    }
}

/// Returns seconds in the largest unit, with the next one if that is significant: `90` is `1m30s`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..600 => two(minutes, "m", seconds % 60, "s"),
        600..3600 => format!("{minutes}m"),
        3600..36_000 => two(hours, "h", minutes % 60, "m"),
        36_000..172_800 => format!("{hours}h"),
        172_800..864_000 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    }
}

/// Returns date, time to the second and offset: `2026-12-01 18:00:00 +01:00`.
#[must_use]
pub fn clock(time: Timestamp, time_zone: &TimeZone) -> String {
    time.to_zoned(time_zone.clone())
        .strftime("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn spans_use_the_unit_that_a_person_would() {
        let cases = [
            (59, "59s"),
            (60, "1m"),
            (90, "1m30s"),
            (3599, "59m"),
            (3600, "1h"),
            (5400, "1h30m"),
            (47 * 3600, "47h"),
            (7 * 86_400, "7d"),
            (7 * 86_400 - 1, "6d23h"),
            (31 * 86_400 - 1, "30d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(span(seconds), text, "{seconds} seconds");
        }
    }

    #[test]
    fn past_and_future_differ() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(relative(now, now), "now");
        assert_eq!(relative(now, now + 2.hours()), "in 2h");
        assert_eq!(relative(now, now - 12.seconds()), "12s ago");
        let late = now + 900.milliseconds();
        assert_eq!(relative(late, late + 5200.milliseconds()), "in 5s");
        assert_eq!(relative(late, now + 1.second()), "now");
    }

    #[test]
    fn a_clock_time_names_its_offset() {
        assert_eq!(
            clock(Timestamp::UNIX_EPOCH, &TimeZone::UTC),
            "1970-01-01 00:00:00 +00:00"
        );
    }
}
