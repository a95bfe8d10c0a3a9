//! The kernel's clocks and wall time.

use std::{io, sync::OnceLock};

use jiff::{SignedDuration, Timestamp, Unit};
use nix::time::{ClockId, clock_gettime};

/// Identity of the running boot. Times on `CLOCK_BOOTTIME` have no meaning in another boot.
///
/// Source: `/proc/sys/kernel/random/boot_id`. Empty if it cannot be read; then it differs from
/// every stored boot.
#[must_use]
pub fn boot_id() -> &'static str {
    static BOOT_ID: OnceLock<String> = OnceLock::new();
    BOOT_ID.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

/// The same moment on three clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Wall time.
    pub wall: Timestamp,
    /// `CLOCK_BOOTTIME` in nanoseconds, which includes suspend. Deadlines use it.
    pub boot_ns: u64,
    /// `CLOCK_MONOTONIC` in nanoseconds, which excludes suspend. Last hits use it.
    pub monotonic_ns: u64,
}

impl Now {
    /// Reads the clocks.
    #[must_use]
    pub fn read() -> Self {
        Self {
            wall: Timestamp::now(),
            boot_ns: nanoseconds(ClockId::CLOCK_BOOTTIME),
            monotonic_ns: nanoseconds(ClockId::CLOCK_MONOTONIC),
        }
    }

    /// Returns a deadline for the kernel, in nanoseconds of `CLOCK_BOOTTIME`. It is never 0, which
    /// means "none".
    #[must_use]
    pub fn deadline_ns(&self, end: Timestamp) -> u64 {
        let left = end.duration_since(self.wall).as_nanos();
        let at = i128::from(self.boot_ns) + left;
        u64::try_from(at.max(1)).unwrap_or(u64::MAX)
    }

    /// Returns the wall time of a moment on `CLOCK_BOOTTIME` in nanoseconds, or the largest wall
    /// time if it is beyond that.
    #[must_use]
    pub fn wall_at(&self, boot_ns: u64) -> Timestamp {
        let distance = i128::from(boot_ns) - i128::from(self.boot_ns);
        let limit = if distance < 0 { i64::MIN } else { i64::MAX };
        let distance = SignedDuration::from_nanos(i64::try_from(distance).unwrap_or(limit));
        self.wall.saturating_add(distance).unwrap_or(self.wall)
    }

    /// Returns the wall time of a last hit in whole milliseconds, or `None` for 0, which means "no
    /// hit".
    ///
    /// At a finer resolution, two readings without a hit in between would differ: the two clocks
    /// are not read at the same moment, and the kernel's clock is coarse. For a hit before a
    /// suspend, the result is late by the length of the suspend.
    #[must_use]
    pub fn hit_time(&self, last_hit_ns: u64) -> Option<Timestamp> {
        if last_hit_ns == 0 {
            return None;
        }
        let age = self.monotonic_ns.saturating_sub(last_hit_ns);
        let age = SignedDuration::from_nanos(i64::try_from(age).unwrap_or(i64::MAX));
        let hit = self.wall.checked_sub(age).ok()?;
        hit.round(Unit::Millisecond).ok()
    }
}

/// Whether the wall clock is synchronised, as NTP clients reported to the kernel (`adjtimex`).
pub fn is_synchronised() -> io::Result<bool> {
    // SAFETY: a structure of numbers, all of which may be 0.
    let mut question: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: it outlives the call. With mode 0 the call changes nothing of the clock.
    let state = unsafe { libc::adjtimex(&raw mut question) };
    match state {
        -1 => Err(io::Error::last_os_error()),
        libc::TIME_ERROR => Ok(false),
        _ => Ok(question.status & libc::STA_UNSYNC == 0),
    }
}

fn nanoseconds(clock: ClockId) -> u64 {
    // These clocks exist on every kernel that can load the program.
    let time = clock_gettime(clock).unwrap_or_else(|_| std::time::Duration::ZERO.into());
    let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec()).unwrap_or(0);
    seconds * 1_000_000_000 + nanoseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example: 5 s after boot at the beginning of 2026.
    fn now() -> Now {
        Now {
            wall: Timestamp::from_second(1_767_225_600).unwrap_or_default(),
            boot_ns: 5_000_000_000,
            monotonic_ns: 4_000_000_000,
        }
    }

    #[test]
    fn a_deadline_is_as_far_on_the_boot_clock_as_on_the_wall() {
        let end = "2026-01-01T00:00:10Z".parse().unwrap();
        assert_eq!(now().deadline_ns(end), 15_000_000_000);
    }

    #[test]
    fn a_deadline_before_boot_is_past_and_not_none() {
        let end = "2025-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(now().deadline_ns(end), 1);
    }

    #[test]
    fn a_hit_is_as_old_on_the_wall_as_on_the_monotonic_clock() {
        assert_eq!(now().hit_time(0), None);
        assert_eq!(
            now().hit_time(3_000_000_000),
            Some("2025-12-31T23:59:59Z".parse().unwrap())
        );
    }

    #[test]
    fn a_hit_does_not_move_with_the_time_that_reading_the_clocks_takes() {
        let mut later = now();
        later.wall += SignedDuration::from_nanos(433);
        assert_eq!(later.hit_time(3_000_000_000), now().hit_time(3_000_000_000));
    }
}
