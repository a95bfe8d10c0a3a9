use super::*;
use crate::{
    document,
    name::{RuleName, ZoneName},
    ruleset::{At, Rule, RuleId},
};

mod import;
mod lists;
mod open;
mod rules;
mod settings;

const NOW: &str = "2026-01-01T00:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Two rules, a list, a zone that drops and an allow list.
fn base() -> Ruleset {
    let text = r#"
[list.office]
match = ["192.0.2.0/28"]
[allow]
match = ["198.51.100.1", "@office"]
[zone.dmz]
default = "drop"
allow = ["203.0.113.1"]
[[rule]]
name = "abuse"
action = "block"
match = ["192.0.2.0/24", "198.51.100.0/24", { at = "203.0.113.4/30", note = "t" }]
except = ["192.0.2.7"]
zones = ["dmz"]
[[rule]]
name = "watch"
action = "warn"
match = ["2001:db8::/32"]
"#;
    let mut ruleset = document::parse(text, "base.toml", false).unwrap();
    for (rule, id) in ruleset.rules.iter_mut().zip(1..) {
        rule.id = RuleId(id);
    }
    ruleset
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn add_rule(name: Option<&str>, action: Action, matches: &[&str]) -> AddRule {
    AddRule {
        name: name.map(str::to_owned),
        action,
        matches: texts(matches),
        except: Vec::new(),
        expires: Expiry::Never,
        note: String::new(),
        alert: false,
        disabled: false,
        zones: Vec::new(),
    }
}

fn edit_rule(name: &str) -> EditRule {
    EditRule {
        name: name.to_owned(),
        ..EditRule::default()
    }
}

/// Carries out an edit that must succeed.
#[expect(clippy::needless_pass_by_value, reason = "edits are written in place")]
#[track_caller]
fn done(ruleset: &mut Ruleset, edit: Edit) -> Vec<String> {
    match apply(ruleset, &edit, now(), false) {
        Ok(lines) => lines,
        Err(error) => panic!("{edit:?}: {error}"),
    }
}

/// Carries out an edit that must fail and change nothing.
#[expect(clippy::needless_pass_by_value, reason = "edits are written in place")]
#[track_caller]
fn refused(ruleset: &Ruleset, edit: Edit) -> EditError {
    let mut changed = ruleset.clone();
    match apply(&mut changed, &edit, now(), false) {
        Ok(lines) => panic!("{edit:?}: {lines:?}"),
        Err(error) => {
            assert_eq!(changed, *ruleset);
            error
        }
    }
}

#[track_caller]
fn rule<'a>(ruleset: &'a Ruleset, name: &str) -> &'a Rule {
    ruleset.rule(&name.parse().unwrap()).unwrap()
}
