//! Edits of the allow lists.

use super::{elements, error::EditError, zones};
use crate::{
    name::ZoneName,
    ruleset::{Element, Ruleset, Zone},
    safety,
    shared_vec::SharedVec,
};

pub(super) fn add(
    ruleset: &mut Ruleset,
    zone: Option<&str>,
    addresses: &[String],
    note: &str,
) -> Result<Vec<String>, EditError> {
    let (zone, place) = target(ruleset, zone, addresses)?;
    let added = elements::parse(ruleset, addresses)?;
    let mut list = list(ruleset, zone.as_ref());
    let said = elements::add(&mut list, added, note, &place);
    put(ruleset, zone, list);
    Ok(vec![said])
}

pub(super) fn remove(
    ruleset: &mut Ruleset,
    zone: Option<&str>,
    addresses: &[String],
    force: bool,
) -> Result<Vec<String>, EditError> {
    let (zone, place) = target(ruleset, zone, addresses)?;
    let removed = elements::parse(ruleset, addresses)?;
    let shut = |ruleset: &Ruleset| -> Vec<ZoneName> {
        let mut zones = ruleset.zone_names();
        zones.retain(|name| safety::is_shut(ruleset, name));
        zones
    };
    let shut_before = shut(ruleset);
    let before = list(ruleset, zone.as_ref());
    let mut after = before.clone();
    let said = elements::remove(&mut after, &removed, &place)?;
    put(ruleset, zone.clone(), after);
    let newly_shut = shut(ruleset)
        .into_iter()
        .find(|name| !shut_before.contains(name));
    if let (Some(shut), false) = (newly_shut, force) {
        put(ruleset, zone, before);
        return Err(EditError::ShutZone { zone: shut });
    }
    Ok(vec![format!("{said} from {place}")])
}

/// Returns the zone and the name of its list in messages.
fn target(
    ruleset: &Ruleset,
    zone: Option<&str>,
    addresses: &[String],
) -> Result<(Option<ZoneName>, String), EditError> {
    let zone = zone
        .map(|zone| elements::zone_name(ruleset, zone))
        .transpose()?;
    let place = match &zone {
        Some(zone) => format!("the allow list of zone {zone}"),
        None => "the allow list".to_owned(),
    };
    if addresses.is_empty() {
        return Err(EditError::NothingGiven(place));
    }
    Ok((zone, place))
}

fn list(ruleset: &Ruleset, zone: Option<&ZoneName>) -> SharedVec<Element> {
    match zone {
        Some(zone) => ruleset.zone(zone).unwrap_or_default().allow,
        None => ruleset.allow.clone(),
    }
}

fn put(ruleset: &mut Ruleset, zone: Option<ZoneName>, list: SharedVec<Element>) {
    match zone {
        Some(name) => {
            let zone = ruleset.zone(&name).unwrap_or_default();
            zones::store(
                ruleset,
                name,
                Zone {
                    allow: list,
                    ..zone
                },
            );
        }
        None => ruleset.allow = list,
    }
}
