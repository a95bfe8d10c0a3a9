//! Keeps interfaces attached, every second and at the start.

use ipblock_api::error::ApiError;
use ipblock_datapath::{DatapathError, Interface, PinnedLink, stack::heights};

use super::interfaces::{AttachedState, InterfaceRecord};
use crate::{changing::Changing, drift::report::Drifted, state::Service};

impl Service {
    /// Attaches interfaces that have appeared, notices removed ones, and repairs those that do not
    /// run their zone's generation. Called every second.
    pub fn reconcile(&self) -> Result<(), ApiError> {
        let changing = &self.begin_change();
        self.put_pins_right();
        self.set_all_aside(changing)?;
        self.look_after_moved(changing);
        let present = Interface::list()?;
        let mut wanted = Vec::new();
        {
            let state = self.read();
            for (name, record) in &state.interfaces.records {
                let here = present.iter().find(|interface| interface.name == *name);
                let stands = match &record.attached {
                    AttachedState::Attached { link, .. } => {
                        here.is_some_and(|here| link.is_on(here))
                            && state.generations.program_of(&record.zone) == Some(link.program)
                    }
                    AttachedState::Absent => here.is_none(),
                    AttachedState::Failed(_) => false,
                };
                if !stands {
                    // A recreated interface has another index: its link was not touched.
                    let was_attached = matches!(&record.attached, AttachedState::Attached { link, .. }
                        if here.is_some_and(|here| link.index == Some(here.index)));
                    let interface = ipblock_store::Interface {
                        name: name.clone(),
                        mode: record.asked,
                        zone: record.zone.clone(),
                    };
                    wanted.push((interface, was_attached));
                }
            }
        }
        from_below(&mut wanted, &present, |(interface, _)| &interface.name);
        for (interface, was_attached) in wanted {
            let is_on = self.put_on_or_remember(changing, &interface);
            if is_on && was_attached {
                let what = format!(
                    "interface {} did not run its zone's program",
                    interface.name
                );
                self.repaired(Drifted::Links, &what);
            }
        }
        self.fold_lingering(changing);
        Ok(())
    }

    /// Attaches remembered interfaces to their zones' generations, lowest first. A failure does not
    /// affect the others: `status` shows it.
    pub(crate) fn put_all_on(
        &self,
        changing: &Changing<'_>,
        mut interfaces: Vec<ipblock_store::Interface>,
    ) -> Result<(), DatapathError> {
        let present = Interface::list()?;
        from_below(&mut interfaces, &present, |interface| &interface.name);
        for interface in interfaces {
            self.put_on_or_remember(changing, &interface);
        }
        Ok(())
    }

    /// Adopts the pinned link of a remembered interface, whatever program it runs.
    pub(crate) fn adopt_link(
        &self,
        interface: &ipblock_store::Interface,
    ) -> Result<(), DatapathError> {
        let Some(link) = PinnedLink::open(&self.pins, &interface.name)? else {
            return Ok(());
        };
        if link.index.is_none() {
            return Ok(());
        }
        let here = Interface::by_name(&interface.name)?;
        let carried = here.filter(|here| link.is_on(here));
        let Some(xdp) = carried.and_then(|carrier| carrier.xdp) else {
            return self.set_aside(&mut self.write(), link, interface.zone.clone());
        };
        let record = InterfaceRecord {
            zone: interface.zone.clone(),
            asked: interface.mode,
            attached: AttachedState::Attached {
                link,
                mode: xdp.mode,
                fallback: None,
            },
        };
        let mut state = self.write();
        state
            .interfaces
            .records
            .insert(interface.name.clone(), record);
        Ok(())
    }
}

/// Sorts interfaces so that each comes before those above it: the kernel accepts programs only in
/// this order.
pub(super) fn from_below<T>(wanted: &mut [T], present: &[Interface], name: impl Fn(&T) -> &str) {
    let layers: Vec<_> = present.iter().map(Interface::layer).collect();
    let heights = heights(&layers);
    wanted.sort_by_key(|one| {
        let here = present.iter().find(|there| there.name == name(one));
        here.and_then(|here| heights.get(&here.index).copied())
    });
}
