//! VLAN tags, and frames that are not IP.

use ipblock_tests::{
    packet::{CTAG, Frame, STAG},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

/// Every way to stack up to two tags.
const STACKS: [&[u16]; 7] = [
    &[],
    &[CTAG],
    &[STAG],
    &[CTAG, CTAG],
    &[CTAG, STAG],
    &[STAG, CTAG],
    &[STAG, STAG],
];

/// What is not IP, by `EtherType` or 802.3 length.
const NOT_IP: [(&str, u16); 16] = [
    ("802.3 length of 3 bytes", 3),
    ("802.3 length of 46 bytes", 46),
    ("802.3 length of 1500 bytes", 1500),
    ("ARP", 0x0806),
    ("reverse ARP", 0x8035),
    ("PPPoE discovery", 0x8863),
    ("PPPoE session", 0x8864),
    ("LACP", 0x8809),
    ("LLDP", 0x88cc),
    ("MPLS unicast", 0x8847),
    ("MPLS multicast", 0x8848),
    ("802.1X", 0x888e),
    ("MACsec", 0x88e5),
    // Tags, but not of 802.1Q or 802.1ad.
    ("old Q-in-Q", 0x9100),
    ("old Q-in-Q, second form", 0x9200),
    // IPv4's EtherType in the wrong byte order.
    ("unassigned", 0x0008),
];

#[test]
fn what_is_inside_up_to_two_vlan_tags_is_classified() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for stack in STACKS {
        for kind in Kind::ALL {
            let what = format!("{kind:?} behind {stack:04x?}");
            let expected = kind.where_default_passes();
            zone.expect_of(&what, &Frame::carrying(&kind.v4()).tagged(stack), expected);
            zone.expect_of(&what, &Frame::carrying(&kind.v6()).tagged(stack), expected);
        }
    }
}

#[test]
fn a_third_vlan_tag_is_malformed() {
    let root = require_privileged!();
    let mut passing = Fixture::denylist().load(root);
    let mut dropping = Fixture::denylist().malformed_drop().load(root);
    for outer in STACKS.into_iter().filter(|stack| stack.len() == 2) {
        for inner in [CTAG, STAG] {
            let stack = [outer, &[inner]].concat();
            for kind in Kind::ALL {
                for frame in [Frame::carrying(&kind.v4()), Frame::carrying(&kind.v6())] {
                    let frame = frame.tagged(&stack);
                    passing.expect(&frame, Expected::MALFORMED_PASSED);
                    dropping.expect(&frame, Expected::MALFORMED_DROPPED);
                }
            }
        }
    }
}

#[test]
fn what_is_not_ip_passes_behind_any_tags_and_under_any_policy() {
    let root = require_privileged!();
    let zones = [Fixture::denylist(), Fixture::allow_only().malformed_drop()];
    for mut zone in zones.map(|fixture| fixture.load(root)) {
        for (what, ether_type) in NOT_IP {
            for stack in STACKS {
                // Inside is what would be blocked if it were read as IP.
                let blocked = Frame::carrying(&Kind::Blocked.v4());
                let frame = Frame::of_type(ether_type, &blocked.bytes()[14..]).tagged(stack);
                zone.expect_of(what, &frame, Expected::NON_IP);
            }
        }
    }
}

#[test]
fn a_frame_of_nothing_but_a_header_is_judged_by_its_type() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    zone.expect(&Frame::of_type(0x88cc, &[]), Expected::NON_IP);
    zone.expect(&Frame::of_type(0x0800, &[]), Expected::MALFORMED_PASSED);
    zone.expect(&Frame::of_type(0x86dd, &[]), Expected::MALFORMED_PASSED);
    zone.expect(&Frame::of_type(CTAG, &[]), Expected::MALFORMED_PASSED);
    zone.expect(&Frame::of_type(STAG, &[]), Expected::MALFORMED_PASSED);
}

#[test]
fn a_tag_of_priority_only_hides_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    // VLAN id 0 with every priority, with and without the drop-eligible bit.
    for control in (0..16_u16).map(|bits| bits << 12) {
        let blocked = Frame::carrying(&Kind::Blocked.v4());
        let mut inside = control.to_be_bytes().to_vec();
        inside.extend(&blocked.bytes()[12..]);
        let frame = Frame::of_type(CTAG, &inside);
        zone.expect(&frame, Kind::Blocked.where_default_passes());
    }
}
