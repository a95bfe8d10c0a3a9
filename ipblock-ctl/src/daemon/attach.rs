//! Interfaces: attach, detach, and keep what should be attached attached.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::{
    drift::Part,
    guard::{Caller, log_forced},
    settings::check_interface_name,
    state::{AttachedState, InterfaceRecord, Service, State},
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{AttachRequest, Attached, InterfaceState, InterfaceStatus, Mode},
    },
    datapath::{AttachMode, DatapathError, Interface, PinDirectory, PinnedLink, link},
    fault::{Step, reach},
    policy::{Ruleset, ZoneName},
    store::{self, AskedMode, Author},
};

/// Why an interface does not run its zone's generation.
enum Obstacle {
    /// There is no such interface.
    Absent,
    /// The zone has no generation.
    NoZone(ZoneName),
    /// The kernel.
    Datapath(DatapathError),
}

impl From<DatapathError> for Obstacle {
    fn from(error: DatapathError) -> Self {
        match error {
            DatapathError::NoInterface { .. } => Self::Absent,
            error => Self::Datapath(error),
        }
    }
}

impl Service {
    /// Attaches an interface, or moves it to another zone. Remembered over restarts.
    pub fn attach(&self, request: &AttachRequest, caller: &Caller) -> Result<Attached, ApiError> {
        let author = &caller.author;
        let _change = self.begin_change();
        let name = &request.interface;
        check_interface_name(name).map_err(|error| ApiError::new(ErrorKind::Invalid, error))?;
        let zone = self.deployed_zone(request.zone.as_deref())?;
        let asked = asked_mode(request.mode);
        self.require_same_mode(name, asked)?;
        self.require_way_back(name, &zone)?;
        let guarded = self.guarded(Some(caller), request.force)?;
        let wanted = store::Interface {
            name: name.clone(),
            mode: asked,
            zone: zone.clone(),
        };
        // Judged while no ban is granted: the next one knows the interface.
        let mut state = self.write();
        let bans = self.bans();
        let warnings = guarded.judge_attach(name, &zone, &state, &bans)?;
        reach(Step::Judged);
        let before = self.remembered(name)?;
        // Remembered first: a daemon that dies in between attaches at its next start.
        self.store.add_interface(&wanted)?;
        let put_on = self.put_on(&mut state, &wanted);
        drop((state, bans));
        if let Err(obstacle) = put_on {
            // As it was: an attach that failed is not tried again behind the operator's back.
            let restored = match before {
                Some(before) => self.store.add_interface(&before),
                None => self.store.remove_interface(name).map(drop),
            };
            if let Err(error) = restored {
                warn!(interface = %name, %error, "it stays remembered");
            }
            return Err(match obstacle {
                Obstacle::Absent => {
                    let interface = name.clone();
                    DatapathError::NoInterface { interface }.into()
                }
                Obstacle::NoZone(zone) => self.read().no_such_zone(zone.as_str()),
                Obstacle::Datapath(error) => error.into(),
            });
        }
        log_forced(&warnings);
        let status = self.interface_status(name);
        info!(author = %author.name, uid = author.uid, interface = %name, zone = %zone,
            mode = ?status.mode, "attached");
        self.audit(author, "attach", &format!("{name} to zone {zone}"));
        Ok(Attached {
            interface: status,
            warnings,
        })
    }

    /// Detaches an interface and forgets it. What a failure left half-way is finished by doing it
    /// again.
    pub fn detach(&self, name: &str, author: &Author) -> Result<(), ApiError> {
        let _change = self.begin_change();
        let link = PinnedLink::open(&self.pins, name)?;
        if link.is_none()
            && self.remembered(name)?.is_none()
            && !self.read().interfaces.contains_key(name)
        {
            let message = format!("interface `{name}` is not attached");
            return Err(ApiError::new(ErrorKind::NotFound, message)
                .with_hint("`ipblock-ctl status` lists the interfaces"));
        }
        match link {
            Some(link) => link.detach(&self.pins)?,
            // Its pin cannot be seen: something is mounted over it, or nothing is.
            None => self.take_off(name)?,
        }
        self.store.remove_interface(name)?;
        self.write().interfaces.remove(name);
        info!(author = %author.name, uid = author.uid, interface = %name, "detached");
        self.audit(author, "detach", name);
        Ok(())
    }

    /// Takes the filter off an interface, by the link that is held.
    fn take_off(&self, name: &str) -> Result<(), DatapathError> {
        match self
            .read()
            .interfaces
            .get(name)
            .map(|record| &record.attached)
        {
            Some(AttachedState::Attached { link, .. }) => link.take_off(),
            _ => Ok(()),
        }
    }

    /// Takes the filter off interfaces whose zone goes. They stay remembered, and are attached as soon
    /// as their zone is deployed again.
    pub(super) fn take_off_without_zone(
        &self,
        before: &Ruleset,
        after: &Ruleset,
    ) -> Result<(), DatapathError> {
        let mut state = self.write();
        for (name, record) in &mut state.interfaces {
            let is_on = matches!(record.attached, AttachedState::Attached { .. });
            let goes = before.zone(&record.zone).is_some() && after.zone(&record.zone).is_none();
            if !is_on || !goes {
                continue;
            }
            if let Some(link) = PinnedLink::open(&self.pins, name)? {
                link.detach(&self.pins)?;
            }
            warn!(interface = %name, zone = %record.zone, "detached: its zone goes");
            record.attached = AttachedState::Failed(without_zone(&record.zone));
        }
        Ok(())
    }

    /// Refuses to move an interface out of its zone into one that is on trial: were that taken back,
    /// nothing would filter it.
    fn require_way_back(&self, name: &str, zone: &ZoneName) -> Result<(), ApiError> {
        let trial = {
            let state = self.read();
            let is_moved = state
                .interfaces
                .get(name)
                .is_some_and(|record| record.zone != *zone);
            state.confirmation.clone().filter(|_| is_moved)
        };
        let Some(trial) = trial else { return Ok(()) };
        let previous = self.revision_ruleset(trial.trial.previous)?;
        if previous.zone(zone).is_some() {
            return Ok(());
        }
        let message = format!(
            "zone `{zone}` came with revision {}, which awaits confirmation",
            trial.revision
        );
        Err(ApiError::new(ErrorKind::Conflict, message)
            .with_hint("`ipblock-ctl confirm` it first, then attach again"))
    }

    fn remembered(&self, name: &str) -> Result<Option<store::Interface>, ApiError> {
        let mut interfaces = self.store.interfaces()?.into_iter();
        Ok(interfaces.find(|interface| interface.name == name))
    }

    /// Attaches what has appeared, notices what has gone, and mends what does not run its zone's
    /// generation. Called every second.
    pub fn reconcile(&self) -> Result<(), ApiError> {
        let _change = self.begin_change();
        self.put_pins_right();
        let present = Interface::list()?;
        let mut wanted = Vec::new();
        {
            let state = self.read();
            for (name, record) in &state.interfaces {
                let is_there = present.iter().any(|interface| interface.name == *name);
                let stands = match &record.attached {
                    // By index: a renamed interface keeps its filter.
                    AttachedState::Attached { link, .. } => present.iter().any(|interface| {
                        link.index == Some(interface.index)
                            && interface.xdp.map(|xdp| xdp.program)
                                == state.program_of(&record.zone)
                    }),
                    AttachedState::Absent => !is_there,
                    AttachedState::Failed(_) => false,
                };
                if !stands {
                    // One that was deleted and made again has another index: nobody touched its link.
                    let was_attached = matches!(&record.attached, AttachedState::Attached { link, .. }
                        if present.iter().any(|there| link.index == Some(there.index)));
                    let interface = store::Interface {
                        name: name.clone(),
                        mode: record.asked,
                        zone: record.zone.clone(),
                    };
                    wanted.push((interface, was_attached));
                }
            }
        }
        for (interface, was_attached) in wanted {
            let is_on = self.put_on_or_remember(&interface);
            if is_on && was_attached {
                let what = format!(
                    "interface {} did not run its zone's program",
                    interface.name
                );
                self.repaired(Part::Links, &what);
            }
        }
        self.fold_lingering();
        Ok(())
    }

    /// Takes over the pinned link of a remembered interface, with whatever program it runs.
    pub(super) fn adopt_link(&self, interface: &store::Interface) -> Result<(), DatapathError> {
        let Some(link) = PinnedLink::open(&self.pins, &interface.name)? else {
            return Ok(());
        };
        let present = Interface::list()?;
        let carrier = present.iter().find(|there| link.index == Some(there.index));
        let Some(xdp) = carrier.and_then(|carrier| carrier.xdp) else {
            return Ok(());
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
        self.write()
            .interfaces
            .insert(interface.name.clone(), record);
        Ok(())
    }

    /// Attaches an interface that the store remembers, if it can: what stands in the way is kept for
    /// `status`.
    pub(super) fn put_on_or_remember(&self, interface: &store::Interface) -> bool {
        let name = &interface.name;
        let put_on = self.put_on(&mut self.write(), interface);
        let attached = match put_on {
            Ok(()) => {
                let status = self.interface_status(name);
                info!(interface = %name, zone = %interface.zone, mode = ?status.mode, "attached");
                return true;
            }
            Err(Obstacle::Absent) => AttachedState::Absent,
            Err(Obstacle::NoZone(zone)) => AttachedState::Failed(without_zone(&zone)),
            Err(Obstacle::Datapath(error)) => AttachedState::Failed(error.to_string()),
        };
        let mut state = self.write();
        let before = state.interfaces.get_mut(name);
        match (before.map(|record| &mut record.attached), &attached) {
            // Tried every second, told once.
            (Some(AttachedState::Absent), AttachedState::Absent) => return false,
            (Some(AttachedState::Failed(before)), AttachedState::Failed(now)) if before == now => {
                return false;
            }
            // A link that lives keeps filtering and keeps its place in later deploys.
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
        state.interfaces.insert(name.clone(), record);
        false
    }

    /// Takes over the pinned link of an interface, or makes one, with the zone's generation on it.
    fn put_on(&self, state: &mut State, wanted: &store::Interface) -> Result<(), Obstacle> {
        let name = &wanted.name;
        let present = Interface::list()?;
        let named = present.iter().find(|interface| interface.name == *name);
        let mut pinned = PinnedLink::open(&self.pins, name)?;
        // The pin of an interface that is gone, or came back as another one, holds nothing.
        if let Some(dead) = pinned.take_if(|link| link.index.is_none()) {
            dead.detach(&self.pins)?;
        }
        let State {
            zones, interfaces, ..
        } = state;
        let live = zones
            .get(&wanted.zone)
            .ok_or_else(|| Obstacle::NoZone(wanted.zone.clone()))?;
        let attached = if let Some(mut link) = pinned {
            let carrier = present.iter().find(|there| link.index == Some(there.index));
            let carrier = carrier.ok_or(Obstacle::Absent)?;
            if named.is_some() && carrier.name != *name {
                return Err(Obstacle::Datapath(DatapathError::Renamed {
                    interface: name.clone(),
                    now: carrier.name.clone(),
                }));
            }
            let mode = carrier.xdp.ok_or(Obstacle::Absent)?.mode;
            link.switch(&live.generation)?;
            AttachedState::Attached {
                link,
                mode,
                fallback: unlike(wanted.mode, mode),
            }
        } else {
            let interface = named.ok_or(Obstacle::Absent)?;
            if let Some(interface) = filtered_as(interfaces, interface) {
                return Err(Obstacle::Datapath(DatapathError::Renamed {
                    interface,
                    now: name.clone(),
                }));
            }
            // Where it cannot be pinned it must not be made: it would go on and off.
            PinDirectory::at(&self.settings.bpffs)?;
            let new = link::attach(
                &self.pins,
                interface,
                required_mode(wanted.mode),
                &live.generation,
            )?;
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
        zone.ok_or_else(|| state.no_such_zone(name))
    }

    /// A link keeps its mode: changing it would leave a gap.
    fn require_same_mode(&self, name: &str, asked: AskedMode) -> Result<(), ApiError> {
        let state = self.read();
        let Some(AttachedState::Attached { mode, .. }) =
            state.interfaces.get(name).map(|record| &record.attached)
        else {
            return Ok(());
        };
        if unlike(asked, *mode).is_none() {
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

impl State {
    fn no_such_zone(&self, name: &str) -> ApiError {
        let known: Vec<_> = self.zones.keys().map(ZoneName::as_str).collect();
        let message = format!("there is no deployed zone `{name}`");
        let hint = format!(
            "deployed zones: {}; `ipblock-ctl zone set {name} --default pass --deploy` makes one",
            known.join(", ")
        );
        ApiError::new(ErrorKind::NotFound, message).with_hint(hint)
    }
}

fn without_zone(zone: &ZoneName) -> String {
    format!("there is no deployed zone `{zone}`")
}

/// The only mode that will do; none when any will.
fn required_mode(asked: AskedMode) -> Option<AttachMode> {
    match asked {
        AskedMode::Auto => None,
        AskedMode::Native => Some(AttachMode::Native),
        AskedMode::Generic => Some(AttachMode::Generic),
    }
}

/// The name by which an interface was attached before it was renamed.
fn filtered_as(
    interfaces: &BTreeMap<String, InterfaceRecord>,
    interface: &Interface,
) -> Option<String> {
    let mut others = interfaces
        .iter()
        .filter(|(name, _)| **name != interface.name);
    let found = others.find(|(_, record)| {
        matches!(&record.attached, AttachedState::Attached { link, .. }
            if link.index == Some(interface.index))
    });
    found.map(|(name, _)| name.clone())
}

/// What to say of a link that was taken over and is in another mode than the one asked for.
fn unlike(asked: AskedMode, mode: AttachMode) -> Option<String> {
    let other = required_mode(asked).is_some_and(|required| required != mode);
    other.then(|| format!("it was attached in {mode} mode and keeps that until detached"))
}

fn asked_mode(mode: Mode) -> AskedMode {
    match mode {
        Mode::Auto => AskedMode::Auto,
        Mode::Native => AskedMode::Native,
        Mode::Generic => AskedMode::Generic,
    }
}
