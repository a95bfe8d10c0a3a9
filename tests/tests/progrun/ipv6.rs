//! IPv6 is classified by its source only.

use ipblock_tests::{
    packet::{Extension, Frame, Ipv6, Payload},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::{Expected, Zone},
};

/// Asserts that packets made so from every kind of source are classified.
#[track_caller]
fn expect_classified(zone: &mut Zone, what: &str, make: impl Fn(Ipv6) -> Ipv6) {
    for kind in Kind::ALL {
        let frame = Frame::carrying(&make(kind.v6()));
        zone.expect_of(what, &frame, kind.where_default_passes());
    }
}

#[test]
fn every_next_header_is_classified() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for next_header in 0..=255 {
        let what = format!("next header {next_header}");
        expect_classified(&mut zone, &what, |packet| {
            packet.with(Payload::of_protocol(next_header, &[0; 8]))
        });
    }
}

#[test]
fn upper_layers_and_tunnels_are_classified_by_their_outer_source() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    let inner = Frame::carrying(&Kind::Blocked.v6());
    for payload in [
        Payload::icmpv6(128),
        Payload::icmpv6(135),
        Payload::tcp(5000, 22),
        Payload::udp(547, 546),
        Payload::gre().data(&inner.bytes()[14..]),
        Payload::esp(),
        Payload::of_protocol(41, &inner.bytes()[14..]),
    ] {
        expect_classified(&mut zone, "upper layer", |packet| {
            packet.with(payload.clone())
        });
    }
}

#[test]
fn extension_headers_hide_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for extension in Extension::ALL {
        expect_classified(&mut zone, &format!("{extension:?}"), |packet| {
            packet.extensions(&[extension])
        });
    }
    let many = [Extension::DestinationOptions; 64];
    for extensions in [&Extension::ALL[..], &many] {
        expect_classified(&mut zone, "many extension headers", |packet| {
            packet.extensions(extensions)
        });
    }
}

#[test]
fn an_upper_layer_that_is_cut_short_hides_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for next_header in [0, 6, 17, 43, 44, 58, 60] {
        for length in 0..8 {
            let what = format!("next header {next_header} with {length} bytes");
            expect_classified(&mut zone, &what, |packet| {
                packet.with(Payload::of_protocol(next_header, &[0xff; 8][..length]))
            });
        }
    }
}

#[test]
fn another_version_under_the_ether_type_of_ipv6_is_malformed() {
    let root = require_privileged!();
    let mut passing = Fixture::denylist().load(root);
    let mut dropping = Fixture::denylist().malformed_drop().load(root);
    for version in (0..16).filter(|version| *version != 6) {
        let frame = Frame::carrying(&Kind::Blocked.v6().claimed_version(version));
        passing.expect(&frame, Expected::MALFORMED_PASSED);
        dropping.expect(&frame, Expected::MALFORMED_DROPPED);
    }
    let ipv4 = Frame::carrying(&Kind::Blocked.v4()).padded(100);
    let mislabelled = Frame::of_type(0x86dd, &ipv4.bytes()[14..]);
    dropping.expect(&mislabelled, Expected::MALFORMED_DROPPED);
}
