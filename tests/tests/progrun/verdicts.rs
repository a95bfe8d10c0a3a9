//! The effect of each class verdict, under each default.

use ipblock_common::{Class, ClassVerdict};
use ipblock_tests::{
    packet::{Frame, Ipv4},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

#[test]
fn a_denylist_drops_what_is_blocked_and_passes_the_rest() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for kind in Kind::ALL {
        let expected = kind.where_default_passes();
        zone.expect(&Frame::carrying(&kind.v4()), expected);
        zone.expect(&Frame::carrying(&kind.v6()), expected);
    }
}

#[test]
fn an_allow_only_zone_passes_what_is_allowed_and_drops_the_rest() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for kind in Kind::ALL {
        let expected = kind.where_default_drops();
        zone.expect(&Frame::carrying(&kind.v4()), expected);
        zone.expect(&Frame::carrying(&kind.v6()), expected);
    }
}

#[test]
fn bytes_are_those_of_the_whole_frame() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for length in [42, 60, 1514] {
        let frame = Frame::carrying(&Kind::Blocked.v4()).padded(length);
        assert_eq!(frame.len(), length);
        zone.expect(&frame, Kind::Blocked.where_default_passes());
    }
}

#[test]
fn a_verdict_that_nobody_knows_leaves_it_to_the_default() {
    let root = require_privileged!();
    for (default_drop, expected) in [(false, Expected::PASSED), (true, Expected::DROPPED)] {
        let mut fixture = Fixture::empty();
        fixture.default_drop = default_drop;
        let id = fixture.class(Class {
            verdict: 77,
            ..Class::default()
        });
        let mut zone = fixture.entry("203.0.113.0/24", id).load(root);
        zone.expect(&Frame::carrying(&Kind::Blocked.v4()), expected.class(id));
    }
}

#[test]
fn a_class_that_does_not_exist_leaves_it_to_the_default() {
    let root = require_privileged!();
    for (default_drop, expected) in [(false, Expected::PASSED), (true, Expected::DROPPED)] {
        let mut fixture = Fixture::empty().entry("203.0.113.0/24", 1000);
        fixture.default_drop = default_drop;
        fixture
            .load(root)
            .expect(&Frame::carrying(&Kind::Blocked.v4()), expected);
    }
}

#[test]
fn classes_beyond_the_first_page_of_the_map_are_found_and_counted() {
    let mut fixture = Fixture::empty();
    let mut last = 0;
    for _ in 0..5000 {
        last = fixture.verdict(ClassVerdict::Block);
    }
    let mut zone = fixture
        .entry("203.0.113.0/24", last)
        .load(require_privileged!());
    let frame = Frame::carrying(&Ipv4::from("203.0.113.7"));
    zone.expect(&frame, Expected::DROPPED.class(last));
}

#[test]
fn logging_that_nobody_reads_changes_no_verdict() {
    let root = require_privileged!();
    let mut fixture = Fixture::denylist().malformed_drop();
    fixture.log = true;
    let mut zone = fixture.load(root);
    let malformed = Frame::carrying(&Kind::Blocked.v4()).truncated(20);
    // More records than aya-log's ring of 128 KiB holds.
    for _ in 0..4000 {
        zone.expect(&malformed, Expected::MALFORMED_DROPPED);
    }
    let blocked = Frame::carrying(&Kind::Blocked.v4());
    zone.expect(&blocked, Kind::Blocked.where_default_passes());
}
