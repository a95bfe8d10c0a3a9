//! Attaches one interface to its zone's generation, whatever its present state.

use ipblock_datapath::{DatapathError, Interface, PinDirectory, PinnedLink, link};
use tracing::{info, warn};

use super::{
    super::{
        changing::Changing,
        state::{Service, State},
    },
    below::{self, Lift},
    interfaces::{AttachedState, InterfaceRecord},
    obstacle::{Asked, Obstacle},
    unlike, without_zone,
};

impl Service {
    /// Attaches a remembered interface if possible. An obstacle is kept for `status`.
    pub(super) fn put_on_or_remember(
        &self,
        changing: &Changing<'_>,
        interface: &ipblock_store::Interface,
    ) -> bool {
        let name = &interface.name;
        let put_on = self.put_on(changing, &mut self.write(), interface, Asked::EachSecond);
        let attached = match put_on {
            Ok(()) => {
                let status = self.interface_status(name);
                info!(interface = %name, zone = %interface.zone, mode = ?status.mode, "attached");
                return true;
            }
            Err(Obstacle::Resting) => return false,
            Err(Obstacle::Absent) => AttachedState::Absent,
            Err(Obstacle::NoZone(zone)) => AttachedState::Failed(without_zone(&zone)),
            Err(Obstacle::Datapath(error)) => AttachedState::Failed(error.to_string()),
        };
        let mut state = self.write();
        let before = state.interfaces.records.get_mut(name);
        match (before.map(|record| &mut record.attached), &attached) {
            // Tried every second, but reported once.
            (Some(AttachedState::Absent), AttachedState::Absent) => return false,
            (Some(AttachedState::Failed(before)), AttachedState::Failed(now)) if before == now => {
                return false;
            }
            // A live link keeps filtering, and takes part in later deploys.
            (Some(AttachedState::Attached { fallback, link, .. }), AttachedState::Failed(why))
                if link.is_alive() =>
            {
                if fallback.as_ref() != Some(why) {
                    warn!(interface = %name, why, "its filter could not be looked after");
                    *fallback = Some(why.clone());
                }
                return false;
            }
            (_, AttachedState::Failed(why)) => {
                warn!(interface = %name, why, "could not be attached");
            }
            _ => warn!(interface = %name, "absent; it is attached when it appears"),
        }
        let record = InterfaceRecord {
            zone: interface.zone.clone(),
            asked: interface.mode,
            attached,
        };
        state.interfaces.records.insert(name.clone(), record);
        false
    }

    /// Adopts the link of the interface with this name, or creates one, with the zone's generation
    /// on it.
    pub(super) fn put_on(
        &self,
        changing: &Changing<'_>,
        state: &mut State,
        wanted: &ipblock_store::Interface,
        asked: Asked,
    ) -> Result<(), Obstacle> {
        let name = &wanted.name;
        let present = Interface::list()?;
        let here = present.iter().find(|interface| interface.name == *name);
        let pinned = self.link_of(state, wanted, here)?;
        let live = state.generations.of_zone(&wanted.zone).cloned();
        let live = live.ok_or_else(|| Obstacle::NoZone(wanted.zone.clone()))?;
        let here = here.ok_or(Obstacle::Absent)?;
        let found = match pinned {
            Some(link) => Some(link),
            None => self.take_back(state, here)?,
        };
        let attached = if let Some(mut link) = found {
            let mode = here.xdp.ok_or(Obstacle::Absent)?.mode;
            link.switch(&live.generation)?;
            AttachedState::Attached {
                link,
                mode,
                fallback: unlike(wanted.mode, mode),
            }
        } else {
            // If it cannot be pinned, it must not be created: it would appear and disappear
            // repeatedly.
            PinDirectory::at(&self.settings.bpffs)?;
            covered(state, here, &present)?;
            let mode = wanted.mode;
            let new = match link::attach(&self.pins, here, mode, &live.generation) {
                Err(error) if below::is_refused(&error) => self.attach_below(
                    changing,
                    state,
                    &Lift {
                        interface: here,
                        mode,
                        generation: &live.generation,
                        asked,
                    },
                    error,
                ),
                result => result.map_err(Obstacle::from),
            }?;
            AttachedState::Attached {
                link: new.link,
                mode: new.mode,
                fallback: new.fallback,
            }
        };
        let record = InterfaceRecord {
            zone: wanted.zone.clone(),
            asked: wanted.mode,
            attached,
        };
        state.interfaces.records.insert(name.clone(), record);
        Ok(())
    }

    /// Returns the link that is pinned under the name of an interface, if it is on that interface.
    /// Sets it aside if it is on another device now.
    fn link_of(
        &self,
        state: &mut State,
        wanted: &ipblock_store::Interface,
        here: Option<&Interface>,
    ) -> Result<Option<PinnedLink>, DatapathError> {
        let Some(link) = PinnedLink::open(&self.pins, &wanted.name)? else {
            return Ok(None);
        };
        // If the interface was removed or recreated, its pin is useless.
        if link.index.is_none() {
            link.detach()?;
            return Ok(None);
        }
        if here.is_some_and(|here| link.is_on(here)) {
            return Ok(Some(link));
        }
        let record = state.interfaces.records.get(&wanted.name);
        let zone = record.map_or_else(|| wanted.zone.clone(), |record| record.zone.clone());
        self.set_aside(state, link, zone)?;
        Ok(None)
    }
}

/// Refuses an interface that runs our program without a link of its own: the bond above it has
/// attached it.
fn covered(state: &State, here: &Interface, present: &[Interface]) -> Result<(), DatapathError> {
    let Some(xdp) = here.xdp else { return Ok(()) };
    let master = present
        .iter()
        .find(|other| Some(other.index) == here.master)
        .filter(|master| below::is_native_bond(master));
    let mut links = state.interfaces.links();
    let is_ours = links.any(|(_, link)| link.program == xdp.program);
    match master.filter(|_| is_ours) {
        Some(bond) => Err(DatapathError::Below {
            interface: here.name.clone(),
            upper: bond.name.clone(),
            program: xdp.program,
            why: ipblock_datapath::InTheWay::NativeBond,
        }),
        None => Ok(()),
    }
}
