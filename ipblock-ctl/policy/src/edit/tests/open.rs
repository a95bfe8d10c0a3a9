//! Whole families that are let through, and IPv4-mapped addresses.

use super::*;
use crate::{Classified, ErrorKind};

fn edit(ruleset: &mut Ruleset, edit: &Edit, force: bool) -> Result<Vec<String>, EditError> {
    apply(ruleset, edit, now(), force)
}

fn allow(zone: Option<&str>, addresses: &[&str]) -> Edit {
    Edit::AddAllow {
        zone: zone.map(str::to_owned),
        addresses: texts(addresses),
        note: String::new(),
    }
}

#[test]
fn f28_a_family_that_is_let_through_needs_force() {
    let exception = |addresses: &[&str]| Edit::AddException {
        rule: "abuse".to_owned(),
        addresses: texts(addresses),
        note: String::new(),
    };
    let replaced = Edit::EditException {
        rule: "abuse".to_owned(),
        old: "192.0.2.7".to_owned(),
        new: "::/0".to_owned(),
    };
    let change = Edit::EditRule(EditRule {
        name: "abuse".to_owned(),
        add_except: texts(&["0.0.0.0-255.255.255.255"]),
        ..EditRule::default()
    });
    let mut rule = add_rule(Some("new"), Action::Warn, &["192.0.2.1"]);
    rule.except = texts(&["::/0"]);
    let list = Edit::AddToList {
        list: "office".to_owned(),
        addresses: texts(&["0.0.0.0/1", "128.0.0.0/1"]),
        note: String::new(),
    };
    for (wide, place) in [
        (allow(None, &["0.0.0.0/0"]), "the allow list"),
        (allow(None, &["::/0"]), "the allow list"),
        (allow(None, &["0.0.0.0/1", "128.0.0.0/1"]), "the allow list"),
        (allow(Some("dmz"), &["::/0"]), "the allow list of zone dmz"),
        (exception(&["0.0.0.0/0"]), "`except` of rule `abuse`"),
        (replaced, "`except` of rule `abuse`"),
        (change, "`except` of rule `abuse`"),
        (Edit::AddRule(rule), "`except` of rule `new`"),
        (list, "the allow list"),
    ] {
        let mut ruleset = base();
        let error = edit(&mut ruleset, &wide, false).unwrap_err();
        assert!(error.kind() == ErrorKind::Conflict, "{wide:?}: {error}");
        let said = format!("{place} would let ");
        assert!(error.to_string().starts_with(&said), "{error}");
        assert_eq!(ruleset, base(), "{wide:?}");
        edit(&mut ruleset, &wide, true).unwrap();
        // What is open already needs no force again.
        edit(&mut ruleset, &allow(None, &["203.0.113.9"]), false).unwrap();
    }
    let mut ruleset = base();
    edit(&mut ruleset, &allow(None, &["::ffff:0:0/96"]), false).unwrap();
    assert!(
        ruleset
            .prefixes(&ruleset.allow)
            .all(|prefix| prefix.prefix_len() > 0),
        "the block of mapped addresses is not every IPv4 address"
    );
}

#[test]
fn f28_a_mapped_address_is_read_as_ipv4_and_the_answer_says_so() {
    let mut ruleset = base();
    let said = edit(
        &mut ruleset,
        &allow(None, &["::ffff:192.0.2.99", "2001:db8::1"]),
        false,
    );
    assert_eq!(
        said.unwrap(),
        [
            "added 2 prefixes to the allow list",
            "read ::ffff:192.0.2.99 as 192.0.2.99"
        ]
    );
    let held: Vec<String> = ruleset
        .prefixes(&ruleset.allow)
        .map(|at| at.to_string())
        .collect();
    assert!(held.contains(&"192.0.2.99/32".to_owned()), "{held:?}");
    let said = edit(&mut ruleset, &allow(None, &["::ffff:192.0.2.0/120"]), false);
    assert_eq!(said.unwrap(), ["added 1 prefix to the allow list"]);
}
