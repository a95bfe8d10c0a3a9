//! Ends of rules and bans: on the wall clock and, for durations, on the boot clock.

use jiff::Timestamp;
use rusqlite::Row;

use super::value::Stored;

/// The end of a rule or ban.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct End {
    /// Wall time. For a duration, it was computed when the duration began.
    pub wall: Timestamp,
    /// The end of a duration in the boot in which it began; steps of the wall clock do not move it.
    /// `None` for an end that was given as a time.
    pub boot: Option<BootEnd>,
}

/// A time on `CLOCK_BOOTTIME` of one boot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BootEnd {
    /// Identity of the boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Nanoseconds of `CLOCK_BOOTTIME`.
    pub deadline_ns: u64,
}

impl End {
    /// Reads three columns from `first` on: wall time (NULL for no end), boot, deadline.
    pub(super) fn from_columns(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Self>> {
        let wall: Option<Stored<Timestamp>> = row.get(first)?;
        let boot_id: Option<String> = row.get(first + 1)?;
        let deadline_ns: Option<Stored<u64>> = row.get(first + 2)?;
        Ok(wall.map(|wall| Self {
            wall: wall.0,
            boot: boot_id
                .zip(deadline_ns)
                .map(|(boot_id, deadline_ns)| BootEnd {
                    boot_id,
                    deadline_ns: deadline_ns.0,
                }),
        }))
    }
}
