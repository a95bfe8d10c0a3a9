//! The `malformed` policy, which is not the default.

use ipblock_tests::{packet::Frame, require_privileged};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

#[test]
fn the_malformed_policy_and_the_default_are_independent() {
    let root = require_privileged!();
    let policies = [
        (Fixture::denylist(), Expected::MALFORMED_PASSED),
        (Fixture::allow_only(), Expected::MALFORMED_PASSED),
        (
            Fixture::denylist().malformed_drop(),
            Expected::MALFORMED_DROPPED,
        ),
        (
            Fixture::allow_only().malformed_drop(),
            Expected::MALFORMED_DROPPED,
        ),
    ];
    for (fixture, expected) in policies {
        let mut zone = fixture.load(root);
        for kind in Kind::ALL {
            zone.expect(&Frame::carrying(&kind.v4()).truncated(29), expected);
            zone.expect(&Frame::carrying(&kind.v6()).truncated(37), expected);
            zone.expect(&Frame::carrying(&kind.v4().claimed_ihl(4)), expected);
            zone.expect(&Frame::carrying(&kind.v6().claimed_version(5)), expected);
        }
    }
}

#[test]
fn what_only_looks_odd_is_not_malformed() {
    let mut zone = Fixture::denylist()
        .malformed_drop()
        .load(require_privileged!());
    for kind in Kind::ALL {
        let expected = kind.where_default_passes();
        // Padding up to the shortest Ethernet frame and beyond, and lengths that lie.
        let v4 = Frame::carrying(&kind.v4());
        let v6 = Frame::carrying(&kind.v6());
        zone.expect(&v4.clone().padded(60), expected);
        zone.expect(&v6.clone().padded(100), expected);
        for frame in [v4, v6] {
            zone.expect(&frame.truncated(38), expected);
        }
    }
}
