//! Edits of named lists and of exceptions.

use super::*;
use crate::{
    Classified, ErrorKind, Hinted,
    ruleset::{Element, List},
};

fn add_to(list: &str, addresses: &[&str], note: &str) -> Edit {
    Edit::AddToList {
        list: list.to_owned(),
        addresses: texts(addresses),
        note: note.to_owned(),
    }
}

fn remove_from(list: &str, addresses: &[&str]) -> Edit {
    Edit::RemoveFromList {
        list: list.to_owned(),
        addresses: texts(addresses),
    }
}

fn set(list: &str, addresses: Option<&[&str]>, file: Option<&str>) -> Edit {
    Edit::SetList {
        list: list.to_owned(),
        addresses: addresses.map(texts),
        note: String::new(),
        source: file
            .map(|file| (SourceKind::File, file))
            .into_iter()
            .collect(),
    }
}

fn remove_list(list: &str) -> Edit {
    Edit::RemoveList {
        list: list.to_owned(),
    }
}

#[track_caller]
fn list<'a>(ruleset: &'a Ruleset, name: &str) -> &'a List {
    &ruleset.lists[&name.parse::<crate::ListName>().unwrap()]
}

fn held(list: &List) -> Vec<String> {
    let elements = list.elements.iter();
    let shown = elements.map(|element| format!("{} {}", element.prefix, element.note));
    shown.map(|text| text.trim().to_owned()).collect()
}

fn excepted(ruleset: &Ruleset, name: &str) -> Vec<String> {
    let text = |element: &Element| match &element.at {
        At::Prefix(prefix) => format!("{prefix} {}", element.note),
        At::List(list) => format!("@{list} {}", element.note),
    };
    let elements = rule(ruleset, name).except.iter();
    elements.map(|e| text(e).trim().to_owned()).collect()
}

#[test]
fn addresses_are_added_to_a_list_with_a_note_and_the_list_is_made_when_there_is_none() {
    let mut ruleset = base();
    let said = done(
        &mut ruleset,
        add_to("partners", &["192.0.2.1-192.0.2.2"], "t 7"),
    );
    assert_eq!(said, ["added 2 prefixes to list partners, which is new"]);
    assert_eq!(
        held(list(&ruleset, "partners")),
        ["192.0.2.1/32 t 7", "192.0.2.2/32 t 7"]
    );
    let said = done(
        &mut ruleset,
        add_to("partners", &["192.0.2.1", "192.0.2.9"], ""),
    );
    assert_eq!(
        said,
        ["added 1 prefix to list partners (1 was there already)"]
    );
}

#[test]
fn what_a_list_does_not_hold_cannot_be_removed_from_it() {
    let mut ruleset = base();
    let error = refused(&ruleset, remove_from("office", &["192.0.2.0/29"]));
    assert_eq!(error.to_string(), "list office does not hold 192.0.2.0/29");
    assert!(error.hint().unwrap().contains("192.0.2.0/28, which covers"));
    done(&mut ruleset, add_to("office", &["203.0.113.9"], ""));
    let said = done(&mut ruleset, remove_from("office", &["203.0.113.9"]));
    assert_eq!(said, ["removed 1 prefix from list office"]);
    let error = refused(&ruleset, remove_from("offcie", &["192.0.2.0/28"]));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint().as_deref(), Some("did you mean `office`?"));
}

#[test]
fn lists_do_not_nest() {
    for edit in [
        add_to("x", &["@office"], ""),
        set("x", Some(&["@office"]), None),
    ] {
        let error = refused(&base(), edit);
        assert_eq!(
            error.to_string(),
            "`@office`: a list cannot hold another list"
        );
        assert!(error.hint().unwrap().contains("write its addresses"));
    }
}

#[test]
fn set_replaces_what_a_list_holds() {
    let mut ruleset = base();
    let said = done(&mut ruleset, set("office", Some(&["203.0.113.0/24"]), None));
    assert_eq!(said, ["list office: holds 1 prefix"]);
    assert_eq!(held(list(&ruleset, "office")), ["203.0.113.0/24"]);
    for (edit, part) in [
        (set("office", None, None), "nothing to do was given"),
        (
            set("office", Some(&[]), Some("a.txt")),
            "exclude each other",
        ),
        (set("office", None, Some("/etc/passwd")), "an absolute path"),
    ] {
        let error = refused(&ruleset, edit);
        assert!(error.to_string().contains(part), "{error}");
        assert!(error.kind() != ErrorKind::Conflict && error.hint().is_some());
    }
}

#[test]
fn a_list_with_a_file_is_not_edited_by_hand() {
    let mut ruleset = base();
    let said = done(&mut ruleset, set("feed", None, Some("feeds/drop.txt")));
    assert_eq!(said, ["list feed: follows the file feeds/drop.txt"]);
    assert!(list(&ruleset, "feed").is_unread());
    for edit in [
        add_to("feed", &["192.0.2.1"], ""),
        remove_from("feed", &["192.0.2.1"]),
    ] {
        let error = refused(&ruleset, edit);
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(
            error.to_string(),
            "list `feed` is not kept by hand: its content comes from feeds/drop.txt"
        );
        assert_eq!(
            error.hint().unwrap(),
            "edit feeds/drop.txt, or keep the list by hand from now on: ipblock-ctl list set feed A..."
        );
    }
    done(&mut ruleset, set("feed", Some(&["192.0.2.1"]), None));
    done(&mut ruleset, add_to("feed", &["192.0.2.2"], ""));
    assert!(!list(&ruleset, "feed").is_followed());
}

#[test]
fn a_list_in_use_cannot_be_removed() {
    let mut ruleset = base();
    let mut change = edit_rule("watch");
    change.add_except = texts(&["@office"]);
    done(&mut ruleset, Edit::EditRule(change.clone()));
    let error = refused(&ruleset, remove_list("office"));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(
        error.to_string(),
        "list `office` is in use: rule watch, allow"
    );
    std::mem::swap(&mut change.add_except, &mut change.remove_except);
    done(&mut ruleset, Edit::EditRule(change));
    let remove = Edit::RemoveAllow {
        zone: None,
        addresses: texts(&["@office"]),
    };
    done(&mut ruleset, remove);
    assert_eq!(
        done(&mut ruleset, remove_list("office")),
        ["list office: removed"]
    );
    assert_eq!(
        refused(&ruleset, remove_list("office")).kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_list_that_a_block_rule_uses_does_not_grow_to_a_whole_family_without_force() {
    let mut ruleset = base();
    let rule = add_rule(Some("by-list"), Action::Block, &["@office"]);
    done(&mut ruleset, Edit::AddRule(rule));
    let whole = add_to("office", &["0.0.0.0/0"], "");
    let error = refused(&ruleset, whole.clone());
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("rule `by-list` would block 0.0.0.0/0"),
        "{error}"
    );
    apply(&mut ruleset, &whole, now(), true).unwrap();
    // Forced once, it is not in the way of later edits.
    done(&mut ruleset, add_to("office", &["203.0.113.0/24"], ""));
}

#[test]
fn a_list_that_is_all_a_zone_allows_is_not_emptied_without_force() {
    let mut ruleset = base();
    for (zone, address) in [(Some("dmz"), "203.0.113.1"), (None, "198.51.100.1")] {
        let remove = Edit::RemoveAllow {
            zone: zone.map(str::to_owned),
            addresses: texts(&[address]),
        };
        done(&mut ruleset, remove);
    }
    for edit in [
        remove_from("office", &["192.0.2.0/28"]),
        set("office", Some(&[]), None),
    ] {
        let error = refused(&ruleset, edit);
        assert!(
            error.kind() == ErrorKind::Conflict && error.to_string().contains("zone `dmz`"),
            "{error}"
        );
    }
    // What a file will hold is looked at when it is read.
    done(&mut ruleset, set("office", None, Some("office.txt")));
}

fn exception(rule: &str, addresses: &[&str], note: &str) -> Edit {
    Edit::AddException {
        rule: rule.to_owned(),
        addresses: texts(addresses),
        note: note.to_owned(),
    }
}

fn edit_exception(old: &str, new: &str) -> Edit {
    Edit::EditException {
        rule: "abuse".to_owned(),
        old: old.to_owned(),
        new: new.to_owned(),
    }
}

#[test]
fn exceptions_come_with_a_note_keep_it_when_they_are_replaced_and_go() {
    let mut ruleset = base();
    let said = done(
        &mut ruleset,
        exception("abuse", &["192.0.2.9", "@office"], "vip"),
    );
    assert_eq!(said, ["rule abuse: added 2 elements to except"]);
    let said = done(&mut ruleset, edit_exception("192.0.2.9", "192.0.2.8/31"));
    assert_eq!(said, ["rule abuse: except 192.0.2.9 is 192.0.2.8/31 now"]);
    assert_eq!(
        excepted(&ruleset, "abuse"),
        ["192.0.2.7/32", "192.0.2.8/31 vip", "@office vip"]
    );
    // A range in the place of an address, over one that is there already.
    done(
        &mut ruleset,
        edit_exception("192.0.2.8/31", "192.0.2.7-192.0.2.9"),
    );
    assert_eq!(
        excepted(&ruleset, "abuse"),
        ["192.0.2.7/32", "192.0.2.8/31 vip", "@office vip"]
    );
    let remove = Edit::RemoveException {
        rule: "abuse".to_owned(),
        addresses: texts(&["192.0.2.7", "@office"]),
    };
    assert_eq!(
        done(&mut ruleset, remove.clone()),
        ["rule abuse: removed 2 elements from except"]
    );
    assert_eq!(excepted(&ruleset, "abuse"), ["192.0.2.8/31 vip"]);
    let error = refused(&ruleset, remove);
    assert_eq!(
        error.to_string(),
        "`except` of rule `abuse` does not hold 192.0.2.7/32"
    );
}

#[test]
fn an_exception_that_is_not_there_cannot_be_replaced() {
    let error = refused(&base(), edit_exception("192.0.2.9", "192.0.2.8"));
    assert_eq!(
        error.to_string(),
        "`except` of rule `abuse` does not hold 192.0.2.9/32"
    );
    let error = refused(&base(), exception("abuze", &["192.0.2.9"], ""));
    assert_eq!(error.hint().as_deref(), Some("did you mean `abuse`?"));
    assert_eq!(
        refused(&base(), exception("abuse", &["@none"], "")).kind(),
        ErrorKind::NotFound
    );
    let error = refused(&base(), exception("abuse", &[], ""));
    assert!(error.to_string().contains("nothing to do was given"));
}
