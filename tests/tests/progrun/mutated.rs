//! Frames that are made to confuse: composed ones with changed, inserted, removed and truncated
//! bytes, and noise, through the real program and through [`reference`](crate::reference). After
//! every frame the verdict, the zone's whole counter state and the alerts are compared.
//!
//! The frames are the same in every run. `IPBLOCK_FUZZ_SEED=NUMBER` takes others, and
//! `IPBLOCK_FUZZ_FRAMES=NUMBER` more of them for each zone.

mod frames;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    net::IpAddr,
};

use ipblock_common::{AlertSettings, ClassVerdict};
use ipblock_tests::{packet::ETHERNET, random::Random, require_privileged};
use ipnet::IpNet;
use nix::time::ClockId;

use crate::{
    fixture::Fixture,
    fragments::can_split,
    reference::{Judge, Read, read},
    sources::padded,
    zone::{Zone, nanoseconds},
};
use frames::Maker;

/// Frames for each zone.
const FRAMES: u64 = 5_000;

const HOUR: u64 = 3_600_000_000_000;

/// Nested like rules, exceptions and allow lists: the longest prefix decides.
const ENTRIES: [(&str, ClassVerdict); 14] = [
    ("203.0.113.0/24", ClassVerdict::Block),
    ("203.0.113.64/26", ClassVerdict::Warn),
    ("203.0.113.64/28", ClassVerdict::Default),
    ("203.0.113.7/32", ClassVerdict::Allow),
    ("203.0.113.200/32", ClassVerdict::Warn),
    ("192.0.2.128/25", ClassVerdict::Allow),
    ("198.51.100.0/22", ClassVerdict::Warn),
    ("2001:db8::/32", ClassVerdict::Block),
    ("2001:db8:c::/48", ClassVerdict::Warn),
    ("2001:db8:c:1::/64", ClassVerdict::Default),
    ("2001:db8:c:1::/96", ClassVerdict::Block),
    ("2001:db8:c:1::7/128", ClassVerdict::Allow),
    ("2001:db8:b::7/128", ClassVerdict::Warn),
    ("fe80::/10", ClassVerdict::Warn),
];

/// With whether they are in force. Bans do not nest here: user space resolves that.
const BANS: [(&str, bool); 6] = [
    ("198.51.100.0/25", true),
    ("198.51.100.128/25", false),
    ("203.0.113.0/29", true),
    ("2001:db8:bad::/48", true),
    ("2001:db8:c:1::/64", true),
    ("2001:db8:b::7/128", false),
];

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// A zone with everything, and what it must say.
fn scene(default_drop: bool, malformed_drop: bool, bans: bool) -> (Fixture, Judge) {
    let mut fixture = Fixture::empty();
    fixture.default_drop = default_drop;
    let mut judge = Judge {
        default_drop,
        malformed_drop,
        ..Judge::default()
    };
    if malformed_drop {
        fixture = fixture.malformed_drop();
    }
    for (prefix, verdict) in ENTRIES {
        let id = match verdict {
            ClassVerdict::Warn => fixture.alerting(verdict),
            _ => fixture.verdict(verdict),
        };
        fixture = fixture.entry(prefix, id);
        judge.entries.push((prefix.parse().unwrap(), id, verdict));
    }
    let now = nanoseconds(ClockId::CLOCK_BOOTTIME);
    for (prefix, holds) in BANS.into_iter().filter(|_| bans) {
        fixture = fixture.ban(prefix, if holds { now + 24 * HOUR } else { now - 1 });
        judge.bans.push((prefix.parse().unwrap(), holds));
    }
    // Windows have no length, so every packet is announced.
    let alerts = AlertSettings {
        window: 0,
        rate: u64::MAX,
    };
    (fixture.alerts(alerts), judge)
}

/// Returns first and last address of every prefix, their neighbours, and some other addresses.
fn sources() -> Vec<IpAddr> {
    let prefixes = ENTRIES.map(|(prefix, _)| prefix).into_iter();
    let prefixes = prefixes.chain(BANS.map(|(prefix, _)| prefix));
    let mut sources: Vec<IpAddr> = prefixes
        .flat_map(|prefix| {
            let net: IpNet = prefix.parse().unwrap();
            [net.network(), net.broadcast()]
                .into_iter()
                .flat_map(frames::around)
        })
        .collect();
    let others = [
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:203.0.113.7",
        "2001:db7::1",
    ];
    sources.extend(others.map(|text| text.parse::<IpAddr>().unwrap()));
    sources
}

/// Compares the announcement of the last frame with its content.
fn check_alert(what: &str, zone: &Zone, judge: &Judge, frame: &[u8]) {
    let events = zone.events();
    let expected = judge.expects(frame);
    let asks = judge
        .entries
        .iter()
        .find(|(_, id, _)| expected.class == Some(*id));
    let is_alerted = asks.is_some_and(|(.., verdict)| *verdict == ClassVerdict::Warn);
    let Read::Ip(packet) = read(frame) else {
        return assert!(events.is_empty(), "{what}: {events:?}");
    };
    if !is_alerted {
        return assert!(events.is_empty(), "{what}: {events:?}");
    }
    let [event] = events.as_slice() else {
        panic!("{what}: {events:?} of {frame:02x?}");
    };
    let source = match packet.source {
        IpAddr::V4(source) => padded(&source.octets()),
        IpAddr::V6(source) => source.octets(),
    };
    assert_eq!(event.source.address, source, "{what}");
    assert_eq!(Some(event.source.class), expected.class, "{what}");
    let told = packet.told();
    let port = (event.has_port == 1).then_some(event.destination_port);
    let said = (event.destination, event.protocol, port);
    assert_eq!(
        said,
        (told.destination, told.protocol, told.port),
        "{what}: {frame:02x?}"
    );
}

#[test]
fn the_program_says_of_every_frame_what_a_reference_parser_says() {
    let root = require_privileged!();
    let seed = number("IPBLOCK_FUZZ_SEED", 1);
    let frames = number("IPBLOCK_FUZZ_FRAMES", FRAMES);
    println!("IPBLOCK_FUZZ_SEED={seed} IPBLOCK_FUZZ_FRAMES={frames}");
    let splits = can_split(&Fixture::empty().load(root));
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut ways = BTreeSet::new();
    let (mut sent, mut newest) = (0, 0);
    let zones = [
        (false, false, false),
        (true, false, true),
        (false, true, true),
        (true, true, false),
    ];
    for (index, (default_drop, malformed_drop, bans)) in (0..).zip(zones) {
        let (fixture, judge) = scene(default_drop, malformed_drop, bans);
        let mut zone = fixture.load(root);
        let mut random = Random::new(seed.wrapping_mul(4).wrapping_add(index));
        let maker = Maker::new(sources());
        for number in 0..frames {
            let frame = maker.frame(&mut random);
            let expected = judge.expects(frame.bytes());
            let what = format!("seed {seed}, zone {index}, frame {number}");
            let linear = ETHERNET + random.below(frame.len() - ETHERNET + 1);
            let linear = Some(linear).filter(|_| random.below(4) == 0 && splits);
            zone.check(&what, &frame, linear, expected);
            check_alert(&what, &zone, &judge, frame.bytes());
            let kind = kind(&judge, frame.bytes(), expected);
            sent += 1;
            if ways.insert((kind.clone(), expected.class, way(frame.bytes()))) {
                newest = sent;
            }
            *kinds.entry(kind).or_default() += 1;
        }
    }
    println!("{kinds:#?}");
    println!(
        "{} ways through {sent} frames, the last new one with frame {newest}",
        ways.len()
    );
    // The frames reach every part; otherwise they would prove little.
    assert!(
        frames < 1_000 || kinds.len() >= KINDS,
        "{} of {KINDS}",
        kinds.len()
    );
}

/// How many different [`kind`]s there are at least.
const KINDS: usize = 12;

/// Upper protocols that the program distinguishes; all others are equal.
const PROTOCOLS: [u8; 12] = [0, 6, 17, 33, 43, 44, 51, 58, 60, 132, 136, 4];

/// How an IP packet was read: VLAN tags before it, upper protocol, whether there is a port. Together
/// with what became of it and which class decided, it tells how much of the program has been reached.
fn way(frame: &[u8]) -> Option<(usize, bool, u8, bool)> {
    let Read::Ip(packet) = read(frame) else {
        return None;
    };
    let told = packet.told();
    let known = PROTOCOLS.contains(&told.protocol);
    let protocol = if known { told.protocol } else { u8::MAX };
    let tags = (frame.len() - packet.len() - ETHERNET) / 4;
    Some((tags, packet.source.is_ipv4(), protocol, told.port.is_some()))
}

/// What a frame was, to see that all sorts came.
fn kind(judge: &Judge, frame: &[u8], expected: crate::zone::Expected) -> String {
    let essential = match read(frame) {
        Read::Ip(packet) if judge.default_drop && !expected.drop && packet.is_essential() => {
            " (essential)"
        }
        _ => "",
    };
    let verb = if expected.drop { "dropped" } else { "passed" };
    let class = match expected.class {
        None => "nothing",
        Some(0) => "bans",
        Some(_) => "a class",
    };
    format!(
        "{verb}, {:?}, counted by {class}{essential}",
        expected.outcome
    )
}
