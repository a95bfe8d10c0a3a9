//! VLAN tags: up to eight are skipped, and a packet with more is dropped. Linux removes any number
//! of priority tags (VLAN id 0) and accepts the packet inside, without any VLAN device
//! (`__netif_receive_skb_core` in `net/core/dev.c`; `tests/e2e/own_stack.rs` proves it).

use ipblock_tests::{
    packet::{CTAG, Frame, Ipv4, Ipv6, STAG},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

/// Tags that are skipped.
const SKIPPED: usize = 8;
/// More than any test needs.
const MOST: usize = 10;

/// Tag control information of priority tags: id 0, without and with a priority, and drop-eligible.
const PRIORITY: [u16; 3] = [0, 0xe000, 0x1000];
/// The same with ids: the lowest, any, the highest that is assigned, and the reserved one.
const IDS: [u16; 4] = [1, 101, 0x0ffe, 0xffff];

type Stack = Vec<(u16, u16)>;

/// The verdict on a source with a valid packet.
type Usual = fn(Kind) -> Expected;

/// Stacks of this many tags: each protocol alone and both in turns, with priorities, with ids, and
/// with both.
fn stacks(count: usize) -> Vec<Stack> {
    const PROTOCOLS: [&[u16]; 4] = [&[CTAG], &[STAG], &[STAG, CTAG], &[CTAG, CTAG, STAG]];
    let mixed = [PRIORITY[0], IDS[1], PRIORITY[1], IDS[0]];
    let controls: [&[u16]; 4] = [&PRIORITY[..1], &PRIORITY, &IDS, &mixed];
    let mut stacks: Vec<Stack> = PROTOCOLS
        .into_iter()
        .flat_map(|protocols| controls.map(|controls| (protocols, controls)))
        .map(|(protocols, controls)| {
            let protocols = protocols.iter().copied().cycle();
            let controls = controls.iter().copied().cycle();
            protocols.zip(controls).take(count).collect()
        })
        .collect();
    stacks.sort_unstable();
    stacks.dedup();
    stacks
}

/// A packet of either family from such a source.
fn frames(kind: Kind) -> [Frame; 2] {
    [Frame::carrying(&kind.v4()), Frame::carrying(&kind.v6())]
}

/// Both defaults under both policies.
fn fixtures() -> [(Fixture, Usual); 4] {
    [
        (Fixture::denylist(), Kind::where_default_passes),
        (
            Fixture::denylist().malformed_drop(),
            Kind::where_default_passes,
        ),
        (Fixture::allow_only(), Kind::where_default_drops),
        (
            Fixture::allow_only().malformed_drop(),
            Kind::where_default_drops,
        ),
    ]
}

#[test]
fn up_to_eight_tags_are_skipped() {
    let root = require_privileged!();
    for (fixture, usual) in fixtures() {
        let mut zone = fixture.load(root);
        for stack in (0..=SKIPPED).flat_map(stacks) {
            for kind in Kind::ALL {
                let what = format!("{kind:?} behind {} tags {stack:04x?}", stack.len());
                for frame in frames(kind) {
                    zone.expect_of(&what, &frame.behind(&stack), usual(kind));
                }
            }
        }
    }
}

#[test]
fn a_packet_behind_more_tags_is_dropped_under_any_policy() {
    let root = require_privileged!();
    for (fixture, _) in fixtures() {
        let mut zone = fixture.load(root);
        let lldp = Frame::of_type(0x88cc, &[0; 46]);
        for stack in (SKIPPED + 1..=MOST).flat_map(stacks) {
            let what = format!("behind {} tags {stack:04x?}", stack.len());
            for frame in Kind::ALL.into_iter().flat_map(frames).chain([lldp.clone()]) {
                zone.expect_of(&what, &frame.behind(&stack), Expected::MALFORMED_DROPPED);
            }
        }
    }
}

#[test]
fn a_banned_source_is_found_behind_eight_tags() {
    let root = require_privileged!();
    let bans = |fixture: Fixture| {
        fixture
            .ban("192.0.2.7/32", u64::MAX)
            .ban("2001:db8:bad::/48", u64::MAX)
    };
    let frames = [
        Frame::carrying(&Ipv4::from("192.0.2.7")),
        Frame::carrying(&Ipv6::from("2001:db8:bad::7")),
    ];
    for (fixture, _) in fixtures() {
        let mut zone = bans(fixture).load(root);
        for frame in &frames {
            for stack in (0..=SKIPPED).flat_map(stacks) {
                zone.expect(&frame.clone().behind(&stack), Expected::BANNED);
            }
            for stack in (SKIPPED + 1..=MOST).flat_map(stacks) {
                zone.expect(&frame.clone().behind(&stack), Expected::MALFORMED_DROPPED);
            }
        }
    }
}

/// Found by an attack: three priority tags hid a blocked source on the same link, because a third
/// tag was malformed, and malformed packets pass by default.
#[test]
fn three_priority_tags_hide_no_blocked_source() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for protocol in [CTAG, STAG] {
        for priority in PRIORITY {
            for frame in frames(Kind::Blocked) {
                let frame = frame.behind(&[(protocol, priority); 3]);
                zone.expect(&frame, Kind::Blocked.where_default_passes());
            }
        }
    }
}

#[test]
fn a_priority_tag_of_any_priority_hides_no_blocked_source() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    // VLAN id 0 with every priority, with and without the drop-eligible bit.
    for control in (0..16_u16).map(|bits| bits << 12) {
        for frame in frames(Kind::Blocked) {
            let frame = frame.behind(&[(CTAG, control)]);
            zone.expect(&frame, Kind::Blocked.where_default_passes());
        }
    }
}
