//! The interfaces that the filter is to be on. Only this folder changes what is known of them.

use std::collections::{BTreeMap, BTreeSet};

use ipblock_datapath::PinnedLink;
use ipblock_policy::{AskedMode, Mode, ZoneName};

use super::retry_pause::RetryPause;

/// Which interfaces there are.
#[derive(Default)]
pub(crate) struct Interfaces {
    pub(super) records: BTreeMap<String, InterfaceRecord>,
    /// Links whose device was renamed or went to another network namespace.
    pub(super) moved: Vec<MovedLink>,
    /// Interfaces below filtered ones that could not be attached, and are not tried again yet.
    pub(super) rests: BTreeMap<String, RetryPause>,
}

/// An interface that the filter is to be on.
#[derive(Debug)]
pub(crate) struct InterfaceRecord {
    pub(crate) zone: ZoneName,
    /// The mode that was asked for.
    pub(crate) asked: AskedMode,
    pub(crate) attached: AttachedState,
}

/// A link whose device does not have the name here any more by which it was attached.
#[derive(Debug)]
pub(crate) struct MovedLink {
    pub(crate) zone: ZoneName,
    pub(crate) link: PinnedLink,
}

/// Whether the filter is on an interface.
#[derive(Debug)]
pub(crate) enum AttachedState {
    /// It is, in this mode.
    Attached {
        link: PinnedLink,
        mode: Mode,
        /// Why native mode is not used although it was wished for.
        fallback: Option<String>,
    },
    /// There is no such interface.
    Absent,
    /// It could not be attached.
    Failed(String),
}

impl Interfaces {
    /// Each interface by its name.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&String, &InterfaceRecord)> {
        self.records.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&InterfaceRecord> {
        self.records.get(name)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Zones that an interface is in, or a device that moved.
    pub(crate) fn zones(&self) -> BTreeSet<ZoneName> {
        let records = self.records.values().map(|record| &record.zone);
        let moved = self.moved.iter().map(|moved| &moved.zone);
        records.chain(moved).cloned().collect()
    }

    /// The links that are on a device, under whatever name and in whatever namespace, with their zones.
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

    /// The same, to be switched to another generation.
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
