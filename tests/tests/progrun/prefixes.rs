//! The addresses in a prefix, at its edges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_common::ClassVerdict;
use ipblock_tests::{
    packet::{Frame, Ipv4, Ipv6},
    require_privileged,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

fn from_source(source: IpAddr) -> Frame {
    match source {
        IpAddr::V4(source) => Frame::carrying(&Ipv4::from_source(source)),
        IpAddr::V6(source) => Frame::carrying(&Ipv6::from_source(source)),
    }
}

/// First and last address, and their neighbours inside and outside.
fn edges(prefix: IpNet) -> Vec<IpAddr> {
    let (first, last) = (prefix.network(), prefix.broadcast());
    let mut addresses = vec![first, last];
    for edge in [first, last] {
        match edge {
            IpAddr::V4(edge) => {
                let number = u32::from(edge);
                let neighbours = [number.checked_sub(1), number.checked_add(1)];
                addresses.extend(
                    neighbours
                        .into_iter()
                        .flatten()
                        .map(Ipv4Addr::from)
                        .map(IpAddr::from),
                );
            }
            IpAddr::V6(edge) => {
                let number = u128::from(edge);
                let neighbours = [number.checked_sub(1), number.checked_add(1)];
                addresses.extend(
                    neighbours
                        .into_iter()
                        .flatten()
                        .map(Ipv6Addr::from)
                        .map(IpAddr::from),
                );
            }
        }
    }
    addresses
}

#[test]
fn a_prefix_of_any_length_holds_exactly_its_addresses() {
    let root = require_privileged!();
    let v4 = (0..=32).map(|length| Ipv4Net::new_assert([203, 0, 113, 181].into(), length));
    let address = "2001:db8:5555:5555:aaaa:aaaa:5555:5555".parse().unwrap();
    // Around every boundary of a word.
    let lengths = [0, 1, 31, 32, 33, 48, 63, 64, 65, 95, 96, 97, 126, 127, 128];
    let v6 = lengths.map(|length| Ipv6Net::new_assert(address, length));
    let v4 = v4.map(IpNet::from);
    let v6 = v6.map(IpNet::from);
    for prefix in v4.chain(v6) {
        let mut fixture = Fixture::empty();
        let block = fixture.verdict(ClassVerdict::Block);
        let mut zone = fixture.entry(&prefix.trunc().to_string(), block).load(root);
        let mut inside = 0;
        for address in edges(prefix) {
            let expected = if prefix.contains(&address) {
                inside += 1;
                Expected::DROPPED.class(block)
            } else {
                Expected::PASSED
            };
            zone.expect_of(
                &format!("{address} in {prefix}"),
                &from_source(address),
                expected,
            );
        }
        assert!(inside >= 2, "{prefix}");
    }
}

#[test]
fn the_longest_prefix_decides_in_whatever_order_it_was_written() {
    let root = require_privileged!();
    for reversed in [false, true] {
        let mut fixture = Fixture::empty();
        let block = fixture.verdict(ClassVerdict::Block);
        let warn = fixture.verdict(ClassVerdict::Warn);
        let allow = fixture.verdict(ClassVerdict::Allow);
        let spared = fixture.verdict(ClassVerdict::Default);
        let mut entries = vec![
            ("0.0.0.0/0", warn),
            ("203.0.112.0/23", block),
            ("203.0.113.0/25", spared),
            ("203.0.113.7/32", allow),
            ("::/0", warn),
            ("2001:db8::/32", block),
            ("2001:db8:1::/64", spared),
            ("2001:db8:1::7/128", allow),
        ];
        if reversed {
            entries.reverse();
        }
        for (prefix, class) in entries {
            fixture = fixture.entry(prefix, class);
        }
        let mut zone = fixture.load(root);
        let [warned, allowed] = [
            ipblock_common::Outcome::Warned,
            ipblock_common::Outcome::Allowed,
        ];
        for (source, expected) in [
            ("198.51.100.1", Expected::pass(warned).class(warn)),
            ("203.0.112.7", Expected::DROPPED.class(block)),
            ("203.0.113.128", Expected::DROPPED.class(block)),
            ("203.0.113.127", Expected::PASSED.class(spared)),
            ("203.0.113.6", Expected::PASSED.class(spared)),
            ("203.0.113.7", Expected::pass(allowed).class(allow)),
            ("2001:db9::", Expected::pass(warned).class(warn)),
            ("2001:db8::7", Expected::DROPPED.class(block)),
            ("2001:db8:1::8", Expected::PASSED.class(spared)),
            ("2001:db8:1::7", Expected::pass(allowed).class(allow)),
        ] {
            zone.expect_of(source, &from_source(source.parse().unwrap()), expected);
        }
    }
}

#[test]
fn the_destination_decides_nothing() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for kind in Kind::ALL {
        let v4 = kind.v4().to([203, 0, 113, 7].into());
        let v6 = kind.v6().to("2001:db8:b::7".parse().unwrap());
        zone.expect(&Frame::carrying(&v4), kind.where_default_passes());
        zone.expect(&Frame::carrying(&v6), kind.where_default_passes());
    }
}

#[test]
fn the_families_are_apart() {
    let mut fixture = Fixture::empty();
    let block = fixture.verdict(ClassVerdict::Block);
    let mut zone = fixture
        .entry("0.0.0.0/0", block)
        .load(require_privileged!());
    // Addresses that contain 203.0.113.7, none of which is an IPv4 source.
    for source in [
        "::203.0.113.7",
        "::ffff:203.0.113.7",
        "64:ff9b::203.0.113.7",
        "2002:cb00:7107::",
        "cb00:7107::",
    ] {
        zone.expect_of(
            source,
            &from_source(source.parse().unwrap()),
            Expected::PASSED,
        );
    }
}
