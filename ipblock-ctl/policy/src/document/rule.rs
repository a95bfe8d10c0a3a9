//! One `[[rule]]` table.

use jiff::Timestamp;
use toml::de::{DeTable, DeValue};

use super::{
    elements::{KnownNames, check_keys, checked_name, elements, switch, text, wrong_type},
    problem::Problems,
};
use crate::{
    action::Action,
    address::excerpt,
    name::{RuleName, ZoneName},
    ruleset::{Rule, RuleId},
    suggest::did_you_mean,
};

/// The keys of a rule, in printed order.
const KEYS: [&str; 9] = [
    "name", "action", "match", "except", "expires", "note", "enabled", "alert", "zones",
];

/// Positions of a rule and its parts, as byte offsets.
pub(super) struct RulePlace {
    pub(super) name: usize,
    pub(super) matches: usize,
}

/// Reads a rule whose table begins at the byte offset `start`. Returns `None` if it reported a
/// problem.
pub(super) fn rule(
    table: &DeTable<'_>,
    start: usize,
    known: &KnownNames<'_>,
    problems: &mut Problems,
) -> Option<(Rule, RulePlace)> {
    check_keys(table, &KEYS, "a rule", problems);
    let name = name(table, start, problems);
    let action = action(table, start, problems);
    let matches = elements(table, "match", known, problems);
    let except = elements(table, "except", known, problems);
    let expires = expires(table, problems);
    let note = text(table, "note", problems).map_or("", |(note, _)| note);
    let enabled = switch(table, "enabled", problems).unwrap_or(true);
    let alert = switch(table, "alert", problems).unwrap_or(false);
    let zones = zones(table, known, problems);
    let match_at = table.get("match").map_or(start, |value| value.span().start);
    if is_empty(table, "match") {
        let what = name
            .as_ref()
            .map_or_else(String::new, |(n, _)| format!(" `{n}`"));
        let message = format!("rule{what} matches nothing: `match` is empty or missing");
        let hint = "write match = [\"192.0.2.0/24\"], or remove the rule".to_owned();
        problems.add(match_at, message, Some(hint));
    }
    let (name, name_at) = name?;
    let place = RulePlace {
        name: name_at,
        matches: match_at,
    };
    let rule = Rule {
        id: RuleId::default(),
        name,
        action: action?,
        matches,
        except,
        expires,
        note: note.to_owned(),
        enabled,
        alert,
        zones,
    };
    Some((rule, place))
}

/// Whether there is no value, or an empty array. Other values are reported elsewhere.
fn is_empty(table: &DeTable<'_>, key: &str) -> bool {
    table.get(key).is_none_or(|value| {
        value
            .get_ref()
            .as_array()
            .is_some_and(|array| array.is_empty())
    })
}

fn name(table: &DeTable<'_>, start: usize, problems: &mut Problems) -> Option<(RuleName, usize)> {
    if !table.contains_key("name") {
        let hint = "write name = \"abuse\"".to_owned();
        problems.add(start, "a rule without `name`".to_owned(), Some(hint));
    }
    let (text, at) = text(table, "name", problems)?;
    checked_name(text, at, problems).map(|name| (name, at))
}

fn action(table: &DeTable<'_>, start: usize, problems: &mut Problems) -> Option<Action> {
    let hint = || {
        let words = Action::ALL.map(|action| format!("action = \"{action}\""));
        format!("write {}", words.join(" or "))
    };
    if !table.contains_key("action") {
        problems.add(start, "a rule without `action`".to_owned(), Some(hint()));
        return None;
    }
    let (text, at) = text(table, "action", problems)?;
    if let Ok(action) = text.parse() {
        return Some(action);
    }
    let message = if Action::UNSUPPORTED.contains(&text) {
        format!("action `{text}` is not supported by this version")
    } else {
        format!("unknown action `{}`", excerpt(text))
    };
    problems.add(at, message, Some(hint()));
    None
}

/// A string or a TOML date-time, with an offset.
fn expires(table: &DeTable<'_>, problems: &mut Problems) -> Option<Timestamp> {
    let hint = "write a date and time with its offset: \"2030-12-31T23:59:00Z\" \
                or \"2030-12-31T23:59:00+01:00\"";
    let value = table.get("expires")?;
    let written = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => {
            wrong_type("expires", "a date and time", value, hint, problems);
            return None;
        }
    };
    let parsed = written.parse().ok();
    if parsed.is_none() {
        let message = format!("`expires`: `{}` is not a point in time", excerpt(&written));
        problems.add(value.span().start, message, Some(hint.to_owned()));
    }
    parsed
}

fn zones(table: &DeTable<'_>, known: &KnownNames<'_>, problems: &mut Problems) -> Vec<ZoneName> {
    let form = "write zones = [\"default\"]; without it the rule holds in every zone";
    let Some(value) = table.get("zones") else {
        return Vec::new();
    };
    let Some(array) = value.get_ref().as_array() else {
        wrong_type("zones", "an array of zone names", value, form, problems);
        return Vec::new();
    };
    let mut zones: Vec<ZoneName> = Vec::new();
    for value in array {
        let at = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            let wanted = "an array of zone names, an element";
            wrong_type("zones", wanted, value, form, problems);
            continue;
        };
        let Some(zone) = checked_name::<ZoneName>(text, at, problems) else {
            continue;
        };
        if !known.zones.contains(zone.as_str()) {
            let hint = did_you_mean(text, known.zones.iter().copied())
                .unwrap_or_else(|| format!("add it: [zone.{}]", super::print::key(text)));
            problems.add(at, format!("unknown zone `{zone}`"), Some(hint));
        } else if zones.contains(&zone) {
            let hint = "name each zone once".to_owned();
            problems.add(at, format!("zone `{zone}` is named twice"), Some(hint));
        } else {
            zones.push(zone);
        }
    }
    zones
}
