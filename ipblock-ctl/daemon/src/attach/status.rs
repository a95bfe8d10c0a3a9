//! Interfaces in the API's view: the state of the device that has the name now.

use ipblock_api::types::{InterfaceState, InterfaceStatus};
use ipblock_datapath::{DatapathError, Interface};
use ipblock_policy::ZoneName;

use super::{
    super::state::{Service, State},
    interfaces::{AttachedState, InterfaceRecord},
    moved::now_called,
};

impl Service {
    pub(super) fn interface_status(&self, name: &str) -> InterfaceStatus {
        let present = Interface::list();
        let state = self.read();
        match state.interfaces.records.get(name) {
            Some(record) => record.status(name, &state, present.as_deref()),
            None => InterfaceStatus {
                name: name.to_owned(),
                mode: None,
                state: InterfaceState::Absent,
                detail: None,
            },
        }
    }
}

impl State {
    /// Returns every interface with its zone, in its present state.
    pub(crate) fn shown_interfaces(
        &self,
        present: Result<&[Interface], &DatapathError>,
    ) -> Vec<(ZoneName, InterfaceStatus)> {
        let records = self.interfaces.records();
        records
            .map(|(name, record)| (record.zone.clone(), record.status(name, self, present)))
            .collect()
    }
}

impl InterfaceRecord {
    /// Returns the API's view of an interface: attached only if the device that has the name now
    /// has the link.
    fn status(
        &self,
        name: &str,
        state: &State,
        present: Result<&[Interface], &DatapathError>,
    ) -> InterfaceStatus {
        let asked = self.asked;
        let (mode, interface_state, detail) = match (&self.attached, present) {
            (AttachedState::Failed(why), _) => (asked, InterfaceState::Failed, Some(why.clone())),
            (_, Err(error)) => (asked, InterfaceState::Failed, Some(error.to_string())),
            (AttachedState::Absent, Ok(present)) => {
                (asked, InterfaceState::Absent, renamed(name, state, present))
            }
            (AttachedState::Attached { link, fallback, .. }, Ok(present)) => {
                match present.iter().find(|interface| interface.name == name) {
                    None => (asked, InterfaceState::Absent, renamed(name, state, present)),
                    Some(here) if link.is_on(here) => {
                        let mode = here.xdp.map(|xdp| xdp.mode).or(asked);
                        (mode, InterfaceState::Attached, fallback.clone())
                    }
                    Some(_) => {
                        let why = "it does not run ipblock's program just now, which is put right \
                                   within a second";
                        (asked, InterfaceState::Failed, Some(why.to_owned()))
                    }
                }
            }
        };
        InterfaceStatus {
            name: name.to_owned(),
            mode,
            state: interface_state,
            detail,
        }
    }
}

/// Describes where the device is that was attached with this name.
fn renamed(name: &str, state: &State, present: &[Interface]) -> Option<String> {
    let now = now_called(state, name, present)?;
    Some(format!(
        "the device that was attached is called {now} now, and is filtered there"
    ))
}
