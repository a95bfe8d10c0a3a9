use super::*;
use crate::{Classified, Element, ErrorKind, Hinted};

fn edit(into: &str, addresses: &[&str], notes: &[&str], replace: bool) -> Edit {
    Edit::Import(Import {
        into: into.to_owned(),
        addresses: addresses.iter().collect(),
        notes: texts(notes),
        replace,
    })
}

fn applied(ruleset: &mut Ruleset, edit: &Edit) -> String {
    apply(ruleset, edit, now(), false).unwrap().join("\n")
}

fn matches(ruleset: &Ruleset, rule: usize) -> Vec<(String, String)> {
    ruleset.rules[rule]
        .matches
        .iter()
        .map(|element| match &element.at {
            At::Prefix(prefix) => (prefix.to_string(), element.note.to_string()),
            At::List(name) => (format!("@{name}"), element.note.to_string()),
        })
        .collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(at, note)| ((*at).to_owned(), (*note).to_owned()))
        .collect()
}

#[test]
fn an_import_into_a_rule_adds_what_it_does_not_match_and_counts_the_rest() {
    let mut ruleset = base();
    let edit = edit(
        "watch",
        &[
            "2001:db8::/32",
            "192.0.2.1-192.0.2.3",
            "192.0.2.1",
            "192.0.2.9",
        ],
        &["seen", "", "again", "SBL1"],
        false,
    );
    let said = applied(&mut ruleset, &edit);
    assert_eq!(
        said,
        "rule watch: 3 prefixes added, 2 held already, 1 with another note"
    );
    let expected = [
        ("2001:db8::/32", "seen"),
        ("192.0.2.1/32", "again"),
        ("192.0.2.2/31", ""),
        ("192.0.2.9/32", "SBL1"),
    ];
    assert_eq!(matches(&ruleset, 1), pairs(&expected));
}

#[test]
fn replacing_leaves_what_is_imported_and_its_notes() {
    let mut ruleset = base();
    let edit = edit("abuse", &["203.0.113.4/30", "192.0.2.1"], &[], true);
    assert_eq!(
        applied(&mut ruleset, &edit),
        "rule abuse: 1 prefix added, 1 held already, 2 removed"
    );
    assert_eq!(
        matches(&ruleset, 0),
        pairs(&[("203.0.113.4/30", "t"), ("192.0.2.1/32", "")])
    );
}

#[test]
fn a_list_is_made_when_there_is_none_and_a_rule_is_not() {
    let mut ruleset = base();
    let many: Vec<String> = (0..1234)
        .map(|n| format!("198.51.{}.{}", n / 256, n % 256))
        .collect();
    let edit_many = Edit::Import(Import {
        into: "@feed".to_owned(),
        addresses: many.into_iter().collect(),
        notes: Vec::new(),
        replace: false,
    });
    let said = applied(&mut ruleset, &edit_many);
    assert_eq!(said, "list @feed: created, 1,234 prefixes added");
    let said = applied(&mut ruleset, &edit("@feed", &["198.51.0.0"], &["x"], false));
    assert_eq!(
        said,
        "list @feed: 0 prefixes added, 1 held already, 1 with another note"
    );

    let before = ruleset.clone();
    let error = apply(
        &mut ruleset,
        &edit("abus", &["192.0.2.1"], &[], false),
        now(),
        false,
    );
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint().unwrap(), "did you mean `abuse`?");
    assert_eq!(ruleset, before);
}

#[test]
fn an_import_that_is_refused_changes_nothing() {
    let mut ruleset = base();
    ruleset.rules[0].matches.push(Element {
        at: At::List("office".parse().unwrap()),
        note: "".into(),
    });
    let before = ruleset.clone();
    for edit in [
        edit("abuse", &[], &[], true),
        edit("abuse", &["192.0.2.1", "192.0.2.2"], &["one"], false),
        edit("abuse", &["192.0.2.1", "192.0.2.1/24"], &[], false),
        edit("abuse", &["0.0.0.0-255.255.255.255"], &[], false),
        edit("@office", &["0.0.0.0/1", "128.0.0.0/1"], &[], false),
        edit("@office", &["@office"], &[], false),
        edit("@of fice", &["192.0.2.1"], &[], false),
    ] {
        let error = apply(&mut ruleset, &edit, now(), false).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(ruleset, before, "{error}");
    }
    let wide = edit("@office", &["0.0.0.0/1", "128.0.0.0/1"], &[], false);
    apply(&mut ruleset, &wide, now(), true).unwrap();
}

#[test]
fn the_json_of_an_import_is_compact() {
    let edit = edit("@feed", &["192.0.2.1"], &[], false);
    assert_eq!(
        serde_json::to_string(&edit).unwrap(),
        r#"{"edit":"import","into":"@feed","addresses":["192.0.2.1"],"replace":false}"#
    );
}
