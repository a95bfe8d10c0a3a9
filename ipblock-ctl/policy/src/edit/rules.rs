//! Edits of existing rules.

use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashSet;

use super::{
    EditRule, Expiry, elements,
    error::{EditError, Kind},
};
use crate::{
    document,
    name::RuleName,
    ruleset::{Rule, Ruleset},
    safety,
};

pub(super) fn edit(
    ruleset: &mut Ruleset,
    change: &EditRule,
    now: Timestamp,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let index = elements::rule_index(ruleset, &change.name)?;
    let Some(old) = ruleset.rules.get(index) else {
        return Ok(Vec::new());
    };
    let said_of = format!("rule {}", old.name);
    let mut new = old.clone();
    let mut said = Vec::new();
    change_lists(ruleset, &mut new, change, &mut said)?;
    change_fields(ruleset, &mut new, change, now, &mut said)?;
    if said.is_empty() {
        return Err(EditError::NothingGiven(said_of));
    }
    check(ruleset, &new, Some(old), force)?;
    put(ruleset, index, new);
    Ok(said
        .into_iter()
        .map(|what| format!("{said_of}: {what}"))
        .collect())
}

/// Removes first, so that an edit can replace an element with another form of it.
fn change_lists(
    ruleset: &Ruleset,
    rule: &mut Rule,
    change: &EditRule,
    said: &mut Vec<String>,
) -> Result<(), EditError> {
    let name = rule.name.clone();
    let lists = [
        (
            "match",
            &mut rule.matches,
            &change.remove_match,
            &change.add_match,
        ),
        (
            "except",
            &mut rule.except,
            &change.remove_except,
            &change.add_except,
        ),
    ];
    for (key, list, removed, added) in lists {
        if !removed.is_empty() {
            let removed = elements::parse(ruleset, removed)?;
            let place = format!("`{key}` of rule `{name}`");
            let gone = elements::remove(list, &removed, &place)?;
            said.push(format!("{gone} from {key}"));
        }
        if !added.is_empty() {
            let added = elements::parse(ruleset, added)?;
            said.push(elements::add(list, added, "", key));
        }
    }
    Ok(())
}

fn change_fields(
    ruleset: &Ruleset,
    rule: &mut Rule,
    change: &EditRule,
    now: Timestamp,
    said: &mut Vec<String>,
) -> Result<(), EditError> {
    if let Some(name) = &change.rename {
        rule.name = elements::name(name)?;
        said.push(format!("renamed to {}", rule.name));
    }
    if let Some(action) = change.action {
        rule.action = action;
        said.push(format!("action {action}"));
    }
    if let Some(note) = &change.note {
        rule.note.clone_from(note);
        said.push("changed the note".to_owned());
    }
    if let Some(expires) = change.expires {
        rule.expires = end_of(expires, now)?;
        said.push(match rule.expires {
            Some(end) => format!("ends at {end:.0}"),
            None => "never ends".to_owned(),
        });
    }
    if let Some(enabled) = change.enabled {
        rule.enabled = enabled;
        said.push(if enabled { "enabled" } else { "disabled" }.to_owned());
    }
    if let Some(alert) = change.alert {
        rule.alert = alert;
        said.push(
            if alert {
                "alerts hits"
            } else {
                "alerts no hits"
            }
            .to_owned(),
        );
    }
    if let Some(zones) = &change.zones {
        rule.zones = elements::zone_names(ruleset, zones)?;
        let names: Vec<_> = rule.zones.iter().map(ToString::to_string).collect();
        said.push(match names.as_slice() {
            [] => "holds in every zone".to_owned(),
            names => format!("holds in {}", names.join(", ")),
        });
    }
    Ok(())
}

pub(super) fn replace(
    ruleset: &mut Ruleset,
    name: &str,
    toml: &str,
    now: Timestamp,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let index = elements::rule_index(ruleset, name)?;
    let Some(old) = ruleset.rules.get(index) else {
        return Ok(Vec::new());
    };
    // `check` also refuses what a document refuses for safety, but only if it is new.
    let mut new = document::parse_rule(toml, &format!("rule {name}"), ruleset, true)?;
    new.id = old.id;
    if let Some(end) = new.expires
        && new.expires != old.expires
        && end <= now
    {
        return Err(EditError::Past { end, now });
    }
    check(ruleset, &new, Some(old), force)?;
    let changed = changed_keys(old, &new);
    let said = match changed.as_slice() {
        [] => format!("rule {name}: unchanged"),
        keys => format!("rule {name}: changed {}", keys.join(", ")),
    };
    put(ruleset, index, new);
    Ok(vec![said])
}

fn changed_keys(old: &Rule, new: &Rule) -> Vec<&'static str> {
    [
        ("name", old.name != new.name),
        ("action", old.action != new.action),
        ("match", old.matches != new.matches),
        ("except", old.except != new.except),
        ("expires", old.expires != new.expires),
        ("note", old.note != new.note),
        ("enabled", old.enabled != new.enabled),
        ("alert", old.alert != new.alert),
        ("zones", old.zones != new.zones),
    ]
    .into_iter()
    .filter_map(|(key, changed)| changed.then_some(key))
    .collect()
}

pub(super) fn remove(ruleset: &mut Ruleset, names: &[String]) -> Result<Vec<String>, EditError> {
    if names.is_empty() {
        return Err(EditError::NothingGiven("rules to remove".to_owned()));
    }
    let mut removed: FxHashSet<RuleName> = FxHashSet::default();
    for text in names {
        let index = elements::rule_index(ruleset, text)?;
        let rule = ruleset.rules.get(index);
        if rule.is_some_and(|rule| !removed.insert(rule.name.clone())) {
            return Err(EditError::Repeated {
                kind: Kind::Rule,
                name: text.clone(),
            });
        }
    }
    ruleset.rules.retain(|rule| !removed.contains(&rule.name));
    Ok(names
        .iter()
        .map(|name| format!("rule {name}: removed"))
        .collect())
}

/// Returns when a rule ends. Rejects an end that is not in the future.
pub(super) fn end_of(expires: Expiry, now: Timestamp) -> Result<Option<Timestamp>, EditError> {
    let end = match expires {
        Expiry::Never => return Ok(None),
        Expiry::At(end) => end,
        Expiry::After(seconds) => i64::try_from(seconds)
            .ok()
            .and_then(|signed| now.checked_add(SignedDuration::from_secs(signed)).ok())
            .ok_or(EditError::TooFar { seconds })?,
    };
    if end <= now {
        return Err(EditError::Past { end, now });
    }
    Ok(Some(end))
}

/// Rejects a rule that must not be in the ruleset, in place of `old` if that is given. A danger is
/// refused only if it is new, so a forced rule can be edited later.
pub(super) fn check(
    ruleset: &Ruleset,
    new: &Rule,
    old: Option<&Rule>,
    force: bool,
) -> Result<(), EditError> {
    if old.is_none_or(|old| old.name != new.name) && ruleset.rule(&new.name).is_some() {
        return Err(EditError::Exists {
            name: new.name.clone(),
            free: elements::free_name(ruleset, new.name.as_str()),
        });
    }
    if new.matches.is_empty() {
        let rule = new.name.clone();
        return Err(EditError::EmptyMatch { rule });
    }
    if force {
        return Ok(());
    }
    let Some(family) = safety::wide_block(ruleset, new) else {
        return Ok(());
    };
    let was_wide =
        |old: &Rule| old.enabled >= new.enabled && safety::wide_block(ruleset, old) == Some(family);
    if old.is_some_and(was_wide) {
        return Ok(());
    }
    let rule = new.name.clone();
    Err(EditError::WideBlock { rule, family })
}

fn put(ruleset: &mut Ruleset, index: usize, rule: Rule) {
    if let Some(place) = ruleset.rules.get_mut(index) {
        *place = rule;
    }
}
