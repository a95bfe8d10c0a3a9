//! Adding, editing, replacing and removing rules.

use super::*;
use crate::{Classified, ErrorKind, Hinted};

#[test]
fn a_rule_is_added_with_all_it_was_given() {
    let mut ruleset = base();
    let new = AddRule {
        except: texts(&["192.0.2.9"]),
        expires: Expiry::After(3600),
        note: "n".to_owned(),
        alert: true,
        disabled: true,
        zones: texts(&["default"]),
        ..add_rule(
            Some("new"),
            Action::Block,
            &["192.0.2.8-192.0.2.10", "192.0.2.10"],
        )
    };
    let lines = done(&mut ruleset, Edit::AddRule(new));
    let expected = "rule new: added, block 2 prefixes, except 1 prefix, \
                    until 2026-01-01T01:00:00Z, disabled";
    assert_eq!(lines, [expected]);
    let rule = rule(&ruleset, "new");
    assert_eq!(rule.id, RuleId(0));
    assert_eq!(rule.matches.len(), 2);
    assert!(rule.alert && !rule.enabled);
    assert_eq!(rule.zones, [ZoneName::default()]);
}

#[test]
fn a_nameless_rule_is_called_as_its_action_when_no_zone_has_one() {
    let mut ruleset = base();
    let new = AddRule {
        zones: texts(&["default"]),
        ..add_rule(None, Action::Block, &["192.0.2.1"])
    };
    done(&mut ruleset, Edit::AddRule(new));
    assert_eq!(ruleset.rules[2].name.as_str(), "block");
}

#[test]
fn a_nameless_rule_beside_one_of_its_action_is_answered_with_three_commands() {
    let ruleset = base();
    let new = AddRule {
        except: texts(&["192.0.2.7"]),
        note: "it's".to_owned(),
        ..add_rule(None, Action::Block, &["192.0.2.1", "@office"])
    };
    let error = refused(&ruleset, Edit::AddRule(new));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.to_string(), "there is a block rule already: `abuse`");
    let EditError::SameAction { commands, .. } = &error else {
        panic!("{error:?}");
    };
    let expected = [
        "ipblock-ctl rule edit abuse --add-match 192.0.2.1 @office --add-except 192.0.2.7",
        "ipblock-ctl rule add warn --action warn --match 192.0.2.1 @office \
         --except 192.0.2.7 --note 'it'\\''s'",
        "ipblock-ctl rule add block --action block --match 192.0.2.1 @office \
         --except 192.0.2.7 --note 'it'\\''s'",
    ];
    assert_eq!(*commands, expected);
    let hint = error.hint().unwrap();
    assert!(
        expected.iter().all(|command| hint.contains(command)),
        "{hint}"
    );
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let new = add_rule(Some("watch"), Action::Block, &["192.0.2.1"]);
    let error = refused(&base(), Edit::AddRule(new));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("`watch-2`"));
    let rename = EditRule {
        rename: Some("watch".to_owned()),
        ..edit_rule("abuse")
    };
    assert_eq!(
        refused(&base(), Edit::EditRule(rename)).kind(),
        ErrorKind::Conflict
    );
}

#[test]
fn names_that_do_not_exist_are_told_with_the_nearest() {
    let change = EditRule {
        enabled: Some(false),
        ..edit_rule("abues")
    };
    let error = refused(&base(), Edit::EditRule(change));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.to_string(), "there is no rule `abues`");
    assert_eq!(error.hint().unwrap(), "did you mean `abuse`?");
    let names = texts(&["abuse", "nothing"]);
    assert_eq!(
        refused(&base(), Edit::RemoveRules { names }).kind(),
        ErrorKind::NotFound
    );
    let new = add_rule(Some("a"), Action::Warn, &["@offices"]);
    let error = refused(&base(), Edit::AddRule(new));
    assert_eq!(error.hint().unwrap(), "did you mean `office`?");
    let new = AddRule {
        zones: texts(&["lan"]),
        ..add_rule(Some("a"), Action::Warn, &["192.0.2.1"])
    };
    let error = refused(&base(), Edit::AddRule(new));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.hint().unwrap().contains("ipblock-ctl zone set lan"));
}

#[test]
fn bad_arguments_are_neither_conflicts_nor_missing_names() {
    let bad_name = add_rule(Some("a b"), Action::Block, &["192.0.2.1"]);
    let bad_address = add_rule(Some("a"), Action::Block, &["10.0.0.1/8"]);
    let nothing = add_rule(Some("a"), Action::Block, &[]);
    for (new, hint) in [
        (bad_name, "`a-b`"),
        (bad_address, "10.0.0.0/8"),
        (nothing, "rule"),
    ] {
        let error = refused(&base(), Edit::AddRule(new));
        assert!(
            error.kind() != ErrorKind::Conflict && error.kind() != ErrorKind::NotFound,
            "{error}"
        );
        assert!(error.hint().unwrap().contains(hint), "{error}");
    }
}

#[test]
fn additions_say_what_was_there_already() {
    let mut ruleset = base();
    let change = EditRule {
        add_match: texts(&["192.0.2.0/24", "10.0.0.0/8", "10.0.0.0/8", "@office"]),
        ..edit_rule("abuse")
    };
    let lines = done(&mut ruleset, Edit::EditRule(change));
    let expected = "rule abuse: added 2 elements to match (2 were there already)";
    assert_eq!(lines, [expected]);
    assert_eq!(rule(&ruleset, "abuse").matches.len(), 5);
    assert_eq!(rule(&ruleset, "abuse").id, RuleId(1));
}

#[test]
fn a_range_removes_all_its_prefixes_or_nothing() {
    let mut ruleset = base();
    let remove = |address: &str| {
        Edit::EditRule(EditRule {
            remove_match: texts(&[address]),
            ..edit_rule("abuse")
        })
    };
    let error = refused(&ruleset, remove("198.51.100.0-198.51.101.3"));
    let expected = "`match` of rule `abuse` does not hold 198.51.101.0/30";
    assert_eq!(error.to_string(), expected);
    let error = refused(&ruleset, remove("192.0.2.128/25"));
    assert!(error.hint().unwrap().contains("192.0.2.0/24, which covers"));
    let error = refused(&ruleset, remove("203.0.113.0/24"));
    assert_eq!(
        error.hint().unwrap(),
        "it holds parts of it: 203.0.113.4/30"
    );
    let lines = done(&mut ruleset, remove("203.0.113.4-203.0.113.7"));
    assert_eq!(lines, ["rule abuse: removed 1 prefix from match"]);
    assert_eq!(rule(&ruleset, "abuse").matches.len(), 2);
}

#[test]
fn a_rule_keeps_something_to_match() {
    let change = EditRule {
        remove_match: texts(&["2001:db8::/32"]),
        ..edit_rule("watch")
    };
    let error = refused(&base(), Edit::EditRule(change.clone()));
    assert_eq!(error.to_string(), "rule `watch` would match nothing");
    let mut ruleset = base();
    let replaced = EditRule {
        add_match: texts(&["2001:db8::/48"]),
        ..change
    };
    let lines = done(&mut ruleset, Edit::EditRule(replaced));
    assert_eq!(lines.len(), 2);
}

#[test]
fn an_edit_without_a_change_is_refused() {
    let error = refused(&base(), Edit::EditRule(edit_rule("abuse")));
    assert_eq!(error.to_string(), "rule abuse: nothing to do was given");
}

#[test]
fn every_field_can_be_edited_at_once() {
    let mut ruleset = base();
    let change = EditRule {
        rename: Some("spam".to_owned()),
        action: Some(Action::Warn),
        note: Some("n".to_owned()),
        expires: Some(Expiry::At("2030-01-01T00:00:00Z".parse().unwrap())),
        enabled: Some(false),
        alert: Some(true),
        zones: Some(Vec::new()),
        ..edit_rule("abuse")
    };
    let lines = done(&mut ruleset, Edit::EditRule(change));
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert_eq!(lines[0], "rule abuse: renamed to spam");
    let spam = rule(&ruleset, "spam");
    assert_eq!((spam.id, spam.action), (RuleId(1), Action::Warn));
    assert!(!spam.enabled && spam.alert && spam.zones.is_empty());
    assert_eq!(ruleset.rules[0].name, "spam".parse::<RuleName>().unwrap());
}

#[test]
fn an_end_in_the_past_or_beyond_the_calendar_is_refused() {
    for expires in [
        Expiry::At(now()),
        Expiry::After(0),
        Expiry::After(u64::MAX),
        Expiry::After(1 << 40),
    ] {
        let change = EditRule {
            expires: Some(expires),
            ..edit_rule("abuse")
        };
        let error = refused(&base(), Edit::EditRule(change));
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn a_block_over_a_family_needs_force_once() {
    let mut ruleset = base();
    let wide = Edit::AddRule(add_rule(Some("all"), Action::Warn, &["0.0.0.0/0"]));
    done(&mut ruleset, wide);
    let promote = EditRule {
        action: Some(Action::Block),
        ..edit_rule("all")
    };
    let promote = Edit::EditRule(promote);
    let error = refused(&ruleset, promote.clone());
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint().unwrap().contains("--force"));
    apply(&mut ruleset, &promote, now(), true).unwrap();
    let switch = |enabled| {
        Edit::EditRule(EditRule {
            enabled: Some(enabled),
            ..edit_rule("all")
        })
    };
    done(&mut ruleset, switch(false));
    assert_eq!(refused(&ruleset, switch(true)).kind(), ErrorKind::Conflict);
}

#[test]
fn a_replaced_rule_keeps_its_identity() {
    let mut ruleset = base();
    let text = document::print_rule(rule(&ruleset, "abuse"));
    let replace = |toml: String| Edit::ReplaceRule {
        name: "abuse".to_owned(),
        toml,
    };
    assert_eq!(
        done(&mut ruleset, replace(text.clone())),
        ["rule abuse: unchanged"]
    );
    let renamed = text
        .replace("\"abuse\"", "\"spam\"")
        .replace("note = \"\"", "note = \"n\"");
    let lines = done(&mut ruleset, replace(renamed));
    assert_eq!(lines, ["rule abuse: changed name, note"]);
    assert_eq!(rule(&ruleset, "spam").id, RuleId(1));
}

#[test]
fn a_replacement_is_checked_like_an_edit() {
    let ruleset = base();
    let text = document::print_rule(rule(&ruleset, "abuse"));
    let replace = |from: &str, to: &str| {
        let toml = text.replace(from, to);
        assert_ne!(toml, text);
        let name = "abuse".to_owned();
        refused(&ruleset, Edit::ReplaceRule { name, toml })
    };
    assert_eq!(
        replace("\"abuse\"", "\"watch\"").kind(),
        ErrorKind::Conflict
    );
    assert_eq!(
        replace("\"192.0.2.0/24\"", "\"::/0\"").kind(),
        ErrorKind::Conflict
    );
    let error = replace("# expires = \"2030", "expires = \"2020");
    assert!(matches!(error, EditError::Past { .. }), "{error}");
    let error = replace("\"192.0.2.0/24\"", "\"192.0.2.1/24\"");
    assert!(error.to_string().contains("rule abuse:7:5: "), "{error}");
    assert!(error.hint().is_none() && error.kind() != ErrorKind::Conflict);
}

#[test]
fn removed_rules_are_gone_together() {
    let mut ruleset = base();
    let names = texts(&["watch", "abuse"]);
    let lines = done(&mut ruleset, Edit::RemoveRules { names });
    assert_eq!(lines, ["rule watch: removed", "rule abuse: removed"]);
    assert!(ruleset.rules.is_empty());
    let names = texts(&["watch", "watch"]);
    let error = refused(&base(), Edit::RemoveRules { names });
    assert_eq!(error.to_string(), "rule `watch` is given twice");
}
