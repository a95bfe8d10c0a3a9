//! Edits of zone settings.

use super::{elements, error::EditError};
use crate::{
    name::ZoneName,
    ruleset::{DefaultVerdict, MalformedPolicy, Ruleset, Zone},
    safety,
};

pub(super) fn set(
    ruleset: &mut Ruleset,
    name: &str,
    default: Option<DefaultVerdict>,
    malformed: Option<MalformedPolicy>,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let name: ZoneName = elements::name(name)?;
    let before = ruleset.zone(&name);
    if before.is_some() && default.is_none() && malformed.is_none() {
        return Err(EditError::NothingGiven(format!("zone `{name}`")));
    }
    let old = before.clone().unwrap_or_default();
    let new = Zone {
        default: default.unwrap_or(old.default),
        malformed: malformed.unwrap_or(old.malformed),
        allow: old.allow.clone(),
    };
    let mut said = Vec::new();
    if before.is_none() {
        said.push("created".to_owned());
    }
    if before.is_none() || new.default != old.default {
        said.push(format!("default {}", new.default));
    }
    if new.malformed != old.malformed {
        said.push(format!("malformed {}", new.malformed));
    }
    if said.is_empty() {
        said.push("set so already".to_owned());
    }
    let newly_drops = new.default == DefaultVerdict::Drop && old.default == DefaultVerdict::Pass;
    let said = vec![format!("zone {name}: {}", said.join(", "))];
    store(ruleset, name.clone(), new);
    if newly_drops && !force && safety::is_shut(ruleset, &name) {
        match before {
            Some(before) => store(ruleset, name.clone(), before),
            None => drop(ruleset.zones.remove(&name)),
        }
        return Err(EditError::ShutZone { zone: name });
    }
    Ok(said)
}

pub(super) fn remove(ruleset: &mut Ruleset, name: &str) -> Result<Vec<String>, EditError> {
    let name = elements::zone_name(ruleset, name)?;
    if name == ZoneName::default() {
        return Err(EditError::DefaultZone);
    }
    let rules: Vec<_> = ruleset
        .rules
        .iter()
        .filter(|rule| rule.zones.contains(&name))
        .map(|rule| rule.name.clone())
        .collect();
    if !rules.is_empty() {
        return Err(EditError::ZoneInUse { zone: name, rules });
    }
    ruleset.zones.remove(&name);
    Ok(vec![format!("zone {name}: removed")])
}

/// Inserts a zone into the ruleset. Omits the zone `default` with default settings, so that undoing
/// a change restores the previous ruleset exactly.
pub(super) fn store(ruleset: &mut Ruleset, name: ZoneName, zone: Zone) {
    if name == ZoneName::default() && zone == Zone::default() {
        ruleset.zones.remove(&name);
    } else {
        ruleset.zones.insert(name, zone);
    }
}
