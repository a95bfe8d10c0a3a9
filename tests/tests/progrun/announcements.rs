//! The content of an announcement: fields of the event, wherever they are in the frame.

use ipblock_common::{AlertEvent, SourceKey};
use ipblock_tests::{
    packet::{CTAG, ETHERNET, Extension, Frame, Ipv4, Ipv6, Payload, STAG},
    require_privileged,
};

use crate::{
    alerts::{GENERATION, WARNED, Watch, fixture, warned, warned_key},
    fixture::Fixture,
    fragments::can_split,
    sources::{key, padded},
};

/// Index of the loopback interface, which `BPF_PROG_TEST_RUN` lets frames come in by.
const LOOPBACK: u32 = 1;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// The expected event of a packet from 192.0.2.7 or `2001:db8::7` to the usual destination.
struct Told {
    protocol: u8,
    port: Option<u16>,
}

#[track_caller]
fn check(what: &str, event: &AlertEvent, source: SourceKey, destination: [u8; 16], told: &Told) {
    let expected = AlertEvent {
        source,
        start: event.start,
        previous_start: 0,
        previous_packets: 0,
        interface: LOOPBACK,
        destination_port: told.port.unwrap_or(0),
        has_port: told.port.is_some().into(),
        protocol: told.protocol,
        destination,
    };
    assert_eq!(*event, expected, "{what}");
}

#[test]
fn the_first_packet_of_a_source_is_announced_with_all_that_it_says() {
    let root = require_privileged!();
    let destination = "192.0.2.99".parse().unwrap();
    let packet = || Ipv4::from("192.0.2.7").to(destination);
    let frame = |packet: &Ipv4| Frame::carrying(packet);
    let tcp = packet().with(Payload::tcp(5000, 443));
    let long_options = packet().options(10).with(Payload::udp(5000, 65_535));
    let first = packet().fragment(0, true).with(Payload::udp(5000, 123));
    let later = packet().fragment(185, false).with(Payload::udp(5000, 123));
    let tcp_port_at = ETHERNET + 20 + 2;
    for (what, frame, protocol, port) in [
        ("TCP", frame(&tcp), TCP, Some(443)),
        (
            "do not fragment",
            frame(&tcp.clone().dont_fragment()),
            TCP,
            Some(443),
        ),
        ("UDP", frame(&packet()), UDP, Some(53)),
        (
            "port 0",
            frame(&packet().with(Payload::udp(0, 0))),
            UDP,
            Some(0),
        ),
        (
            "ICMP",
            frame(&packet().with(Payload::icmp_echo())),
            ICMP,
            None,
        ),
        ("GRE", frame(&packet().with(Payload::gre())), 47, None),
        ("ESP", frame(&packet().with(Payload::esp())), 50, None),
        ("options", frame(&long_options), UDP, Some(65_535)),
        ("first fragment", frame(&first), UDP, Some(123)),
        ("later fragment", frame(&later), UDP, None),
        ("VLAN", frame(&tcp).tagged(&[CTAG]), TCP, Some(443)),
        ("QinQ", frame(&tcp).tagged(&[STAG, CTAG]), TCP, Some(443)),
        ("eight tags", frame(&tcp).tagged(&[CTAG; 8]), TCP, Some(443)),
        (
            "no upper layer",
            frame(&tcp).truncated(ETHERNET + 20),
            TCP,
            None,
        ),
        (
            "half a port",
            frame(&tcp).truncated(tcp_port_at + 1),
            TCP,
            None,
        ),
        (
            "a port and no more",
            frame(&tcp).truncated(tcp_port_at + 2),
            TCP,
            Some(443),
        ),
        (
            "options that are not there",
            frame(&tcp.clone().claimed_ihl(15)),
            TCP,
            None,
        ),
        ("aggregate", frame(&tcp).padded(20_000), TCP, Some(443)),
    ] {
        let mut watch = Watch::new(&fixture(), root);
        let event = watch.announces(what, &frame, WARNED);
        let told = Told { protocol, port };
        let destination = padded(&destination.octets());
        check(what, &event, warned_key(), destination, &told);
    }
}

#[test]
fn a_packet_that_ends_behind_its_source_is_announced_without_a_destination() {
    let mut watch = Watch::new(&fixture(), require_privileged!());
    let v4 = warned().truncated(ETHERNET + 16);
    let event = watch.announces("IPv4", &v4, WARNED);
    let none = [0; 16];
    let told = Told {
        protocol: UDP,
        port: None,
    };
    check("IPv4", &event, warned_key(), none, &told);
    let v6 = Frame::carrying(&Ipv6::from("2001:db8::7")).truncated(ETHERNET + 24);
    let event = watch.announces("IPv6", &v6, WARNED);
    let source = key(GENERATION, 1, "2001:db8::7");
    check("IPv6", &event, source, none, &told);
}

#[test]
fn ports_are_found_behind_extension_headers() {
    use Extension::{
        Authentication, DestinationOptions, Fragment, HopByHop, HostIdentity, Mobility, Routing,
        Shim6,
    };
    let root = require_privileged!();
    let in_order = [
        HopByHop,
        DestinationOptions,
        Routing,
        Fragment(0),
        Authentication,
        DestinationOptions,
    ];
    let cases: [(&[Extension], u8, Option<u16>); 14] = [
        (&[], TCP, Some(22)),
        (&[HopByHop], TCP, Some(22)),
        (&[Routing], TCP, Some(22)),
        (&[Fragment(0)], TCP, Some(22)),
        (&[DestinationOptions], TCP, Some(22)),
        (&[Authentication], TCP, Some(22)),
        (&in_order, TCP, Some(22)),
        (&[HopByHop; 8], TCP, Some(22)),
        // More of them are made to confuse a parser.
        (&[HopByHop; 9], 0, None),
        // The bytes after a later fragment's header are not a header.
        (&[Fragment(185)], TCP, None),
        (&[HopByHop, Fragment(185)], TCP, None),
        (&[Mobility], 135, None),
        (&[HostIdentity], 139, None),
        (&[Shim6], 140, None),
    ];
    let destination = "2001:db8:ffff::53".parse().unwrap();
    for (extensions, protocol, port) in cases {
        let packet = Ipv6::from("2001:db8::7")
            .to(destination)
            .extensions(extensions)
            .with(Payload::tcp(5000, 22));
        let mut watch = Watch::new(&fixture(), root);
        let frame = Frame::carrying(&packet).tagged(&[STAG, CTAG]);
        let event = watch.announces(&format!("{extensions:?}"), &frame, WARNED);
        let source = key(GENERATION, 1, "2001:db8::7");
        let told = Told { protocol, port };
        check(
            &format!("{extensions:?}"),
            &event,
            source,
            destination.octets(),
            &told,
        );
    }
}

#[test]
fn what_lies_beyond_the_first_buffer_is_told() {
    let root = require_privileged!();
    if !can_split(&Fixture::empty().load(root)) {
        return;
    }
    let mut watch = Watch::new(&fixture(), root);
    let packet = Ipv6::from("2001:db8::7")
        .extensions(&[Extension::Routing, Extension::Authentication])
        .with(Payload::tcp(5000, 22));
    let frame = Frame::carrying(&packet).tagged(&[CTAG]);
    let source = key(GENERATION, 1, "2001:db8::7");
    for linear in ETHERNET..=frame.len() {
        watch.zone.expect_split(&frame, linear, WARNED);
        let events = watch.zone.events();
        let [event] = events.as_slice() else {
            panic!(
                "{linear} bytes in the first buffer: {} events",
                events.len()
            );
        };
        let told = (event.protocol, event.has_port, event.destination_port);
        assert_eq!(told, (TCP, 1, 22), "{linear} bytes in the first buffer");
        watch.ends_window(&source);
    }
}
