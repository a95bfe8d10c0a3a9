//! Packets that the default of an allow-only zone never drops: neighbour discovery and the host's
//! lease.

use ipblock_common::Outcome;
use ipblock_tests::{
    packet::{CTAG, Extension, Frame, Ipv4, Ipv6, Payload, STAG},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::{Expected, Zone},
};

pub(crate) fn discovery(packet: Ipv6, message: u8) -> Ipv6 {
    packet.hop_limit(255).with(Payload::icmpv6(message))
}

fn offer(packet: Ipv4) -> Ipv4 {
    packet.with(Payload::udp(67, 68).data(&[0; 240]))
}

fn reply(packet: Ipv6) -> Ipv6 {
    packet.with(Payload::udp(547, 546).data(&[0; 60]))
}

/// One frame of each essential kind from such a source.
fn essentials(kind: Kind) -> Vec<Frame> {
    (133..=137)
        .map(|message| Frame::carrying(&discovery(kind.v6(), message)))
        .chain([
            Frame::carrying(&offer(kind.v4())),
            Frame::carrying(&reply(kind.v6())),
        ])
        .collect()
}

/// Asserts that the default drops packets from an unlisted source.
#[track_caller]
fn expect_dropped_v4(zone: &mut Zone, what: &str, make: impl Fn(Ipv4) -> Ipv4) {
    let frame = Frame::carrying(&make(Kind::Unlisted.v4()));
    zone.expect_of(what, &frame, Expected::DROPPED);
}

#[track_caller]
fn expect_dropped_v6(zone: &mut Zone, what: &str, make: impl Fn(Ipv6) -> Ipv6) {
    let frame = Frame::carrying(&make(Kind::Unlisted.v6()));
    zone.expect_of(what, &frame, Expected::DROPPED);
}

#[test]
fn the_default_spares_what_is_essential_and_rules_do_not() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for kind in Kind::ALL {
        // As if the default were to pass: blocked stays blocked, and warned causes a warning.
        for frame in essentials(kind) {
            zone.expect_of(&format!("{kind:?}"), &frame, kind.where_default_passes());
        }
    }
}

#[test]
fn where_the_default_passes_nothing_is_special() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for kind in Kind::ALL {
        for frame in essentials(kind) {
            zone.expect_of(&format!("{kind:?}"), &frame, kind.where_default_passes());
        }
    }
}

#[test]
fn essentials_are_found_behind_vlan_tags() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for stack in [
        &[CTAG][..],
        &[STAG],
        &[STAG, CTAG],
        &[CTAG, CTAG],
        &[CTAG; 8],
    ] {
        for frame in essentials(Kind::Unlisted) {
            zone.expect(&frame.tagged(stack), Expected::PASSED);
        }
    }
    for frame in essentials(Kind::Unlisted) {
        zone.expect(&frame.tagged(&[CTAG; 9]), Expected::MALFORMED_DROPPED);
    }
}

#[test]
fn discovery_passes_from_the_addresses_that_it_comes_from() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    // Duplicate address detection, and any neighbour.
    for source in ["::", "fe80::1", "2001:db8::1"] {
        for message in 133..=137 {
            let frame = Frame::carrying(&discovery(Ipv6::from(source), message));
            zone.expect_of(source, &frame, Expected::PASSED);
        }
    }
}

#[test]
fn discovery_that_was_forwarded_is_not_essential() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for hop_limit in [0, 1, 64, 128, 254] {
        for message in 133..=137 {
            let what = format!("type {message}, hop limit {hop_limit}");
            expect_dropped_v6(&mut zone, &what, |packet| {
                discovery(packet, message).hop_limit(hop_limit)
            });
        }
    }
}

#[test]
fn other_icmpv6_messages_are_not_essential() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for message in (0..=255).filter(|message| !(133..=137).contains(message)) {
        expect_dropped_v6(&mut zone, &format!("type {message}"), |packet| {
            discovery(packet, message)
        });
    }
    // The same numbers under ICMP, and in ICMP's protocol number on IPv6.
    expect_dropped_v4(&mut zone, "ICMPv6 in IPv4", |packet| {
        packet.with(Payload::icmpv6(135))
    });
    expect_dropped_v6(&mut zone, "ICMP in IPv6", |packet| {
        packet
            .hop_limit(255)
            .with(Payload::icmpv6(135).claimed_protocol(1))
    });
}

#[test]
fn discovery_behind_extension_headers_is_not_essential() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for extension in Extension::ALL {
        expect_dropped_v6(&mut zone, &format!("{extension:?}"), |packet| {
            discovery(packet, 135).extensions(&[extension])
        });
        expect_dropped_v6(&mut zone, &format!("{extension:?}"), |packet| {
            reply(packet).extensions(&[extension])
        });
    }
}

#[test]
fn only_the_servers_answer_is_essential() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for (source, destination) in [(68, 67), (67, 67), (68, 68), (67, 53), (53, 68), (547, 546)] {
        let what = format!("UDP {source} to {destination}");
        expect_dropped_v4(&mut zone, &what, |packet| {
            packet.with(Payload::udp(source, destination))
        });
    }
    for (source, destination) in [(546, 547), (547, 547), (546, 546), (547, 53), (67, 68)] {
        let what = format!("UDP {source} to {destination}");
        expect_dropped_v6(&mut zone, &what, |packet| {
            packet.with(Payload::udp(source, destination))
        });
    }
    expect_dropped_v4(&mut zone, "TCP", |packet| packet.with(Payload::tcp(67, 68)));
    expect_dropped_v6(&mut zone, "TCP", |packet| {
        packet.with(Payload::tcp(547, 546))
    });
}

#[test]
fn a_lease_behind_ip_options_is_found() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for words in 0..=10 {
        let frame = Frame::carrying(&offer(Kind::Unlisted.v4()).options(words));
        zone.expect_of(&format!("{words} words"), &frame, Expected::PASSED);
    }
    let unfragmented = offer(Kind::Unlisted.v4()).dont_fragment();
    zone.expect(&Frame::carrying(&unfragmented), Expected::PASSED);
}

#[test]
fn ports_in_ip_options_are_no_lease() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    // The ports are where they would be without options.
    expect_dropped_v4(&mut zone, "IHL 6", |packet| {
        packet
            .claimed_ihl(6)
            .with(Payload::udp(67, 68).data(&[0; 8]))
    });
}

#[test]
fn a_fragment_is_never_essential() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for (offset, more) in [(0, true), (1, true), (1, false), (0x1fff, false)] {
        expect_dropped_v4(&mut zone, &format!("at {offset}, more: {more}"), |packet| {
            offer(packet).fragment(offset, more)
        });
    }
}

#[test]
fn everything_else_is_hit_by_the_default() {
    let mut zone = Fixture::allow_only().load(require_privileged!());
    for protocol in (0..=255).filter(|protocol| ![17, 58].contains(protocol)) {
        let payload = Payload::udp(67, 68).claimed_protocol(protocol);
        let what = format!("protocol {protocol}");
        expect_dropped_v4(&mut zone, &what, |packet| packet.with(payload.clone()));
        expect_dropped_v6(&mut zone, &what, |packet| packet.with(payload.clone()));
    }
    let allowed = Frame::carrying(&Kind::Allowed.v4().with(Payload::icmp_echo()));
    zone.expect(&allowed, Expected::pass(Outcome::Allowed).class(3));
}
