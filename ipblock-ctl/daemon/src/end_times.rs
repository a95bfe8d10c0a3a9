//! Ends on the clocks of this boot.
//!
//! The kernel uses the boot clock, which includes suspend and is never set. An end that was given
//! as a duration is fixed on this clock; one that was given as a time moves with the wall clock.
//! After a reboot both use wall time.

use ipblock_datapath::clock::{Now, boot_id};
use ipblock_store::{BootEnd, End};
use jiff::{SignedDuration, Timestamp, Unit};

/// Returns the end of a duration that begins now; `None` if it exceeds the range of times.
pub(super) fn after(seconds: u64, now: &Now) -> Option<End> {
    let length = SignedDuration::from_secs(i64::try_from(seconds).ok()?);
    Some(End {
        wall: now.wall.checked_add(length).ok()?,
        boot: Some(BootEnd {
            boot_id: boot_id().to_owned(),
            deadline_ns: seconds
                .checked_mul(1_000_000_000)?
                .checked_add(now.boot_ns)?,
        }),
    })
}

/// Returns an end in nanoseconds of `CLOCK_BOOTTIME`; never 0.
pub(super) fn deadline_ns(end: &End, now: &Now) -> u64 {
    match &end.boot {
        Some(boot) if boot.boot_id == boot_id() => boot.deadline_ns.max(1),
        _ => now.deadline_ns(end.wall),
    }
}

/// Returns an end in present wall time.
fn wall(end: &End, now: &Now) -> Timestamp {
    match &end.boot {
        Some(boot) if boot.boot_id == boot_id() => now.wall_at(boot.deadline_ns),
        _ => end.wall,
    }
}

/// Returns an end for people, in whole milliseconds: as it was given unless a clock was set
/// meanwhile. It would differ between two readings otherwise, because the clocks are not read at
/// the same moment.
pub(super) fn displayed(end: &End, now: &Now) -> Timestamp {
    let reckoned = wall(end, now);
    let moved = reckoned.duration_since(end.wall).abs() >= SignedDuration::from_secs(1);
    to_millisecond(if moved { reckoned } else { end.wall })
}

/// Rounds a time for people; the store does not keep finer parts exactly.
pub(super) fn to_millisecond(time: Timestamp) -> Timestamp {
    time.round(Unit::Millisecond).unwrap_or(time)
}

/// Whether steps of the wall clock move the end on the boot clock.
pub(super) fn follows_wall(end: &End) -> bool {
    !matches!(&end.boot, Some(boot) if boot.boot_id == boot_id())
}

/// A smaller movement of the wall clock, in nanoseconds, is not a step.
const STEP_NS: u128 = 1_000_000_000;

/// Returns the difference between wall clock and boot clock, in nanoseconds.
pub(super) fn wall_offset(now: &Now) -> i128 {
    now.wall.as_nanosecond() - i128::from(now.boot_ns)
}

/// Whether there was a step of the wall clock between two offsets.
pub(super) fn is_a_step(before: i128, after: i128) -> bool {
    after.abs_diff(before) > STEP_NS
}

/// A moment for tests: 5 s after boot at the beginning of 2026.
#[cfg(test)]
pub(super) fn some_moment() -> Now {
    Now {
        wall: Timestamp::from_second(1_767_225_600).unwrap_or_default(),
        boot_ns: 5_000_000_000,
        monotonic_ns: 4_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::some_moment as now;

    use super::*;

    #[test]
    fn a_duration_does_not_move_with_the_wall_clock() {
        let end = after(60, &now()).unwrap();
        let mut stepped = now();
        stepped.wall += SignedDuration::from_hours(1);
        assert_eq!(deadline_ns(&end, &stepped), 65_000_000_000);
        assert_eq!(wall(&end, &stepped).to_string(), "2026-01-01T01:01:00Z");
    }

    #[test]
    fn an_end_given_as_a_time_moves_with_the_wall_clock() {
        let end = End {
            wall: "2026-01-01T00:01:00Z".parse().unwrap(),
            boot: None,
        };
        let mut stepped = now();
        stepped.wall += SignedDuration::from_secs(30);
        assert_eq!(deadline_ns(&end, &stepped), 35_000_000_000);
        assert_eq!(wall(&end, &stepped), end.wall);
    }

    #[test]
    fn an_end_is_shown_as_it_was_given_until_the_clock_is_set() {
        let end = after(60, &now()).unwrap();
        let mut later = now();
        later.wall += SignedDuration::from_micros(10_000_007);
        later.boot_ns += 10_000_000_000;
        assert_eq!(displayed(&end, &later).to_string(), "2026-01-01T00:01:00Z");
        later.wall += SignedDuration::from_secs(5);
        assert_eq!(displayed(&end, &later).to_string(), "2026-01-01T00:01:05Z");
    }

    #[test]
    fn over_a_reboot_wall_time_counts() {
        let mut end = after(60, &now()).unwrap();
        end.boot.as_mut().unwrap().boot_id = "another boot".to_owned();
        let later = Now {
            wall: "2026-01-01T00:00:40Z".parse().unwrap(),
            boot_ns: 1_000_000_000,
            monotonic_ns: 1_000_000_000,
        };
        assert_eq!(deadline_ns(&end, &later), 21_000_000_000);
        assert_eq!(wall(&end, &later), end.wall);
    }
}
