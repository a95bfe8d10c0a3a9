//! The clock: it ends bans and rules with `--until`, and dates every record.

use std::io;

use ipblock_datapath::clock::{Now, is_synchronised};
use ipblock_output::doctor::Finding;
use jiff::{SignedDuration, Timestamp, civil::date, tz::TimeZone};

const CHECK: &str = "clock";

/// Shorter suspends of the machine do not matter.
const SLEPT: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn clock() -> Vec<Finding> {
    let now = Now::read();
    let slept_ns = now.boot_ns.saturating_sub(now.monotonic_ns);
    let slept = SignedDuration::from_nanos(i64::try_from(slept_ns).unwrap_or(i64::MAX));
    vec![judge(now.wall, slept, is_synchronised())]
}

fn judge(wall: Timestamp, slept: SignedDuration, synchronised: io::Result<bool>) -> Finding {
    // Before this program was written.
    let earliest = date(2026, 1, 1).to_zoned(TimeZone::UTC);
    let advice = "let an NTP client keep it right: `timedatectl set-ntp true`, or chrony; what ends \
                  after a duration (`--for`) does not go by it while the machine is up";
    if earliest.is_ok_and(|earliest| wall < earliest.timestamp()) {
        let detail = format!("stands at {wall:.0}: what has an end by the clock ends wrong");
        return Finding::error(CHECK, detail, advice);
    }
    match synchronised {
        Ok(true) if slept > SLEPT => Finding::ok(
            CHECK,
            format!("synchronised; the machine slept {slept:#.0}, hits before that are told later"),
        ),
        Ok(true) => Finding::ok(CHECK, "synchronised"),
        Ok(false) => Finding::warning(CHECK, "nothing keeps it right (not synchronised)", advice),
        Err(error) => Finding::warning(
            CHECK,
            format!("cannot tell if it is right: {error}"),
            advice,
        ),
    }
}

#[cfg(test)]
mod tests {
    use ipblock_output::doctor::FindingState;

    use super::*;

    #[test]
    fn a_clock_is_right_when_something_keeps_it_so() {
        let wall: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let none = SignedDuration::ZERO;
        assert_eq!(judge(wall, none, Ok(true)).state, FindingState::Ok);
        assert_eq!(judge(wall, none, Ok(false)).state, FindingState::Warning);
        let failed = Err(io::Error::from_raw_os_error(1));
        assert_eq!(judge(wall, none, failed).state, FindingState::Warning);
        let slept = judge(wall, SignedDuration::from_hours(5), Ok(true));
        assert_eq!(
            slept.detail,
            "synchronised; the machine slept 5h, hits before that are told later"
        );
    }

    #[test]
    fn a_clock_that_lost_its_battery_is_an_error() {
        let finding = judge(Timestamp::UNIX_EPOCH, SignedDuration::ZERO, Ok(true));
        assert_eq!(finding.state, FindingState::Error);
        assert!(
            finding.detail.contains("1970-01-01T00:00:00Z"),
            "{finding:?}"
        );
    }
}
