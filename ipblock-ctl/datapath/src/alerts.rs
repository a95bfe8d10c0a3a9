//! What the kernel tells of sources that hit a rule that alerts.

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

/// What the maps have to be.
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

/// Windows, counts and settings, open.
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

    /// The kernel's id of the counts: another one within the same boot tells that they began anew.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sets window and rate, from the next packet on.
    pub fn set(&mut self, settings: AlertSettings) -> Result<(), DatapathError> {
        let set = self.settings.set(0, settings, 0);
        set.map_err(|error| map_error(names::ALERT_SETTINGS, error))
    }

    /// The window of a source; `None` when the kernel keeps none (any more).
    ///
    /// The kernel copies a value without a lock, byte by byte in any order (`rep movsb`): a copy may have
    /// the start of one window and packets of another, and of a number some bytes before and some
    /// after an addition. A window's start stands in the map only as long as its own packets do, and
    /// they only grow: so a copy is whole that lies between two others.
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

    /// What became of the packets that were seen since the maps were made, summed over CPUs.
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

/// The announced packets that nobody has read yet, in the order in which the kernel announced them.
/// There must be one reader.
pub struct AlertEvents(RingBuf<MapData>);

impl AlertEvents {
    pub(super) fn open(directory: &Path) -> Result<Self, DatapathError> {
        open_map(directory, names::ALERT_EVENTS).map(Self)
    }

    /// Waits until there is one, or for so long.
    pub fn wait(&self, at_most: Duration) {
        let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::MAX);
        // SAFETY: the ring buffer's descriptor is open as long as `self` is.
        let fd = unsafe { BorrowedFd::borrow_raw(self.0.as_raw_fd()) };
        // A signal ends the wait early, and that is all.
        let _ = poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout);
    }
}

impl Iterator for AlertEvents {
    type Item = AlertEvent;

    /// `None` when there is none yet.
    fn next(&mut self) -> Option<AlertEvent> {
        loop {
            let item = self.0.next()?;
            // The kernel writes nothing else.
            if let Ok(event) = AlertEvent::read_from_bytes(&item) {
                return Some(event);
            }
        }
    }
}
