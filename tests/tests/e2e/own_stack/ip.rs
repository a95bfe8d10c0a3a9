//! Kinds that differ in the IP header, or after it.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipblock_tests::packet::{CTAG, ETHERNET, Extension, Frame, IPV4, IPV6, Ipv4, Ipv6, Payload};

use super::{
    craft::{
        bytes, ipv4, ipv4_fragments, ipv4_of_length, ipv6_fragments, ipv6_of_length, ipv6_with,
    },
    kinds::{BLOCKED_V4, BLOCKED_V6, Kind, udp, udp_v4, udp_v6},
};

fn v4(payload: Payload) -> Frame {
    Frame::carrying(&Ipv4::from(BLOCKED_V4).with(payload))
}

fn v6(payload: Payload) -> Frame {
    Frame::carrying(&Ipv6::from(BLOCKED_V6).with(payload))
}

/// Every protocol number, and what carries something.
pub(crate) fn protocols() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for protocol in 0..=255 {
        let payload = Payload::of_protocol(protocol, &[0; 8]);
        let name = |family| format!("{family} protocol {protocol}");
        kinds.push(Kind::asked(name("IPv4"), v4(payload.clone())));
        kinds.push(Kind::asked(name("IPv6"), v6(payload)));
    }
    let (inner4, inner6) = (bytes(&udp_v4()), bytes(&udp_v6()));
    for (name, payload) in [
        ("echo request", Payload::icmp_echo()),
        ("GRE", Payload::gre().data(&inner4)),
        ("ESP", Payload::esp()),
        ("IPv4 in IP", Payload::of_protocol(4, &inner4)),
        ("IPv6 in IP", Payload::of_protocol(41, &inner6)),
        ("VXLAN", Payload::udp(5000, 4789).data(&inner4)),
        ("UDP to nobody", Payload::udp(5000, 9)),
        ("TCP to nobody", Payload::tcp(5000, 9)),
    ] {
        kinds.push(Kind::accepted(format!("IPv4 {name}"), v4(payload.clone())));
        // An ICMP message is none of IPv6's.
        let kind = Kind::asked(format!("IPv6 {name}"), v6(payload));
        kinds.push(kind);
    }
    for message in [128, 133, 134, 135, 136, 137] {
        let packet = Ipv6::from(BLOCKED_V6).hop_limit(255);
        let frame = Frame::carrying(&packet.with(Payload::icmpv6(message)));
        kinds.push(Kind::asked(format!("ICMPv6 {message}"), frame));
    }
    kinds
}

/// Header fields that are wrong, or only look wrong.
pub(crate) fn headers() -> Vec<Kind> {
    let packet = bytes(&udp_v4());
    let mut kinds = Vec::new();
    for version in 0..=15 {
        let mut changed = packet.clone();
        changed[0] = version << 4 | 5;
        kinds.push(Kind::asked(
            format!("IPv4 of version {version}"),
            ipv4(changed),
        ));
        let frame = Frame::carrying(&udp_v6().claimed_version(version));
        kinds.push(Kind::asked(format!("IPv6 of version {version}"), frame));
    }
    for ihl in 0..=15 {
        let mut changed = packet.clone();
        changed[0] = 0x40 | ihl;
        kinds.push(Kind::asked(format!("IHL {ihl}"), ipv4(changed.clone())));
        changed.truncate(20);
        let frame = ipv4_of_length(changed, 20);
        kinds.push(Kind::asked(format!("IHL {ihl} in 20 bytes"), frame));
    }
    for words in 0..=10 {
        let frame = Frame::carrying(&udp_v4().options(words));
        kinds.push(Kind::accepted(format!("{words} words of options"), frame));
    }
    for (name, option) in [
        ("record route", [7, 7, 4, 0, 0, 0, 0, 0]),
        ("time stamps", [68, 8, 5, 0, 0, 0, 0, 0]),
        ("router alert", [148, 4, 0, 0, 1, 1, 1, 1]),
        ("loose source route", [131, 7, 8, 198, 51, 100, 7, 0]),
        ("strict source route", [137, 7, 8, 198, 51, 100, 7, 0]),
        ("an option of no length", [7, 0, 0, 0, 0, 0, 0, 0]),
        ("an option that is too long", [7, 40, 4, 0, 0, 0, 0, 0]),
    ] {
        let mut changed = bytes(&udp_v4().options(2));
        changed[20..28].copy_from_slice(&option);
        kinds.push(Kind::asked(format!("IPv4 with {name}"), ipv4(changed)));
    }
    for (name, at, value) in [
        ("a wrong checksum", 10, 0x55),
        ("TTL 0", 8, 0),
        ("TTL 1", 8, 1),
        ("the evil bit", 6, 0x80),
        ("don't fragment", 6, 0x40),
        ("a type of service", 1, 0xff),
    ] {
        let mut changed = packet.clone();
        changed[at] = value;
        let frame = if at == 10 {
            Frame::of_type(IPV4, &changed)
        } else {
            ipv4(changed)
        };
        kinds.push(Kind::asked(format!("IPv4 with {name}"), frame));
    }
    for (name, at, value) in [
        ("hop limit 0", 7, 0),
        ("hop limit 1", 7, 1),
        ("a traffic class", 0, 0x6f),
        ("a flow label", 1, 0xff),
    ] {
        let mut changed = bytes(&udp_v6());
        changed[at] = value;
        kinds.push(Kind::asked(
            format!("IPv6 with {name}"),
            Frame::of_type(IPV6, &changed),
        ));
    }
    kinds
}

/// Frames that end early or late, and wrong lengths.
pub(crate) fn lengths() -> Vec<Kind> {
    let (packet4, packet6) = (bytes(&udp_v4()), bytes(&udp_v6()));
    let mut kinds = Vec::new();
    for total in [0, 1, 19, 20, 27, 28, 40, 59, 60, 61, 100, 1500, 0xffff] {
        let frame = ipv4_of_length(packet4.clone(), total);
        kinds.push(Kind::asked(format!("IPv4 of total length {total}"), frame));
    }
    for payload in [0, 1, 7, 8, 39, 40, 41, 100, 1500, 0xffff] {
        let frame = ipv6_of_length(packet6.clone(), payload);
        kinds.push(Kind::asked(
            format!("IPv6 of payload length {payload}"),
            frame,
        ));
    }
    for (family, frame) in [
        ("IPv4", Frame::carrying(&udp_v4())),
        ("IPv6", Frame::carrying(&udp_v6())),
    ] {
        for extra in [1, 18, 100, 1000] {
            let padded = frame.clone().padded(frame.len() + extra);
            kinds.push(Kind::accepted(
                format!("{family} and {extra} bytes behind"),
                padded,
            ));
        }
        for tags in [0, 3, 8] {
            let frame = frame.clone().behind(&[(CTAG, 0); 8][..tags]);
            for length in ETHERNET..frame.len() {
                let name = format!("{family} behind {tags} tags, cut to {length} bytes");
                kinds.push(Kind::asked(name, frame.clone().truncated(length)));
            }
        }
    }
    kinds
}

/// Fragments: the stack accepts complete packets, in whatever order the fragments arrive.
pub(crate) fn fragments() -> Vec<Kind> {
    const FIRST: std::ops::Range<usize> = 0..16;
    const LAST: std::ops::Range<usize> = 16..40;
    // 8 bytes of UDP header and 32 of data; (name, parts, whether they make a packet).
    let orders: [(&str, &[std::ops::Range<usize>], bool); 9] = [
        ("in order", &[0..16, 16..40], true),
        ("last first", &[16..40, 0..16], true),
        ("three in order", &[0..8, 8..24, 24..40], true),
        ("three out of order", &[24..40, 0..8, 8..24], true),
        ("one twice", &[0..16, 0..16, 16..40], false),
        ("that overlap", &[0..24, 16..40], false),
        (
            "with a smaller one over another",
            &[0..32, 8..16, 32..40],
            false,
        ),
        ("the first alone", &[FIRST], true),
        ("the last alone", &[LAST], true),
    ];
    let mut kinds = Vec::new();
    for ((name, parts, is_accepted), id) in orders.into_iter().zip(1_u8..) {
        for tags in [0_u8, 3] {
            let mut packet4 = bytes(&udp_v4());
            packet4[4..6].copy_from_slice(&[id, tags]);
            // Queues go by source, destination and identification; in IPv6 the sources differ.
            let source = Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, tags.into(), id.into());
            let packet6 = bytes(&Ipv6::from_source(source).with(udp()));
            for (family, frames) in [
                ("IPv4", ipv4_fragments(&packet4, parts)),
                ("IPv6", ipv6_fragments(&packet6, parts)),
            ] {
                let mut kind =
                    Kind::several(format!("{family} fragments, {name}, tags {tags}"), frames);
                if is_accepted {
                    kind = kind.that_is_accepted();
                }
                // The tags of each fragment differ from those of the previous one.
                for (index, frame) in kind.frames.iter_mut().enumerate() {
                    let tags = usize::from(tags) * (index + 1) % 8;
                    *frame = frame.clone().behind(&[(CTAG, 0); 8][..tags]);
                }
                kinds.push(kind);
            }
        }
    }
    for (offset, more) in [
        (0, true),
        (1, true),
        (1, false),
        (185, false),
        (0x1fff, false),
    ] {
        let frame = Frame::carrying(&udp_v4().fragment(offset, more));
        kinds.push(Kind::asked(
            format!("IPv4 fragment at {offset}, more: {more}"),
            frame,
        ));
    }
    kinds
}

/// IPv6 extension headers.
pub(crate) fn extensions() -> Vec<Kind> {
    let packet = bytes(&udp_v6());
    let mut kinds = Vec::new();
    for extension in Extension::ALL {
        let frame = Frame::carrying(&udp_v6().extensions(&[extension]));
        kinds.push(Kind::asked(format!("IPv6 behind {extension:?}"), frame));
    }
    for (name, extensions) in [
        ("hop-by-hop options", &[Extension::HopByHop][..]),
        ("destination options", &[Extension::DestinationOptions]),
        (
            "seven destination options",
            &[Extension::DestinationOptions; 7],
        ),
        (
            "both",
            &[Extension::HopByHop, Extension::DestinationOptions],
        ),
    ] {
        let frame = Frame::carrying(&udp_v6().extensions(extensions));
        kinds.push(Kind::accepted(format!("IPv6 behind {name}"), frame));
    }
    let many = [Extension::DestinationOptions; 64];
    for extensions in [&Extension::ALL[..], &many] {
        let frame = Frame::carrying(&udp_v6().extensions(extensions));
        kinds.push(Kind::asked(
            format!("IPv6 behind {} headers", extensions.len()),
            frame,
        ));
    }
    for left in [0, 1] {
        for kind in [0, 2, 3, 4] {
            let mut route = vec![2, kind, left, 0, 0, 0, 0];
            route.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
            let name = format!("IPv6 with a route of type {kind}, {left} left");
            kinds.push(Kind::asked(name, ipv6_with(&packet, 43, &route)));
        }
    }
    for length in [0_u32, 40, 48, 1000, 65_536, u32::MAX] {
        let mut jumbo = vec![0, 0xc2, 4];
        jumbo.extend(length.to_be_bytes());
        let frame = ipv6_with(&packet, 0, &jumbo);
        kinds.push(Kind::asked(
            format!("IPv6 jumbogram of {length}"),
            frame.clone(),
        ));
        let of_no_length = ipv6_of_length(frame.bytes()[ETHERNET..].to_vec(), 0);
        let name = format!("IPv6 jumbogram of {length} without another length");
        kinds.push(Kind::asked(name, of_no_length));
    }
    // RFC 6275: the home address replaces the source if the host has such a binding.
    let home = |address: Ipv6Addr| [&[2, 1, 2, 0, 0, 201, 16][..], &address.octets()].concat();
    let listed = BLOCKED_V6.parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
    let other = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 7);
    let from_listed = ipv6_with(&packet, 60, &home(other));
    kinds.push(Kind::asked("IPv6 with another home address", from_listed));
    let from_other = ipv6_with(
        &bytes(&Ipv6::from_source(other).with(udp())),
        60,
        &home(listed),
    );
    let kind = Kind::asked("IPv6 with a blocked home address", from_other);
    kinds.push(kind.with_another_source());
    kinds
}

/// Sources and destinations of all sorts.
pub(crate) fn addresses() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for to in [
        "255.255.255.255",
        "192.0.2.15",
        "224.0.0.1",
        "127.0.0.1",
        "192.0.2.9",
        "0.0.0.0",
    ] {
        let to: Ipv4Addr = to.parse().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let frame = Frame::carrying(&udp_v4().to(to));
        kinds.push(Kind::asked(format!("UDP to {to}"), frame.clone()));
        kinds.push(Kind::asked(format!("UDP to {to}"), frame).behind("3 tags", &[(CTAG, 0); 3]));
    }
    for to in [
        "ff02::1",
        "ff02::2",
        "::1",
        "2001:db8::9",
        "::ffff:192.0.2.1",
    ] {
        let to: Ipv6Addr = to.parse().unwrap_or(Ipv6Addr::UNSPECIFIED);
        let frame = Frame::carrying(&udp_v6().to(to));
        kinds.push(Kind::asked(format!("UDP to {to}"), frame.clone()));
        kinds.push(Kind::asked(format!("UDP to {to}"), frame).behind("3 tags", &[(CTAG, 0); 3]));
    }
    // IPv6 addresses that embed the blocked one are addresses of their own.
    for source in [
        "::ffff:203.0.113.7",
        "::203.0.113.7",
        "64:ff9b::203.0.113.7",
    ] {
        let frame = Frame::carrying(&Ipv6::from(source).with(udp()));
        let kind = Kind::asked(format!("UDP from {source}"), frame);
        kinds.push(kind.with_another_source());
    }
    kinds
}
