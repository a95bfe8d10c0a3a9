//! Frames that are not IP, with and without VLAN tags.

use ipblock_tests::{
    packet::{CTAG, Frame, STAG},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

/// Every way to stack up to two tags, and the maximum number of tags.
const STACKS: [&[u16]; 8] = [
    &[],
    &[CTAG],
    &[STAG],
    &[CTAG, CTAG],
    &[CTAG, STAG],
    &[STAG, CTAG],
    &[STAG, STAG],
    &[CTAG, STAG, CTAG, CTAG, STAG, STAG, CTAG, CTAG],
];

/// Protocols other than IP, by `EtherType` or 802.3 length.
const NOT_IP: [(&str, u16); 19] = [
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
    // Tags, but not of 802.1Q or 802.1ad; Linux takes none of them for a VLAN tag.
    ("old Q-in-Q", 0x9100),
    ("old Q-in-Q, second form", 0x9200),
    ("802.1ah", 0x88e7),
    ("HSR", 0x892f),
    ("CTAG in the wrong byte order", 0x0081),
    // IPv4's EtherType in the wrong byte order.
    ("unassigned", 0x0008),
];

#[test]
fn what_is_not_ip_passes_behind_any_tags_and_under_any_policy() {
    let root = require_privileged!();
    let zones = [Fixture::denylist(), Fixture::allow_only().malformed_drop()];
    for mut zone in zones.map(|fixture| fixture.load(root)) {
        for (what, ether_type) in NOT_IP {
            for stack in STACKS {
                // The content would be blocked if it were read as IP.
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
