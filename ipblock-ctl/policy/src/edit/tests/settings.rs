//! Allow lists and zones.

use super::*;
use crate::{Classified, ErrorKind, Hinted};

fn add_allow(zone: Option<&str>, addresses: &[&str], note: &str) -> Edit {
    Edit::AddAllow {
        zone: zone.map(str::to_owned),
        addresses: texts(addresses),
        note: note.to_owned(),
    }
}

fn remove_allow(zone: Option<&str>, addresses: &[&str]) -> Edit {
    Edit::RemoveAllow {
        zone: zone.map(str::to_owned),
        addresses: texts(addresses),
    }
}

fn set_zone(name: &str, default: DefaultVerdict) -> Edit {
    Edit::SetZone {
        name: name.to_owned(),
        default: Some(default),
        malformed: None,
    }
}

#[test]
fn allow_lists_are_global_or_of_a_zone() {
    let mut ruleset = base();
    let lines = done(
        &mut ruleset,
        add_allow(None, &["198.51.100.1", "192.0.2.1"], "partner"),
    );
    let expected = "added 1 prefix to the allow list (1 was there already), \
                    changed the note of 1";
    assert_eq!(lines, [expected]);
    assert!(
        ruleset
            .allow
            .iter()
            .filter(|e| &*e.note == "partner")
            .count()
            == 2
    );
    let lines = done(&mut ruleset, add_allow(Some("dmz"), &["@office"], ""));
    assert_eq!(lines, ["added 1 list to the allow list of zone dmz"]);
    let lines = done(
        &mut ruleset,
        remove_allow(Some("dmz"), &["203.0.113.1", "@office"]),
    );
    assert_eq!(
        lines,
        ["removed 2 elements from the allow list of zone dmz"]
    );
    assert!(
        ruleset
            .allow
            .iter()
            .any(|e| e.at == At::List("office".parse().unwrap()))
    );
}

#[test]
fn an_allow_list_of_the_default_zone_comes_and_goes() {
    let mut ruleset = base();
    done(&mut ruleset, add_allow(Some("default"), &["192.0.2.1"], ""));
    assert_eq!(ruleset.zones.len(), 2);
    done(&mut ruleset, remove_allow(Some("default"), &["192.0.2.1"]));
    assert_eq!(ruleset, base());
}

#[test]
fn what_an_allow_list_does_not_hold_cannot_be_removed() {
    let error = refused(
        &base(),
        remove_allow(None, &["198.51.100.1", "192.0.2.200"]),
    );
    assert_eq!(
        error.to_string(),
        "the allow list does not hold 192.0.2.200/32"
    );
    assert_eq!(
        refused(&base(), remove_allow(Some("lan"), &["192.0.2.1"])).kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        refused(&base(), add_allow(Some("lan"), &["192.0.2.1"], "")).kind(),
        ErrorKind::NotFound
    );
    refused(&base(), add_allow(None, &[], ""));
}

#[test]
fn a_dropping_zone_keeps_an_allowed_address_unless_forced() {
    let mut ruleset = base();
    done(&mut ruleset, remove_allow(Some("dmz"), &["203.0.113.1"]));
    done(&mut ruleset, remove_allow(None, &["@office"]));
    let last = remove_allow(None, &["198.51.100.1"]);
    let error = refused(&ruleset, last.clone());
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("zone `dmz` would drop every packet"),
        "{error}"
    );
    apply(&mut ruleset, &last, now(), true).unwrap();
    assert!(ruleset.allow.is_empty());
}

#[test]
fn a_zone_is_created_and_set() {
    let mut ruleset = base();
    let lines = done(&mut ruleset, set_zone("lan", DefaultVerdict::Pass));
    assert_eq!(lines, ["zone lan: created, default pass"]);
    let lines = done(&mut ruleset, set_zone("lan", DefaultVerdict::Drop));
    assert_eq!(lines, ["zone lan: default drop"]);
    let lines = done(&mut ruleset, set_zone("lan", DefaultVerdict::Drop));
    assert_eq!(lines, ["zone lan: set so already"]);
    let malformed = Edit::SetZone {
        name: "default".to_owned(),
        default: None,
        malformed: Some(MalformedPolicy::Drop),
    };
    assert_eq!(
        done(&mut ruleset, malformed),
        ["zone default: malformed drop"]
    );
    let nothing = Edit::SetZone {
        name: "lan".to_owned(),
        default: None,
        malformed: None,
    };
    let error = refused(&ruleset, nothing);
    assert!(error.kind() != ErrorKind::Conflict && error.kind() != ErrorKind::NotFound);
}

#[test]
fn a_zone_that_would_drop_everything_needs_force() {
    let mut ruleset = Ruleset::default();
    for zone in ["default", "lan"] {
        let shut = set_zone(zone, DefaultVerdict::Drop);
        let error = refused(&ruleset, shut.clone());
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.hint().unwrap().contains("--force"));
        apply(&mut ruleset, &shut, now(), true).unwrap();
    }
}
