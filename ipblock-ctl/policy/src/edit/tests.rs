use proptest::prelude::*;

use super::*;
use crate::{
    document,
    name::{RuleName, ZoneName},
    ruleset::{At, Rule, RuleId},
    source::SourceKind,
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

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "abuse", "watch", "block", "warn", "dmz", "default", "office", "a b", "", "new",
    ])
    .prop_map(str::to_owned)
}

fn addresses() -> impl Strategy<Value = Vec<String>> {
    let address = prop::sample::select(vec![
        "192.0.2.0/24",
        "198.51.100.0/24",
        "192.0.2.7",
        "203.0.113.4-203.0.113.7",
        "@office",
        "@none",
        "10.0.0.1/8",
        "0.0.0.0/0",
        "2001:db8::/32",
        "::/1",
        "8000::/1",
        "198.51.100.1",
        "203.0.113.1",
        "x",
    ]);
    prop::collection::vec(address.prop_map(str::to_owned), 0..3)
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        Just(Expiry::Never),
        Just(Expiry::At(Timestamp::UNIX_EPOCH)),
        Just(Expiry::After(0)),
        any::<u64>().prop_map(Expiry::After),
        Just(Expiry::After(60)),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![Just(Action::Block), Just(Action::Warn)]
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let maybe = || prop::option::of(word());
    let add = (
        maybe(),
        action(),
        addresses(),
        addresses(),
        expiry(),
        maybe(),
        any::<bool>(),
    );
    let add = add.prop_map(|(name, action, matches, except, expires, zone, disabled)| {
        Edit::AddRule(AddRule {
            name,
            matches,
            except,
            expires,
            zones: zone.into_iter().collect(),
            disabled,
            ..add_rule(None, action, &[])
        })
    });
    let lists = [addresses(), addresses(), addresses(), addresses()];
    let fields = (
        prop::option::of(action()),
        prop::option::of(expiry()),
        any::<Option<bool>>(),
    );
    let change = (word(), maybe(), lists, fields, maybe()).prop_map(
        |(name, rename, lists, (action, expires, enabled), zone)| {
            let [add_match, remove_match, add_except, remove_except] = lists;
            Edit::EditRule(EditRule {
                name,
                rename,
                action,
                add_match,
                remove_match,
                add_except,
                remove_except,
                expires,
                enabled,
                zones: zone.map(|zone| vec![zone]),
                ..EditRule::default()
            })
        },
    );
    let default = prop_oneof![Just(DefaultVerdict::Pass), Just(DefaultVerdict::Drop)];
    prop_oneof![
        add,
        change,
        prop::collection::vec(word(), 0..3).prop_map(|names| Edit::RemoveRules { names }),
        (maybe(), addresses(), word()).prop_map(|(zone, addresses, note)| Edit::AddAllow {
            zone,
            addresses,
            note
        }),
        (maybe(), addresses()).prop_map(|(zone, addresses)| Edit::RemoveAllow { zone, addresses }),
        (word(), prop::option::of(default)).prop_map(|(name, default)| Edit::SetZone {
            name,
            default,
            malformed: None
        }),
        (word(), addresses(), word()).prop_map(|(rule, addresses, note)| Edit::AddException {
            rule,
            addresses,
            note
        }),
        (word(), addresses())
            .prop_map(|(rule, addresses)| Edit::RemoveException { rule, addresses }),
        (word(), word(), word()).prop_map(|(rule, old, new)| Edit::EditException {
            rule,
            old,
            new
        }),
        (word(), addresses(), word()).prop_map(|(list, addresses, note)| Edit::AddToList {
            list,
            addresses,
            note
        }),
        (word(), addresses())
            .prop_map(|(list, addresses)| Edit::RemoveFromList { list, addresses }),
        (word(), prop::option::of(addresses()), maybe()).prop_map(|(list, addresses, file)| {
            Edit::SetList {
                list,
                addresses,
                note: String::new(),
                source: file
                    .map(|file| (SourceKind::File, file))
                    .into_iter()
                    .collect(),
            }
        }),
        word().prop_map(|list| Edit::RemoveList { list }),
        (word(), word()).prop_map(|(name, new)| Edit::ReplaceRule {
            name,
            toml: format!("name = \"{new}\"\naction = \"block\"\nmatch = [\"@office\"]"),
        }),
    ]
}

proptest! {
    #[test]
    fn an_edit_changes_nothing_or_leaves_a_ruleset_that_can_be_read_back(
        edits in prop::collection::vec((any_edit(), any::<bool>()), 1..6)
    ) {
        let mut ruleset = base();
        for (edit, force) in edits {
            let before = ruleset.clone();
            match apply(&mut ruleset, &edit, now(), force) {
                Ok(lines) => prop_assert!(!lines.is_empty()),
                Err(error) => {
                    prop_assert_eq!(&ruleset, &before);
                    prop_assert!(!error.to_string().is_empty());
                }
            }
            let mut anonymous = ruleset.clone();
            for rule in &mut anonymous.rules {
                rule.id = RuleId(0);
            }
            let read = document::parse(&document::print(&ruleset), "staged.toml", true);
            prop_assert_eq!(read, Ok(anonymous));
        }
    }

    #[test]
    fn an_edit_survives_json(edit in any_edit()) {
        let json = serde_json::to_string(&edit).unwrap();
        prop_assert_eq!(serde_json::from_str::<Edit>(&json).unwrap(), edit);
    }
}
