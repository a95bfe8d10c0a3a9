//! The kernel's alerts about sources that hit an alerting rule.

use std::{
    os::fd::{AsRawFd as _, BorrowedFd},
    path::Path,
    time::Duration,
};

use aya::maps::{Array, HashMap, MapData, MapError, MapType, PerCpuArray, RingBuf};
use ipblock_common::{
    AlertCounts, AlertEvent, AlertRate, AlertSettings, AlertWindow, SourceKey, alert::HANDING_OVER,
    limits, names,
};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zerocopy::FromBytes as _;

use super::{
    error::DatapathError,
    maps::{Shape, map_error, one_element, open_map},
};

/// The required shapes of the maps.
pub(super) const SHAPES: [Shape; 5] = [
    Shape {
        name: names::ALERT_WINDOWS,
        kind: MapType::LruHash,
        key: size_of::<SourceKey>(),
        value: size_of::<AlertWindow>(),
        entries: limits::ALERT_WINDOWS,
        flags: 0,
    },
    Shape {
        name: names::ALERT_EVENTS,
        kind: MapType::RingBuf,
        key: 0,
        value: 0,
        entries: limits::ALERT_EVENT_BYTES,
        flags: 0,
    },
    one_element(
        names::ALERT_COUNTS,
        MapType::PerCpuArray,
        size_of::<AlertCounts>(),
    ),
    one_element(
        names::ALERT_SETTINGS,
        MapType::Array,
        size_of::<AlertSettings>(),
    ),
    one_element(names::ALERT_RATE, MapType::Array, size_of::<AlertRate>()),
];

/// Windows, counts and settings, opened.
pub struct AlertTables {
    windows: HashMap<MapData, SourceKey, AlertWindow>,
    counts: PerCpuArray<MapData, AlertCounts>,
    settings: Array<MapData, AlertSettings>,
    id: u32,
}

impl AlertTables {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        let counts = MapData::from_pin(directory.join(names::ALERT_COUNTS));
        let info = counts.and_then(|counts| counts.info());
        Ok(Self {
            windows: open_map(directory, names::ALERT_WINDOWS)?,
            counts: open_map(directory, names::ALERT_COUNTS)?,
            settings: open_map(directory, names::ALERT_SETTINGS)?,
            id: info
                .map_err(|error| map_error(names::ALERT_COUNTS, error))?
                .id(),
        })
    }

    /// The kernel's id of the counts. A different id within the same boot means that they restarted
    /// at 0.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sets window and rate, which apply from the next packet on.
    pub fn set(&mut self, settings: AlertSettings) -> Result<(), DatapathError> {
        let set = self.settings.set(0, settings, 0);
        set.map_err(|error| map_error(names::ALERT_SETTINGS, error))
    }

    /// Returns the window of a source, or `None` if the kernel has none (any more).
    ///
    /// The kernel copies a value without a lock, byte by byte in any order (`rep movsb`). So a copy
    /// may mix the start of one window with the packets of another, or a packet count with some
    /// bytes before and some after an addition. While the map has the same start, it has only
    /// packets of that window, and their number only grows. So a copy is consistent if the copies
    /// before and after it have the same start, and the three packet counts ascend.
    pub fn window(&self, key: &SourceKey) -> Result<Option<AlertWindow>, DatapathError> {
        let (Some(mut before), Some(mut window)) = (self.look(key)?, self.look(key)?) else {
            return Ok(None);
        };
        loop {
            let Some(after) = self.look(key)? else {
                return Ok(Some(window));
            };
            let starts = [before.start, window.start, after.start];
            let packets = [before.packets, window.packets, after.packets];
            if window.start != HANDING_OVER && starts == [window.start; 3] && packets.is_sorted() {
                return Ok(Some(window));
            }
            (before, window) = (window, after);
        }
    }

    fn look(&self, key: &SourceKey) -> Result<Option<AlertWindow>, DatapathError> {
        match self.windows.get(key, 0) {
            Ok(window) => Ok(Some(window)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(map_error(names::ALERT_WINDOWS, error)),
        }
    }

    /// Returns the counts per kind of `Seen` since the maps were created, summed over CPUs.
    pub fn counts(&self) -> Result<AlertCounts, DatapathError> {
        let per_cpu = self.counts.get(&0, 0);
        let per_cpu = per_cpu.map_err(|error| map_error(names::ALERT_COUNTS, error))?;
        let mut sum = AlertCounts::default();
        for counts in per_cpu.iter() {
            sum += *counts;
        }
        Ok(sum)
    }
}

/// The announced packets that were not read yet, in the order of their announcement. There must be
/// only one reader.
pub struct AlertEvents(RingBuf<MapData>);

impl AlertEvents {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        open_map(directory, names::ALERT_EVENTS).map(Self)
    }

    /// Waits until there is an event, but not longer than `at_most`.
    pub fn wait(&self, at_most: Duration) {
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::MAX);
        // SAFETY: the ring buffer's descriptor is open as long as `self` is.
        let fd = unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) };
        // A signal only ends the wait early.
        let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout);
    }
}

impl Iterator for AlertEvents {
    type Item = AlertEvent;

    /// Returns the next event, or `None` if there is none yet.
    fn next(&mut self) -> Option<AlertEvent> {
        loop {
            let item = self.0.next()?;
            // The kernel writes only values of this type.
            if let Ok(event) = AlertEvent::read_from_bytes(&item) {
                return Some(event);
            }
        }
    }
}
