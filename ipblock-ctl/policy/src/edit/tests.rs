use std::fmt::Write as _;

use super::*;
use crate::{
    Classified, ErrorKind, Hinted, document,
    ruleset::{Rule, RuleId},
    samples::{headed, indented},
};

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

/// Runs edits one after the other, starting from [`base`], and prints their results and changes. A
/// blank line starts over. `force` before an edit forces it.
#[test]
fn edits_are_carried_out_or_refused_and_change_nothing_then() {
    let mut shown = String::new();
    for (heading, edits) in headed(include_str!("tests/edits.txt")) {
        writeln!(shown, "## {heading}").unwrap();
        for edits in edits.trim_end().split("\n\n") {
            let mut ruleset = base();
            for line in edits.lines() {
                let (force, json) = match line.strip_prefix("force ") {
                    Some(json) => (true, json),
                    None => (false, line),
                };
                let edit = serde_json::from_str(json).unwrap();
                let said = said(&mut ruleset, &edit, force);
                writeln!(shown, "{line}\n{}", indented(&said).trim_end()).unwrap();
            }
            writeln!(shown, "{}", changes(&ruleset)).unwrap();
        }
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("edits", shown);
    });
}

fn said(ruleset: &mut Ruleset, edit: &Edit, force: bool) -> String {
    let before = ruleset.clone();
    match apply(ruleset, edit, now(), force) {
        Ok(lines) => lines.join("\n"),
        Err(error) => {
            assert_eq!(*ruleset, before, "{edit:?}");
            let kind = match error.kind() {
                ErrorKind::Conflict => "conflict",
                ErrorKind::NotFound => "not found",
                ErrorKind::Invalid => "invalid",
                ErrorKind::Failed | ErrorKind::NotPermitted => panic!("{error}"),
            };
            let hint = error.hint().unwrap_or_default();
            format!("{kind}: {error}\nhint: {hint}")
        }
    }
}

/// Returns removed lines, new lines, and the identity of each rule.
fn changes(ruleset: &Ruleset) -> String {
    let [before, after] = [&base(), ruleset].map(document::print);
    let missing_in = |other: &str, text: &str, sign: char| -> String {
        let lines = text
            .lines()
            .filter(|line| !other.lines().any(|it| it == *line));
        lines.fold(String::new(), |all, line| all + &format!("{sign} {line}\n"))
    };
    let rules = ruleset.rules.iter();
    let ids: Vec<_> = rules
        .map(|rule| format!("{} {}", rule.name, rule.id.0))
        .collect();
    let changed = missing_in(&after, &before, '-') + &missing_in(&before, &after, '+');
    match changed.as_str() {
        "" => "= unchanged\n".to_owned(),
        _ if ids.is_empty() => format!("{changed}= no rule\n"),
        _ => format!("{changed}= {}\n", ids.join(", ")),
    }
}

#[track_caller]
fn rule<'a>(ruleset: &'a Ruleset, name: &str) -> &'a Rule {
    ruleset.rule(&name.parse().unwrap()).unwrap()
}

fn replaced(name: &str, toml: String) -> Edit {
    let name = name.to_owned();
    Edit::ReplaceRule { name, toml }
}

#[test]
fn a_replaced_rule_keeps_its_identity() {
    let mut ruleset = base();
    let text = document::print_rule(rule(&ruleset, "abuse"));
    let same = replaced("abuse", text.clone());
    assert_eq!(said(&mut ruleset, &same, false), "rule abuse: unchanged");
    let renamed = text
        .replace("\"abuse\"", "\"spam\"")
        .replace("note = \"\"", "note = \"n\"");
    let renamed = replaced("abuse", renamed);
    assert_eq!(
        said(&mut ruleset, &renamed, false),
        "rule abuse: changed name, note"
    );
    assert_eq!(rule(&ruleset, "spam").id, RuleId(1));
}

#[test]
fn a_replacement_is_checked_like_an_edit() {
    let mut ruleset = base();
    let text = document::print_rule(rule(&ruleset, "abuse"));
    for (from, to, expected) in [
        ("\"abuse\"", "\"watch\"", "conflict: "),
        ("\"192.0.2.0/24\"", "\"::/0\"", "conflict: "),
        (
            "# expires = \"2030",
            "expires = \"2020",
            "invalid: the end 2020-",
        ),
        (
            "\"192.0.2.0/24\"",
            "\"192.0.2.1/24\"",
            "invalid: rule abuse:7:5: ",
        ),
    ] {
        let toml = text.replace(from, to);
        assert_ne!(toml, text);
        let said = said(&mut ruleset, &replaced("abuse", toml), false);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_zone_that_would_drop_everything_needs_force() {
    let mut ruleset = Ruleset::default();
    for zone in ["default", "lan"] {
        let shut = Edit::SetZone {
            name: zone.to_owned(),
            default: Some(DefaultVerdict::Drop),
            malformed: None,
        };
        let refused = said(&mut ruleset, &shut, false);
        assert!(
            refused.starts_with("conflict: ") && refused.contains("--force"),
            "{refused}"
        );
        said(&mut ruleset, &shut, true);
        assert!(!ruleset.zones.is_empty());
    }
}

fn import(into: &str, addresses: impl Iterator<Item = String>) -> Edit {
    Edit::Import(Import {
        into: into.to_owned(),
        addresses: addresses.collect(),
        notes: Vec::new(),
        replace: false,
    })
}

#[test]
fn a_list_is_made_by_an_import_and_counted_with_commas() {
    let many = (0..1234).map(|n| format!("198.51.{}.{}", n / 256, n % 256));
    let said = said(&mut base(), &import("@feed", many), false);
    assert_eq!(said, "list @feed: created, 1,234 prefixes added");
}

#[test]
fn the_json_of_an_import_is_compact() {
    let edit = import("@feed", ["192.0.2.1".to_owned()].into_iter());
    assert_eq!(
        serde_json::to_string(&edit).unwrap(),
        r#"{"edit":"import","into":"@feed","addresses":["192.0.2.1"],"replace":false}"#
    );
}
