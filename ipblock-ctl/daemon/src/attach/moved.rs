//! Links whose device no longer has, in this namespace, the name of the attachment: it was renamed,
//! or moved to another network namespace. They keep filtering, and deploys reach them, until an
//! operator decides otherwise (docs/decisions/0020-devices-that-stack-or-move.md).

use ipblock_datapath::{DatapathError, Interface, MovedPin, PinnedLink};
use ipblock_policy::ZoneName;
use tracing::{info, warn};

use super::interfaces::{AttachedState, MovedLink};
use crate::changing::Changing;
use crate::state::{Service, State};

impl Service {
    /// Keeps a link whose device has another name or namespace.
    pub(super) fn set_aside(
        &self,
        state: &mut State,
        mut link: PinnedLink,
        zone: ZoneName,
    ) -> Result<(), DatapathError> {
        link.set_aside(&self.pins, zone.as_str())?;
        warn!(interface = link.interface(), %zone,
            "its device was renamed or went to another network namespace, and is filtered on");
        if let Some(record) = state.interfaces.records.get_mut(link.interface())
            && matches!(record.attached, AttachedState::Attached { .. })
        {
            record.attached = AttachedState::Absent;
        }
        state.interfaces.moved.push(MovedLink { zone, link });
        Ok(())
    }

    /// Sets all links aside whose device does not have its name in this namespace any more.
    pub(super) fn set_all_aside(&self, _: &Changing<'_>) -> Result<(), DatapathError> {
        let present = Interface::list()?;
        let gone: Vec<String> = {
            let state = self.read();
            let records = state.interfaces.records.iter();
            let gone = records.filter(|(name, record)| {
                let mut named = present.iter().filter(|there| there.name == **name);
                matches!(&record.attached, AttachedState::Attached { link, .. }
                    if !named.any(|there| link.is_on(there)))
            });
            gone.map(|(name, _)| name.clone()).collect()
        };
        gone.iter()
            .try_for_each(|name| self.set_aside_if_moved(name))
    }

    /// Sets the link aside that is pinned with this name, if another device has the name now.
    fn set_aside_if_moved(&self, name: &str) -> Result<(), DatapathError> {
        let Some(link) = PinnedLink::open(&self.pins, name)? else {
            return Ok(());
        };
        let here = Interface::by_name(name)?;
        if link.index.is_none() || here.is_some_and(|here| link.is_on(&here)) {
            return Ok(());
        }
        let mut state = self.write();
        let record = state.interfaces.records.get(name);
        let zone = record.map(|record| record.zone.clone());
        self.set_aside(&mut state, link, zone.unwrap_or_default())
    }

    /// Takes back the moved link on an interface as its own.
    pub(super) fn take_back(
        &self,
        state: &mut State,
        here: &Interface,
    ) -> Result<Option<PinnedLink>, DatapathError> {
        // Its index differs per namespace.
        for moved in &mut state.interfaces.moved {
            moved.link.look_again();
        }
        let carried = |moved: &MovedLink| moved.link.is_on(here);
        let Some(place) = state.interfaces.moved.iter().position(carried) else {
            return Ok(None);
        };
        let mut moved = state.interfaces.moved.remove(place);
        let before = moved.link.interface().to_owned();
        if let Err(error) = moved.link.take_back(&self.pins, &here.name) {
            state.interfaces.moved.push(moved);
            return Err(error);
        }
        info!(interface = %here.name, before, "its filter is known by this name now");
        Ok(Some(moved.link))
    }

    /// Returns the zone of the moved link on the interface with this name.
    pub(super) fn zone_of_moved(&self, name: &str) -> Result<Option<ZoneName>, DatapathError> {
        let Some(here) = Interface::by_name(name)? else {
            return Ok(None);
        };
        let mut state = self.write();
        for moved in &mut state.interfaces.moved {
            moved.link.look_again();
        }
        let carried = state
            .interfaces
            .moved
            .iter()
            .find(|moved| moved.link.is_on(&here));
        Ok(carried.map(|moved| moved.zone.clone()))
    }

    /// Opens the pinned moved links.
    pub(crate) fn adopt_moved(&self) -> Result<(), DatapathError> {
        let found = PinnedLink::open_moved(&self.pins)?.into_iter();
        let moved = found.map(|MovedPin { link, zone }| MovedLink {
            zone: zone.parse().unwrap_or_default(),
            link,
        });
        self.write().interfaces.moved = moved.collect();
        Ok(())
    }

    /// Removes moved links without a device, and updates the others.
    pub(super) fn look_after_moved(&self, _: &Changing<'_>) {
        if self.read().interfaces.moved.is_empty() {
            return;
        }
        let mut state = self.write();
        for mut moved in std::mem::take(&mut state.interfaces.moved) {
            let name = moved.link.interface().to_owned();
            if !moved.link.is_alive() {
                info!(interface = %name, "its device, which had moved, is gone");
                if let Err(error) = moved.link.detach() {
                    warn!(interface = %name, %error, "the pin of its link stays");
                }
                continue;
            }
            moved.link.look_again();
            let live = state.generations.of_zone(&moved.zone);
            if let Some(Err(error)) = live.map(|live| moved.link.switch(&live.generation)) {
                warn!(interface = %name, %error, "does not run its zone's program");
            }
            state.interfaces.moved.push(moved);
        }
    }

    /// Detaches the filter from devices that were attached with this name, or have it now, without
    /// being the interface attached under it. Returns their number.
    pub(super) fn detach_moved(
        &self,
        _: &Changing<'_>,
        name: &str,
    ) -> Result<usize, DatapathError> {
        let present = Interface::list()?;
        let here = present.iter().find(|interface| interface.name == name);
        let mut state = self.write();
        for moved in &mut state.interfaces.moved {
            moved.link.look_again();
        }
        take_off(&mut state, |moved| {
            moved.link.interface() == name || here.is_some_and(|here| moved.link.is_on(here))
        })
    }
}

/// Detaches the filter from moved devices and forgets them. Returns their number. If one cannot be
/// detached, it stays known.
pub(super) fn take_off(
    state: &mut State,
    is_meant: impl Fn(&MovedLink) -> bool,
) -> Result<usize, DatapathError> {
    let mut outcome = Ok(0);
    for moved in std::mem::take(&mut state.interfaces.moved) {
        if !is_meant(&moved) {
            state.interfaces.moved.push(moved);
            continue;
        }
        let off = match moved.link.take_off() {
            Ok(()) => moved.link.detach(),
            Err(error) => {
                state.interfaces.moved.push(moved);
                Err(error)
            }
        };
        outcome = match (outcome, off) {
            (Ok(count), Ok(())) => Ok(count + 1),
            (Ok(_), Err(error)) | (Err(error), _) => Err(error),
        };
    }
    outcome
}

/// Returns the present name of the interface whose link was attached with this name.
pub(super) fn now_called<'a>(
    state: &State,
    name: &str,
    present: &'a [Interface],
) -> Option<&'a str> {
    let links = state.interfaces.links().map(|(_, link)| link);
    let mut links = links.filter(|link| link.interface() == name);
    links.find_map(|link| {
        let carrier = present.iter().find(|there| link.is_on(there))?;
        (carrier.name != name).then_some(carrier.name.as_str())
    })
}

/// Reports devices that are filtered with a name that is not theirs in this namespace.
pub(crate) fn problems(state: &State, present: &[Interface]) -> Vec<String> {
    let lines = state.interfaces.moved.iter().map(|moved| {
        let (name, zone) = (moved.link.interface(), &moved.zone);
        match present.iter().find(|there| moved.link.is_on(there)) {
            Some(now) => {
                let now = &now.name;
                format!(
                    "interface {now} was attached as {name} and then renamed: it is filtered in zone \
                     {zone} on; `ipblock-ctl attach {now}` keeps that under its name, `ipblock-ctl \
                     detach {now}` takes it off"
                )
            }
            None => format!(
                "the device that was attached as {name} is in another network namespace: it is filtered \
                 in zone {zone} on, and deploys reach it; `ipblock-ctl detach {name} --moved` takes it \
                 off"
            ),
        }
    });
    lines.collect()
}
