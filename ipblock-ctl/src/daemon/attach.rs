//! Interfaces: attach, detach, and keep what should be attached attached.

use tracing::{info, warn};

use super::{
    settings::check_interface_name,
    state::{AttachedState, InterfaceRecord, Service, State},
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{AttachRequest, InterfaceState, InterfaceStatus, Mode},
    },
    datapath::{AttachMode, DatapathError, Interface, PinnedLink, link},
    policy::ZoneName,
    store::{self, AskedMode, Author},
};

impl Service {
    /// Attaches an interface, or moves it to another zone. Remembered over restarts.
    pub fn attach(
        &self,
        request: &AttachRequest,
        author: &Author,
    ) -> Result<InterfaceStatus, ApiError> {
        let _change = self.begin_change();
        let name = &request.interface;
        check_interface_name(name).map_err(|error| ApiError::new(ErrorKind::Invalid, error))?;
        let zone = self.deployed_zone(request.zone.as_deref())?;
        let asked = asked_mode(request.mode);
        if Interface::by_name(name)?.is_none() {
            return Err(DatapathError::NoInterface {
                interface: name.clone(),
            }
            .into());
        }
        let remembered = store::Interface {
            name: name.clone(),
            mode: asked,
            zone: zone.clone(),
        };
        let before = self
            .read()
            .interfaces
            .get(name)
            .map(|record| store::Interface {
                name: name.clone(),
                mode: record.asked,
                zone: record.zone.clone(),
            });
        self.require_same_mode(name, asked)?;
        self.store.add_interface(&remembered)?;
        if let Err(error) = self.put_on(&remembered) {
            // As it was: an attach that failed is not tried again behind the operator's back.
            match before {
                Some(before) => self.store.add_interface(&before)?,
                None => drop(self.store.remove_interface(name)?),
            }
            return Err(error.into());
        }
        let status = self.interface_status(name);
        info!(author = %author.name, uid = author.uid, interface = %name, zone = %zone,
            mode = ?status.mode, "attached");
        self.audit(author, "attach", &format!("{name} to zone {zone}"))?;
        Ok(status)
    }

    /// Detaches an interface and forgets it.
    pub fn detach(&self, name: &str, author: &Author) -> Result<(), ApiError> {
        let _change = self.begin_change();
        let mut state = self.write();
        let Some(record) = state.interfaces.remove(name) else {
            return Err(ApiError::new(
                ErrorKind::NotFound,
                format!("interface `{name}` is not attached"),
            )
            .with_hint("`ipblock-ctl status` lists the interfaces"));
        };
        if let AttachedState::Attached { link, .. } = record.attached {
            link.detach(&self.pins)?;
        }
        drop(state);
        self.store.remove_interface(name)?;
        info!(author = %author.name, uid = author.uid, interface = %name, "detached");
        self.audit(author, "detach", name)
    }

    /// Attaches what has appeared, and notices what has gone. Called every second.
    pub fn reconcile(&self) -> Result<(), ApiError> {
        let _change = self.begin_change();
        let present = Interface::list()?;
        let mut wanted = Vec::new();
        {
            let state = self.read();
            for (name, record) in &state.interfaces {
                let is_there = present.iter().any(|interface| interface.name == *name);
                let stands = match &record.attached {
                    // By index: a renamed interface keeps its filter.
                    AttachedState::Attached { link, .. } => present
                        .iter()
                        .any(|interface| link.index == Some(interface.index)),
                    AttachedState::Absent => !is_there,
                    // Tried again when it has gone and come back, or by `attach`.
                    AttachedState::Failed(_) => is_there,
                };
                if !stands {
                    wanted.push(store::Interface {
                        name: name.clone(),
                        mode: record.asked,
                        zone: record.zone.clone(),
                    });
                }
            }
        }
        for interface in wanted {
            self.put_on_or_remember(&interface);
        }
        Ok(())
    }

    /// Takes over the pinned link of a remembered interface, with whatever program it runs.
    pub(super) fn adopt_link(&self, interface: &store::Interface) -> Result<(), DatapathError> {
        let Some(link) = PinnedLink::open(&self.pins, &interface.name)? else {
            return Ok(());
        };
        let Some(mode) = mode_of(&link)? else {
            return Ok(());
        };
        let record = InterfaceRecord {
            zone: interface.zone.clone(),
            asked: interface.mode,
            attached: AttachedState::Attached {
                link,
                mode,
                fallback: None,
            },
        };
        self.write()
            .interfaces
            .insert(interface.name.clone(), record);
        Ok(())
    }

    /// Attaches an interface that the store remembers; what stands in the way is kept for `status`.
    pub(super) fn put_on_or_remember(&self, interface: &store::Interface) {
        let name = &interface.name;
        let Err(error) = self.put_on(interface) else {
            let status = self.interface_status(name);
            info!(interface = %name, zone = %interface.zone, mode = ?status.mode,
                state = ?status.state, "attached");
            return;
        };
        let attached = match error {
            DatapathError::NoInterface { .. } => {
                warn!(interface = %name, "absent; it is attached when it appears");
                AttachedState::Absent
            }
            error => {
                warn!(interface = %name, %error, "could not be attached");
                AttachedState::Failed(error.to_string())
            }
        };
        let record = InterfaceRecord {
            zone: interface.zone.clone(),
            asked: interface.mode,
            attached,
        };
        self.write().interfaces.insert(name.clone(), record);
    }

    /// Takes over the pinned link of an interface, or makes one, with the zone's generation on it.
    fn put_on(&self, wanted: &store::Interface) -> Result<(), DatapathError> {
        let name = &wanted.name;
        let absent = || DatapathError::NoInterface {
            interface: name.clone(),
        };
        let mut pinned = PinnedLink::open(&self.pins, name)?;
        // The pin of an interface that is gone, or came back as another one, holds nothing.
        if let Some(dead) = pinned.take_if(|link| link.index.is_none()) {
            dead.detach(&self.pins)?;
        }
        let mut state = self.write();
        let State {
            zones, interfaces, ..
        } = &mut *state;
        let live = zones.get(&wanted.zone).ok_or_else(absent)?;
        let (mut link, fallback) = if let Some(link) = pinned {
            (link, None)
        } else {
            let mode = match wanted.mode {
                AskedMode::Auto => None,
                AskedMode::Native => Some(AttachMode::Native),
                AskedMode::Generic => Some(AttachMode::Generic),
            };
            let interface = Interface::by_name(name)?.ok_or_else(absent)?;
            link::attach(&self.pins, &interface, mode, &live.generation)?
        };
        link.switch(&live.generation)?;
        let mode = mode_of(&link)?.ok_or_else(absent)?;
        let record = InterfaceRecord {
            zone: wanted.zone.clone(),
            asked: wanted.mode,
            attached: AttachedState::Attached {
                link,
                mode,
                fallback,
            },
        };
        interfaces.insert(name.clone(), record);
        Ok(())
    }

    /// A deployed zone; `default` when none is named.
    fn deployed_zone(&self, name: Option<&str>) -> Result<ZoneName, ApiError> {
        let Some(name) = name else {
            return Ok(ZoneName::default());
        };
        let state = self.read();
        let zone = name
            .parse()
            .ok()
            .filter(|zone| state.zones.contains_key(zone));
        zone.ok_or_else(|| {
            let known: Vec<_> = state.zones.keys().map(ZoneName::as_str).collect();
            let message = format!("there is no deployed zone `{name}`");
            let hint = format!(
                "deployed zones: {}; `ipblock-ctl zone set {name} --default pass --deploy` makes one",
                known.join(", ")
            );
            ApiError::new(ErrorKind::NotFound, message).with_hint(hint)
        })
    }

    /// A link keeps its mode: changing it would leave a gap.
    fn require_same_mode(&self, name: &str, asked: AskedMode) -> Result<(), ApiError> {
        let state = self.read();
        let Some(AttachedState::Attached { mode, .. }) =
            state.interfaces.get(name).map(|record| &record.attached)
        else {
            return Ok(());
        };
        let same = match asked {
            AskedMode::Auto => true,
            AskedMode::Native => *mode == AttachMode::Native,
            AskedMode::Generic => *mode == AttachMode::Generic,
        };
        if same {
            return Ok(());
        }
        let message = format!("interface `{name}` is attached in {mode} mode already");
        let hint = format!(
            "changing the mode leaves packets unfiltered for a moment: `ipblock-ctl detach {name}` \
             first"
        );
        Err(ApiError::new(ErrorKind::Conflict, message).with_hint(hint))
    }

    fn interface_status(&self, name: &str) -> InterfaceStatus {
        let state = self.read();
        match state.interfaces.get(name) {
            Some(record) => record.status(name),
            None => InterfaceStatus {
                name: name.to_owned(),
                mode: Mode::Auto,
                state: InterfaceState::Absent,
                detail: None,
            },
        }
    }
}

impl InterfaceRecord {
    /// The interface as the API shows it.
    pub(super) fn status(&self, name: &str) -> InterfaceStatus {
        let asked = match self.asked {
            AskedMode::Auto => Mode::Auto,
            AskedMode::Native => Mode::Native,
            AskedMode::Generic => Mode::Generic,
        };
        let (mode, state, detail) = match &self.attached {
            AttachedState::Attached { mode, fallback, .. } => {
                let mode = match mode {
                    AttachMode::Native => Mode::Native,
                    AttachMode::Generic => Mode::Generic,
                };
                (mode, InterfaceState::Attached, fallback.clone())
            }
            AttachedState::Absent => (asked, InterfaceState::Absent, None),
            AttachedState::Failed(why) => (asked, InterfaceState::Failed, Some(why.clone())),
        };
        InterfaceStatus {
            name: name.to_owned(),
            mode,
            state,
            detail,
        }
    }
}

/// The mode of a link's program as the kernel reports it, which need not be what was asked for;
/// `None` when its interface is gone.
fn mode_of(link: &PinnedLink) -> Result<Option<AttachMode>, DatapathError> {
    let mut interfaces = Interface::list()?.into_iter();
    let found = interfaces.find(|interface| link.index == Some(interface.index));
    Ok(found
        .and_then(|interface| interface.xdp)
        .map(|xdp| xdp.mode))
}

fn asked_mode(mode: Mode) -> AskedMode {
    match mode {
        Mode::Auto => AskedMode::Auto,
        Mode::Native => AskedMode::Native,
        Mode::Generic => AskedMode::Generic,
    }
}
