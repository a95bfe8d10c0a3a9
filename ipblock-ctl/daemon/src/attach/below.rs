//! Attaches below a device that is already filtered.
//!
//! The kernel accepts no program on a device while the device directly above has one. So the upper
//! devices are detached, the lower one is attached, and the upper ones are reattached. Meanwhile
//! nothing filters the packets of the upper device's other ports. So it is held: none of these
//! packets reaches the stack unjudged, even if this process is killed (`unfiltered` restores the
//! filter at the next start). Before Linux 6.6 a hold is not possible, which is logged.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use ipblock_datapath::{
    self, Attachment, DatapathError, Generation, Hold, InTheWay, Interface, link,
    stack::{above, heights},
};
use ipblock_fault::{Step, reach};
use ipblock_policy::Mode;
use tracing::{error, info, warn};

use super::{
    super::{
        changing::Changing,
        state::{Service, State},
    },
    interfaces::AttachedState,
    obstacle::{Asked, Obstacle},
    retry_pause::RetryPause,
};

/// An attachment below other devices.
pub(super) struct Lift<'a> {
    pub(super) interface: &'a Interface,
    pub(super) mode: Option<Mode>,
    pub(super) generation: &'a Generation,
    pub(super) asked: Asked,
}

/// Whether the kernel refused because of a device above.
pub(super) fn is_refused(error: &DatapathError) -> bool {
    matches!(error, DatapathError::Attach { source, .. }
        if source.raw_os_error() == Some(libc::EEXIST))
}

/// Whether this is a bond that attaches a native program to its ports itself (drivers/net/bonding,
/// `bond_xdp_set`).
pub(super) fn is_native_bond(interface: &Interface) -> bool {
    interface.kind.as_deref() == Some("bond")
        && interface.xdp.is_some_and(|xdp| xdp.mode == Mode::Native)
}

impl Service {
    /// Attaches an interface below filtered ones. They are filtered again when this returns, even
    /// after an error.
    pub(super) fn attach_below(
        &self,
        _: &Changing<'_>,
        state: &mut State,
        lift: &Lift<'_>,
        refused: DatapathError,
    ) -> Result<Attachment, Obstacle> {
        let name = &lift.interface.name;
        if lift.asked == Asked::EachSecond
            && state
                .interfaces
                .rests
                .get(name)
                .is_some_and(|rest| rest.holds_for(lift.interface))
        {
            return Err(Obstacle::Resting);
        }
        let uppers = filtered_above(state, lift.interface)?;
        if uppers.is_empty() {
            let interface = name.clone();
            return Err(match Interface::by_name(name)? {
                Some(now) if now.xdp.is_none() => DatapathError::BelowElsewhere { interface },
                _ => refused,
            }
            .into());
        }
        let started = Instant::now();
        let mut holds = Vec::new();
        for upper in &uppers {
            holds.extend(Hold::on(&self.pins, upper)?);
        }
        let is_held = holds.len() == uppers.len();
        // Packets from before the hold have been processed.
        ipblock_datapath::settle();
        reach(Step::UpperHeld);
        let outcome = take_off(state, &uppers).and_then(|()| {
            reach(Step::UpperOff);
            link::attach(&self.pins, lift.interface, lift.mode, lift.generation)
        });
        reach(Step::LowerAttached);
        self.put_back(state, &uppers);
        reach(Step::UpperBack);
        // The hold has dropped the packets that met no program.
        ipblock_datapath::settle();
        drop(holds);
        let names: Vec<&str> = uppers.iter().map(|upper| upper.name.as_str()).collect();
        let (names, took_ms) = (names.join(", "), started.elapsed().as_millis());
        if is_held {
            info!(interface = %name, above = %names, took_ms,
                "attached below filtered devices: what came in by them meanwhile was dropped");
        } else {
            warn!(interface = %name, above = %names, took_ms,
                "attached below filtered devices: this kernel cannot hold them, and what came in by \
                 them meanwhile was not judged");
        }
        if outcome.is_ok() {
            state.interfaces.rests.remove(name);
        } else {
            let rest = RetryPause::of(lift.interface, started);
            state.interfaces.rests.insert(name.clone(), rest);
        }
        Ok(outcome?)
    }

    /// Reattaches the filter to devices, lowest first.
    fn put_back(&self, state: &mut State, uppers: &[Interface]) {
        for upper in uppers {
            let Some(record) = state.interfaces.records.get_mut(&upper.name) else {
                continue;
            };
            let AttachedState::Failed(_) = record.attached else {
                continue;
            };
            let Some(live) = state.generations.of_zone(&record.zone) else {
                continue;
            };
            let mut bare = upper.clone();
            bare.xdp = None;
            let mode = upper.xdp.map(|xdp| xdp.mode);
            record.attached = match link::attach(&self.pins, &bare, mode, &live.generation) {
                Ok(new) => AttachedState::Attached {
                    link: new.link,
                    mode: new.mode,
                    fallback: new.fallback,
                },
                Err(error) => {
                    error!(interface = %upper.name, %error, "could not be attached again");
                    AttachedState::Failed(error.to_string())
                }
            };
        }
    }
}

/// Returns the filtered devices that must be detached before a program can be attached to
/// `interface`, lowest first: those directly above it, and those directly above these, which
/// prevent their reattachment.
///
/// Fails if one of them cannot be detached.
fn filtered_above(state: &State, interface: &Interface) -> Result<Vec<Interface>, DatapathError> {
    let present = Interface::list()?;
    let layers: Vec<_> = present.iter().map(Interface::layer).collect();
    let mut found: Vec<Interface> = Vec::new();
    let mut seen = BTreeSet::from([interface.index]);
    let mut to_look_at = VecDeque::from([interface.index]);
    while let Some(index) = to_look_at.pop_front() {
        for upper in above(index, &layers) {
            let upper = present.iter().find(|other| other.index == upper);
            let Some(upper) = upper.filter(|upper| upper.xdp.is_some()) else {
                continue;
            };
            if !seen.insert(upper.index) {
                continue;
            }
            movable(state, interface, upper)?;
            to_look_at.push_back(upper.index);
            found.push(upper.clone());
        }
    }
    let heights = heights(&layers);
    found.sort_by_key(|upper| heights.get(&upper.index).copied());
    Ok(found)
}

/// Refuses to detach a foreign program, or one that could be reattached only without the lower one.
fn movable(state: &State, interface: &Interface, upper: &Interface) -> Result<(), DatapathError> {
    let Some(xdp) = upper.xdp else { return Ok(()) };
    let record = state.interfaces.records.get(&upper.name);
    let is_its_own = record.is_some_and(|record| {
        matches!(&record.attached, AttachedState::Attached { link, .. } if link.is_on(upper))
    });
    let why = if is_its_own && is_native_bond(upper) {
        InTheWay::NativeBond
    } else if is_its_own {
        return Ok(());
    } else if state
        .interfaces
        .moved
        .iter()
        .any(|moved| moved.link.is_on(upper))
    {
        InTheWay::Renamed
    } else {
        InTheWay::Foreign(xdp.mode)
    };
    Err(DatapathError::Below {
        interface: interface.name.clone(),
        upper: upper.name.clone(),
        program: xdp.program,
        why,
    })
}

/// Detaches the filter from devices, highest first.
fn take_off(state: &mut State, uppers: &[Interface]) -> Result<(), DatapathError> {
    for upper in uppers.iter().rev() {
        let Some(record) = state.interfaces.records.get_mut(&upper.name) else {
            continue;
        };
        let off = AttachedState::Failed("a device below it is being attached".to_owned());
        if let AttachedState::Attached { link, .. } = std::mem::replace(&mut record.attached, off) {
            link.detach()?;
        }
    }
    Ok(())
}
