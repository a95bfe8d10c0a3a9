//! Frames cut at every length from 14 bytes on; `BPF_PROG_TEST_RUN` accepts no shorter ones.
//!
//! A packet is classified exactly if its source address is complete.

use ipblock_tests::{
    packet::{CTAG, ETHERNET, Extension, Frame, Payload, STAG},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::{Expected, Zone},
};

const STACKS: [&[u16]; 6] = [
    &[],
    &[CTAG],
    &[STAG, CTAG],
    &[CTAG, CTAG],
    &[CTAG, STAG, CTAG],
    &[STAG, CTAG, CTAG, CTAG, STAG, CTAG, CTAG, STAG],
];
/// Tags that are skipped.
const SKIPPED: usize = 8;
const TAG: usize = 4;
/// Bytes of an IP header up to the end of the source address.
const TO_SOURCE_V4: usize = 16;
const TO_SOURCE_V6: usize = 24;

/// Asserts `otherwise` for every length below `needed`, and `expected` from there on.
#[track_caller]
fn expect_at_every_length(
    zone: &mut Zone,
    frame: &Frame,
    needed: usize,
    expected: Expected,
    otherwise: Expected,
) {
    for length in ETHERNET..=frame.len() {
        let cut = frame.clone().truncated(length);
        let expected = if length < needed { otherwise } else { expected };
        zone.expect_of(&format!("cut to {length} bytes"), &cut, expected);
    }
}

#[test]
fn a_cut_packet_is_classified_when_its_source_is_there_and_malformed_otherwise() {
    let root = require_privileged!();
    let zones = [
        (Fixture::denylist(), Expected::MALFORMED_PASSED),
        (
            Fixture::denylist().malformed_drop(),
            Expected::MALFORMED_DROPPED,
        ),
    ];
    for (fixture, malformed) in zones {
        let mut zone = fixture.load(root);
        for stack in STACKS {
            let link_layer = ETHERNET + stack.len() * TAG;
            for kind in Kind::ALL {
                let expected = kind.where_default_passes();
                for packet in [
                    kind.v4().with(Payload::tcp(5000, 22)),
                    kind.v4().options(3),
                    kind.v4().fragment(5, false).with(Payload::gre()),
                ] {
                    let frame = Frame::carrying(&packet).tagged(stack);
                    let needed = link_layer + TO_SOURCE_V4;
                    expect_at_every_length(&mut zone, &frame, needed, expected, malformed);
                }
                for packet in [
                    kind.v6().with(Payload::icmpv6(135)),
                    kind.v6().extensions(&[Extension::HopByHop]),
                ] {
                    let frame = Frame::carrying(&packet).tagged(stack);
                    let needed = link_layer + TO_SOURCE_V6;
                    expect_at_every_length(&mut zone, &frame, needed, expected, malformed);
                }
            }
        }
    }
}

#[test]
fn a_cut_tag_is_malformed_whatever_is_behind_it() {
    let root = require_privileged!();
    let mut zone = Fixture::denylist().malformed_drop().load(root);
    for stack in STACKS {
        let frame = Frame::of_type(0x88cc, &[0; 20]).tagged(stack);
        let needed = ETHERNET + stack.len() * TAG;
        expect_at_every_length(
            &mut zone,
            &frame,
            needed,
            Expected::NON_IP,
            Expected::MALFORMED_DROPPED,
        );
    }
}

#[test]
fn a_ninth_tag_is_dropped_as_soon_as_it_shows() {
    let root = require_privileged!();
    let zones = [
        (Fixture::denylist(), Expected::MALFORMED_PASSED),
        (
            Fixture::denylist().malformed_drop(),
            Expected::MALFORMED_DROPPED,
        ),
    ];
    for (fixture, cut) in zones {
        let mut zone = fixture.load(root);
        for tags in [SKIPPED + 1, SKIPPED + 2] {
            for frame in [
                Frame::carrying(&Kind::Blocked.v4()),
                Frame::carrying(&Kind::Allowed.v6()),
            ] {
                let frame = frame.behind(&[(CTAG, 0); SKIPPED + 2][..tags]);
                // Up to the ninth tag's protocol, the frame has a truncated tag.
                let needed = ETHERNET + SKIPPED * TAG;
                let dropped = Expected::MALFORMED_DROPPED;
                expect_at_every_length(&mut zone, &frame, needed, dropped, cut);
            }
        }
    }
}

#[test]
fn the_default_drops_a_cut_packet_that_could_have_been_essential() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    let offer = Kind::Unlisted.v4().options(2).with(Payload::udp(67, 68));
    let advertisement = Kind::Unlisted
        .v6()
        .hop_limit(255)
        .with(Payload::icmpv6(134));
    // Up to the end of the ports, and of the message type.
    let cases = [
        (Frame::carrying(&offer), TO_SOURCE_V4, 28 + 4),
        (Frame::carrying(&advertisement), TO_SOURCE_V6, 40 + 1),
    ];
    for (frame, to_source, to_proof) in cases {
        for length in ETHERNET..=frame.len() {
            let expected = match length - ETHERNET {
                there if there < to_source => Expected::MALFORMED_PASSED,
                there if there < to_proof => Expected::DROPPED,
                _ => Expected::PASSED,
            };
            zone.expect(&frame.clone().truncated(length), expected);
        }
    }
}
