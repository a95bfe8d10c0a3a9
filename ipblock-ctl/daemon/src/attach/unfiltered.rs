//! The first step of a start: interfaces without their filter get the pinned program. Reading bans
//! and compiling rulesets comes later, which takes seconds for a million of them. A daemon that was
//! killed during an attachment below a filtered device leaves such interfaces; so does a device
//! that was recreated while no daemon ran.

use ipblock_api::error::ApiError;
use ipblock_datapath::{
    self, DatapathError, Generation, Interface, PinDirectory, PinnedLink, hold, link,
};
use ipblock_fault::{Step, reach};
use ipblock_store::Store;
use tracing::{info, warn};

use super::reconcile::from_below;

/// Attaches the zone's pinned generation to remembered interfaces without a program, lowest first,
/// and releases holds that are not needed any more. A failed attachment is tried again later in the
/// start.
pub(crate) fn cover(pins: &PinDirectory, store: &Store) -> Result<(), ApiError> {
    let present = Interface::list()?;
    let mut remembered = store.interfaces()?;
    from_below(&mut remembered, &present, |interface| &interface.name);
    for interface in &remembered {
        let here = present.iter().find(|here| here.name == interface.name);
        let Some(here) = here.filter(|here| here.xdp.is_none()) else {
            continue;
        };
        match attach_pinned(pins, store, interface, here) {
            Ok(true) => info!(interface = %interface.name, zone = %interface.zone,
                "ran no program, runs the pinned one again"),
            Ok(false) => {}
            Err(error) => warn!(interface = %interface.name, %error, "not attached yet"),
        }
    }
    reach(Step::StartCovered);
    let is_filtered = |name: &str| {
        let here = Interface::by_name(name)?;
        Ok(here.is_some_and(|here| here.xdp.is_some()))
    };
    Ok(let_go(pins, is_filtered)?)
}

/// Releases the holds of a killed daemon on remembered interfaces.
pub(crate) fn let_go(
    pins: &PinDirectory,
    is_meant: impl Fn(&str) -> Result<bool, DatapathError>,
) -> Result<(), DatapathError> {
    let mut held = Vec::new();
    for name in pins.held_interfaces()? {
        if is_meant(&name)? {
            held.push(name);
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    // The hold has dropped the packets that met no program.
    ipblock_datapath::settle();
    for name in held {
        hold::let_go(pins, &name)?;
        info!(interface = %name, "an attach below it was interrupted: what comes in by it is judged again");
    }
    Ok(())
}

/// Attaches an interface without a program. Returns false if nothing is pinned for it.
fn attach_pinned(
    pins: &PinDirectory,
    store: &Store,
    wanted: &ipblock_store::Interface,
    here: &Interface,
) -> Result<bool, ApiError> {
    match PinnedLink::open(pins, &wanted.name)? {
        // Its device was removed, and another one has its name.
        Some(link) if link.index.is_none() => link.detach()?,
        Some(_) => return Ok(false),
        None => {}
    }
    let Some(live) = store.live_generation(&wanted.zone)? else {
        return Ok(false);
    };
    let Some(generation) = Generation::open_pinned(pins, live.number)? else {
        return Ok(false);
    };
    link::attach(pins, here, wanted.mode, &generation)?;
    Ok(true)
}
