//! The interfaces for the filter. Only this folder changes their state.

use std::collections::{BTreeMap, BTreeSet};

use ipblock_datapath::PinnedLink;
use ipblock_policy::{AskedMode, Mode, ZoneName};

use super::retry_pause::RetryPause;

/// The state of all interfaces.
#[derive(Default)]
pub(crate) struct Interfaces {
    pub(super) records: BTreeMap<String, InterfaceRecord>,
    /// Links whose device was renamed or moved to another network namespace.
    pub(super) moved: Vec<MovedLink>,
    /// Interfaces below filtered ones whose attachment failed and is not retried yet.
    pub(super) rests: BTreeMap<String, RetryPause>,
}

/// An interface for the filter.
#[derive(Debug)]
pub(crate) struct InterfaceRecord {
    pub(crate) zone: ZoneName,
    /// The requested mode.
    pub(crate) asked: AskedMode,
    pub(crate) attached: AttachedState,
}

/// A link whose device no longer has, in this namespace, the name of the attachment.
#[derive(Debug)]
pub(crate) struct MovedLink {
    pub(crate) zone: ZoneName,
    pub(crate) link: PinnedLink,
}

/// Whether the filter is attached to an interface.
#[derive(Debug)]
pub(crate) enum AttachedState {
    /// Attached, in this mode.
    Attached {
        link: PinnedLink,
        mode: Mode,
        /// Why native mode is not used although it was preferred.
        fallback: Option<String>,
    },
    /// The interface does not exist.
    Absent,
    /// The attachment failed.
    Failed(String),
}

impl Interfaces {
    /// Returns each interface by its name.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&String, &InterfaceRecord)> {
        self.records.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&InterfaceRecord> {
        self.records.get(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns the zones of all interfaces and moved devices.
    pub(crate) fn zones(&self) -> BTreeSet<ZoneName> {
        let records = self.records.values().map(|record| &record.zone);
        let moved = self.moved.iter().map(|moved| &moved.zone);
        records.chain(moved).cloned().collect()
    }

    /// Returns the links on a device, whatever its name and namespace, with their zones.
    pub(crate) fn links(&self) -> impl Iterator<Item = (&ZoneName, &PinnedLink)> {
        let attached = self.records.values().filter_map(|record| {
            let AttachedState::Attached { link, .. } = &record.attached else {
                return None;
            };
            Some((&record.zone, link))
        });
        let moved = self.moved.iter();
        attached.chain(moved.map(|moved| (&moved.zone, &moved.link)))
    }

    /// As [`Self::links`], for a switch to another generation.
    pub(crate) fn links_to_switch(&mut self) -> impl Iterator<Item = (&ZoneName, &mut PinnedLink)> {
        let attached = self.records.values_mut().filter_map(|record| {
            let AttachedState::Attached { link, .. } = &mut record.attached else {
                return None;
            };
            Some((&record.zone, link))
        });
        let moved = self.moved.iter_mut();
        attached.chain(moved.map(|moved| (&moved.zone, &mut moved.link)))
    }
}
