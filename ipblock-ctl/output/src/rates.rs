//! Rates of counters.

use std::time::Duration;

use ipblock_api::types::Count;

use super::number::short;

/// Packets and bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// Packets.
    pub packets: f64,
    /// Bytes.
    pub bytes: f64,
}

impl Rate {
    /// Returns the rate between two readings that are `elapsed` apart; 0 if a count decreased or no
    /// time passed.
    #[must_use]
    pub fn between(before: Count, after: Count, elapsed: Duration) -> Self {
        let per_second = |before: u64, after: u64| {
            if elapsed.is_zero() {
                return 0.0;
            }
            as_float(after.saturating_sub(before)) / elapsed.as_secs_f64()
        };
        Self {
            packets: per_second(before.packets, after.packets),
            bytes: per_second(before.bytes, after.bytes),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is shown with four digits at most"
)]
const fn as_float(count: u64) -> f64 {
    count as f64
}

/// Returns a rate as a whole number, rounded; 1 for smaller rates above 0.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float ends at the bounds, and rates are not negative"
)]
pub fn whole(per_second: f64) -> u64 {
    match per_second.round() as u64 {
        0 if per_second > 0.0 => 1,
        whole => whole,
    }
}

/// Renders a rate: `0`, `0.3`, `12`, `12.3M`; `-` if it is not known yet.
#[must_use]
pub fn rate_text(per_second: Option<f64>) -> String {
    match per_second {
        None => "-".to_owned(),
        Some(rate) if rate <= 0.0 => "0".to_owned(),
        Some(rate) if rate < 0.1 => "<0.1".to_owned(),
        Some(rate) if rate < 9.95 => format!("{rate:.1}"),
        Some(rate) => short(whole(rate)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn count(packets: u64) -> Count {
        Count {
            packets,
            bytes: packets * 60,
        }
    }

    #[test]
    fn a_rate_goes_by_the_time_that_really_passed() {
        let rate = Rate::between(count(100), count(400), Duration::from_millis(1500));
        assert_eq!(rate_text(Some(rate.packets)), "200");
        assert_eq!(rate_text(Some(rate.bytes)), "12,000");
    }

    #[test]
    fn what_went_back_or_took_no_time_has_no_rate() {
        let second = Duration::from_secs(1);
        assert_eq!(Rate::between(count(100), count(4), second), Rate::default());
        let none = Rate::between(count(1), count(4), Duration::ZERO);
        assert_eq!(none, Rate::default());
    }

    #[test]
    fn rates_have_few_digits() {
        for (rate, text) in [
            (None, "-"),
            (Some(0.0), "0"),
            (Some(0.01), "<0.1"),
            (Some(0.34), "0.3"),
            (Some(9.94), "9.9"),
            (Some(9.96), "10"),
            (Some(1234.4), "1,234"),
            (Some(12_345_678.0), "12.3M"),
            (Some(f64::MAX), "18.4E"),
        ] {
            assert_eq!(rate_text(rate), text);
        }
        assert_eq!((whole(0.0), whole(0.2), whole(1.6)), (0, 1, 2));
    }
}
