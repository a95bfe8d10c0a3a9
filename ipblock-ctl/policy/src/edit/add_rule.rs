//! Adds a rule, and handles the case that its action has a rule already.

use jiff::Timestamp;

use super::{
    AddRule, Expiry, elements,
    error::EditError,
    rules::{self, end_of},
};
use crate::{
    action::Action,
    name::{RuleName, ZoneName},
    ruleset::{Element, Rule, RuleId, Ruleset},
};

pub(super) fn add(
    ruleset: &mut Ruleset,
    new: &AddRule,
    now: Timestamp,
    force: bool,
) -> Result<Vec<String>, EditError> {
    let given = new
        .name
        .as_deref()
        .map(elements::name::<RuleName>)
        .transpose()?;
    let zones = elements::zone_names(ruleset, &new.zones)?;
    let (mut matches, mut except): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    elements::add(
        &mut matches,
        elements::parse(ruleset, &new.matches)?,
        "",
        "match",
    );
    elements::add(
        &mut except,
        elements::parse(ruleset, &new.except)?,
        "",
        "except",
    );
    let name = match given {
        Some(name) => name,
        None => nameless(ruleset, new, &zones)?,
    };
    if ruleset.rule(&name).is_some() {
        let free = elements::free_name(ruleset, name.as_str());
        return Err(EditError::Exists { name, free });
    }
    let rule = Rule {
        id: RuleId::default(),
        name,
        action: new.action,
        matches: matches.into(),
        except: except.into(),
        expires: end_of(new.expires, now)?,
        note: new.note.clone(),
        enabled: !new.disabled,
        alert: new.alert,
        zones,
    };
    rules::check(ruleset, &rule, None, force)?;
    let said = summary(&rule);
    ruleset.rules.push(rule);
    Ok(vec![said])
}

fn summary(rule: &Rule) -> String {
    let action = rule.action;
    let mut parts = vec![format!(
        "added, {action} {}",
        elements::count(&rule.matches)
    )];
    if !rule.except.is_empty() {
        parts.push(format!("except {}", elements::count(&rule.except)));
    }
    parts.extend(rule.expires.map(|end| format!("until {end:.0}")));
    if !rule.enabled {
        parts.push("disabled".to_owned());
    }
    format!("rule {}: {}", rule.name, parts.join(", "))
}

/// Returns the name for a rule without one: its action's word, unless that action has a rule in a
/// zone of the new one.
fn nameless(ruleset: &Ruleset, new: &AddRule, zones: &[ZoneName]) -> Result<RuleName, EditError> {
    let shares_zone = |rule: &Rule| {
        zones.is_empty() || rule.zones.is_empty() || zones.iter().any(|zone| rule.holds_in(zone))
    };
    let same = |rule: &&Rule| rule.action == new.action && shares_zone(rule);
    let existing: Vec<RuleName> = ruleset
        .rules
        .iter()
        .filter(same)
        .map(|r| r.name.clone())
        .collect();
    match existing.first() {
        None => elements::name(new.action.as_str()),
        Some(first) => Err(EditError::SameAction {
            action: new.action,
            commands: commands(ruleset, new, first),
            existing,
        }),
    }
}

/// Returns the three alternatives as complete commands.
fn commands(ruleset: &Ruleset, new: &AddRule, first: &RuleName) -> [String; 3] {
    let other = new.action.alternative();
    let mut extend = vec![format!("ipblock-ctl rule edit {first}")];
    extend.extend(arguments("--add-match", &new.matches));
    extend.extend(arguments("--add-except", &new.except));
    [
        extend.join(" "),
        add_command(ruleset, new, other),
        add_command(ruleset, new, new.action),
    ]
}

/// Returns the command that adds `new` with this action under an unused name.
fn add_command(ruleset: &Ruleset, new: &AddRule, action: Action) -> String {
    let action = action.as_str();
    let taken = ruleset
        .rules
        .iter()
        .any(|rule| rule.name.as_str() == action);
    let free = if taken {
        elements::free_name(ruleset, action)
    } else {
        action.to_owned()
    };
    let mut words = vec![format!("ipblock-ctl rule add {free} --action {action}")];
    words.extend(arguments("--match", &new.matches));
    words.extend(arguments("--except", &new.except));
    match new.expires {
        Expiry::Never => {}
        Expiry::At(end) => words.push(format!("--until {end}")),
        Expiry::After(seconds) => words.push(format!("--for {seconds}s")),
    }
    if !new.note.is_empty() {
        words.push(format!("--note {}", quoted(&new.note)));
    }
    let zones = new.zones.iter();
    words.extend(zones.map(|zone| format!("--zone {}", quoted(zone))));
    words.extend(new.alert.then(|| "--alert".to_owned()));
    words.extend(new.disabled.then(|| "--disabled".to_owned()));
    words.join(" ")
}

/// Returns an option and its values; a long list ends with a visible mark.
fn arguments(option: &str, values: &[String]) -> Option<String> {
    const SHOWN: usize = 20;
    let mut words = vec![option.to_owned()];
    words.extend(values.iter().take(SHOWN).map(|value| quoted(value)));
    if values.len() > SHOWN {
        words.push(format!("... (and {} more)", values.len() - SHOWN));
    }
    (!values.is_empty()).then(|| words.join(" "))
}

/// Returns a word for a POSIX shell, quoted if necessary.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@,%+=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
