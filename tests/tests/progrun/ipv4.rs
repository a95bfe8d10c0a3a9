//! IPv4 is classified by its source only.

use ipblock_tests::{
    packet::{Frame, Ipv4, Payload},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::{Expected, Zone},
};

/// Asserts that packets made so from every kind of source are classified.
#[track_caller]
fn expect_classified(zone: &mut Zone, what: &str, make: impl Fn(Ipv4) -> Ipv4) {
    for kind in Kind::ALL {
        let frame = Frame::carrying(&make(kind.v4()));
        zone.expect_of(what, &frame, kind.where_default_passes());
    }
}

#[test]
fn every_protocol_number_is_classified() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for protocol in 0..=255 {
        let what = format!("protocol {protocol}");
        expect_classified(&mut zone, &what, |packet| {
            packet.with(Payload::of_protocol(protocol, &[0; 8]))
        });
    }
}

#[test]
fn tunnels_are_classified_by_their_outer_source() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    let inner = Frame::carrying(&Kind::Blocked.v4());
    for payload in [
        Payload::gre().data(&inner.bytes()[14..]),
        Payload::of_protocol(4, &inner.bytes()[14..]),
        Payload::esp(),
        Payload::icmp_echo(),
        Payload::tcp(5000, 22),
        Payload::udp(5000, 4789).data(inner.bytes()),
    ] {
        expect_classified(&mut zone, "tunnel", |packet| packet.with(payload.clone()));
    }
}

#[test]
fn options_of_any_length_hide_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for words in 0..=10 {
        let what = format!("{words} words of options");
        expect_classified(&mut zone, &what, |packet| packet.options(words));
    }
}

#[test]
fn options_that_the_frame_does_not_hold_hide_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for ihl in 6..=15 {
        let what = format!("IHL {ihl} in a frame that ends after the fixed header");
        expect_classified(&mut zone, &what, |packet| {
            packet.claimed_ihl(ihl).with(Payload::of_protocol(17, &[]))
        });
    }
}

#[test]
fn fragments_are_classified_like_any_packet() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for (offset, more) in [
        (0, true),
        (1, true),
        (1, false),
        (185, false),
        (0x1fff, false),
    ] {
        let what = format!("fragment at {offset}, more: {more}");
        expect_classified(&mut zone, &what, |packet| {
            packet
                .fragment(offset, more)
                .with(Payload::of_protocol(17, &[0xff; 8]))
        });
    }
}

#[test]
fn an_upper_layer_that_is_cut_short_hides_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for protocol in [1, 6, 17, 47, 50] {
        for length in 0..8 {
            let what = format!("protocol {protocol} with {length} bytes");
            expect_classified(&mut zone, &what, |packet| {
                packet.with(Payload::of_protocol(protocol, &[0xff; 8][..length]))
            });
        }
    }
}

#[test]
fn a_header_that_claims_to_be_shorter_than_one_is_malformed() {
    let root = require_privileged!();
    let mut passing = Fixture::denylist().load(root);
    let mut dropping = Fixture::denylist().malformed_drop().load(root);
    for ihl in 0..5 {
        for kind in Kind::ALL {
            let frame = Frame::carrying(&kind.v4().claimed_ihl(ihl));
            passing.expect(&frame, Expected::MALFORMED_PASSED);
            dropping.expect(&frame, Expected::MALFORMED_DROPPED);
        }
    }
}

#[test]
fn another_version_under_the_ether_type_of_ipv4_is_malformed() {
    let root = require_privileged!();
    let mut passing = Fixture::denylist().load(root);
    let mut dropping = Fixture::denylist().malformed_drop().load(root);
    for version in (0..16).filter(|version| *version != 4) {
        let frame = Frame::carrying(&Kind::Blocked.v4().claimed_version(version));
        passing.expect(&frame, Expected::MALFORMED_PASSED);
        dropping.expect(&frame, Expected::MALFORMED_DROPPED);
    }
    let ipv6 = Frame::carrying(&Kind::Blocked.v6());
    let mislabelled = Frame::of_type(0x0800, &ipv6.bytes()[14..]);
    dropping.expect(&mislabelled, Expected::MALFORMED_DROPPED);
}
