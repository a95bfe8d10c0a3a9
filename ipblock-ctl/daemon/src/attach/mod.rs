//! Interfaces: attach, detach, and keep attached.
//!
//! [`put_on`] attaches one interface to its zone's generation, and [`below`] does so under a
//! filtered one. [`reconcile`] keeps all of them attached, and [`unfiltered`] is the first step of
//! a start. [`moved`] manages devices with another name or namespace, and [`status`] is the API's
//! view.

mod below;
pub(super) mod interfaces;
mod moved;
mod obstacle;
mod put_on;
mod reconcile;
pub(super) mod retry_pause;
mod status;
pub(crate) mod unfiltered;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{AttachRequest, Attached},
};
use ipblock_datapath::{DatapathError, Interface, PinnedLink};
use ipblock_fault::{Step, reach};
use ipblock_policy::{AskedMode, Mode, Ruleset, ZoneName, name::check_interface_name};
use ipblock_store::Author;
use tracing::{info, warn};

use super::{
    caller::Caller,
    changing::Changing,
    guard::log_forced,
    state::{Service, State},
};
use interfaces::AttachedState;
use obstacle::{Asked, Obstacle};

pub(super) use moved::problems as moved_problems;

impl Service {
    /// Attaches an interface, or moves it to another zone. Remembered over restarts.
    pub fn attach(&self, request: &AttachRequest, caller: &Caller) -> Result<Attached, ApiError> {
        let author = &caller.author;
        let changing = &self.begin_change();
        let name = &request.interface;
        check_interface_name(name).map_err(|error| ApiError::new(ErrorKind::Invalid, error))?;
        // Checked now: a device may have got this name in the last second.
        self.set_all_aside(changing)?;
        let zone = match &request.zone {
            Some(zone) => self.deployed_zone(zone)?,
            None => match self.zone_of(name)? {
                Some(zone) => self.deployed_zone(zone.as_str())?,
                None => ZoneName::default(),
            },
        };
        let asked = request.mode;
        self.require_same_mode(name, asked)?;
        self.require_way_back(name, &zone)?;
        let guarded = self.guarded(Some(caller), request.force)?;
        let wanted = ipblock_store::Interface {
            name: name.clone(),
            mode: asked,
            zone: zone.clone(),
        };
        // Judged while no ban can be made: the next one knows the interface.
        let mut state = self.write();
        let bans = self.bans();
        let warnings = guarded.judge_attach(name, &zone, &state, &bans)?;
        reach(Step::Judged);
        let before = self.remembered(name)?;
        // Remembered first: if the daemon dies in between, the next start attaches it.
        self.store.add_interface(&wanted)?;
        let put_on = self.put_on(changing, &mut state, &wanted, Asked::Once);
        drop((state, bans));
        if let Err(obstacle) = put_on {
            // Restored: a failed attachment must not be retried without the operator's knowledge.
            let restored = match before {
                Some(before) => self.store.add_interface(&before),
                None => self.store.remove_interface(name).map(drop),
            };
            if let Err(error) = restored {
                warn!(interface = %name, %error, "it stays remembered");
            }
            return Err(match obstacle {
                Obstacle::Absent | Obstacle::Resting => self.absent(name).into(),
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
            zone: zone.to_string(),
            warnings,
        })
    }

    /// Returns why there is no interface with this name.
    fn absent(&self, name: &str) -> DatapathError {
        let interface = name.to_owned();
        let present = match Interface::list() {
            Ok(present) => present,
            Err(error) => return error,
        };
        match moved::now_called(&self.read(), name, &present) {
            Some(now) => DatapathError::Renamed {
                interface,
                now: now.to_owned(),
            },
            None => DatapathError::NoInterface { interface },
        }
    }

    /// Detaches an interface and forgets it, and devices that were attached with its name; with
    /// `moved` only these devices. After a failure in the middle, repeat the call.
    pub fn detach(&self, name: &str, moved: bool, author: &Author) -> Result<(), ApiError> {
        let changing = &self.begin_change();
        // Checked now: a device may have moved in the last second.
        self.set_all_aside(changing)?;
        let devices = self.detach_moved(changing, name)?;
        if devices > 0 {
            info!(author = %author.name, uid = author.uid, interface = %name, devices,
                "detached from devices that moved");
            let detail = format!("{name}, {devices} that moved");
            self.audit(author, "detach", &detail);
        }
        if moved {
            return match devices {
                0 => {
                    let message = format!("no device that was attached as `{name}` moved");
                    Err(ApiError::new(ErrorKind::NotFound, message)
                        .with_hint("`ipblock-ctl status` lists those that moved as problems"))
                }
                _ => Ok(()),
            };
        }
        let link = PinnedLink::open(&self.pins, name)?;
        let is_known = link.is_some()
            || self.remembered(name)?.is_some()
            || self.read().interfaces.records.contains_key(name);
        if !is_known && devices > 0 {
            return Ok(());
        }
        if !is_known {
            let message = format!("interface `{name}` is not attached");
            return Err(ApiError::new(ErrorKind::NotFound, message)
                .with_hint("`ipblock-ctl status` lists the interfaces"));
        }
        match link {
            Some(link) => link.detach()?,
            // Its pin is not visible: another mount hides it, or bpffs is not mounted.
            None => self.take_off(name)?,
        }
        self.store.remove_interface(name)?;
        self.write().interfaces.records.remove(name);
        info!(author = %author.name, uid = author.uid, interface = %name, "detached");
        self.audit(author, "detach", name);
        Ok(())
    }

    /// Detaches the filter from an interface, with the open link.
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

    /// Detaches the filter from interfaces of a removed zone. They stay remembered, and are
    /// attached when their zone is deployed again.
    pub(super) fn take_off_without_zone(
        &self,
        _: &Changing<'_>,
        before: &Ruleset,
        after: &Ruleset,
    ) -> Result<(), DatapathError> {
        let mut state = self.write();
        for (name, record) in &mut state.interfaces.records {
            let is_on = matches!(record.attached, AttachedState::Attached { .. });
            let goes = before.zone(&record.zone).is_some() && after.zone(&record.zone).is_none();
            if !is_on || !goes {
                continue;
            }
            if let Some(link) = PinnedLink::open(&self.pins, name)? {
                link.detach()?;
            }
            warn!(interface = %name, zone = %record.zone, "detached: its zone goes");
            record.attached = AttachedState::Failed(without_zone(&record.zone));
        }
        let goes = |zone: &ZoneName| before.zone(zone).is_some() && after.zone(zone).is_none();
        let moved = moved::take_off(&mut state, |moved| goes(&moved.zone))?;
        if moved > 0 {
            warn!(
                devices = moved,
                "detached from devices that moved: their zone goes"
            );
        }
        Ok(())
    }

    /// Refuses to move an interface from its zone into one that is on trial: after a rollback no
    /// zone would filter it.
    fn require_way_back(&self, name: &str, zone: &ZoneName) -> Result<(), ApiError> {
        let is_moved = self.zone_of(name)?.is_some_and(|before| before != *zone);
        let trial = self
            .read()
            .rulesets
            .confirmation()
            .cloned()
            .filter(|_| is_moved);
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

    fn remembered(&self, name: &str) -> Result<Option<ipblock_store::Interface>, ApiError> {
        let mut interfaces = self.store.interfaces()?.into_iter();
        Ok(interfaces.find(|interface| interface.name == name))
    }

    /// Returns the zone of an interface: that of its device's filter, or the remembered one.
    fn zone_of(&self, name: &str) -> Result<Option<ZoneName>, ApiError> {
        if let Some(zone) = self.zone_of_moved(name)? {
            return Ok(Some(zone));
        }
        Ok(self.remembered(name)?.map(|interface| interface.zone))
    }

    fn deployed_zone(&self, name: &str) -> Result<ZoneName, ApiError> {
        let state = self.read();
        let zone = name
            .parse()
            .ok()
            .filter(|zone| state.generations.zones().contains_key(zone));
        zone.ok_or_else(|| state.no_such_zone(name))
    }

    /// A link keeps its mode: a change would leave a gap.
    fn require_same_mode(&self, name: &str, asked: AskedMode) -> Result<(), ApiError> {
        let state = self.read();
        let Some(AttachedState::Attached { mode, .. }) = state
            .interfaces
            .records
            .get(name)
            .map(|record| &record.attached)
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
}

impl State {
    fn no_such_zone(&self, name: &str) -> ApiError {
        let known: Vec<_> = self
            .generations
            .zones()
            .keys()
            .map(ZoneName::as_str)
            .collect();
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

/// Explains that an adopted link has another mode than the requested one.
fn unlike(asked: AskedMode, mode: Mode) -> Option<String> {
    let other = asked.is_some_and(|required| required != mode);
    other.then(|| format!("it was attached in {mode} mode and keeps that until detached"))
}
