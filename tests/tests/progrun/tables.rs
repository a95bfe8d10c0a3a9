//! The tables in front of the tries: the program finds the same in them as in the tries alone.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipblock_common::{ClassVerdict, Outcome};
use ipblock_datapath::Lookup;
use ipblock_tests::{
    packet::{Frame, Ipv4, Ipv6},
    random::Random,
    require_privileged,
};
use ipnet::IpNet;

use crate::fixture::Fixture;

const RULESETS: u64 = 8;
const NETS: usize = 120;

/// Returns nets that differ in few bits, which may be any bits, so that they nest, touch and share
/// nodes and buckets. One in four is a host; the other IPv4 nets are `shortest` or longer.
fn net(random: &mut Random, shortest: usize) -> IpNet {
    let flips = random.next() & 0xf;
    let net = if random.below(2) == 0 {
        let bits = 0xc000_0240 ^ u32::try_from(flips).unwrap() << random.below(29);
        let len = if random.below(4) == 0 {
            32
        } else {
            shortest + random.below(33 - shortest)
        };
        IpNet::new(Ipv4Addr::from_bits(bits).into(), len.try_into().unwrap())
    } else {
        let bits = (0x2001_0db8_u128 << 96 | 0x40) ^ u128::from(flips) << random.below(125);
        let len = if random.below(4) == 0 {
            128
        } else {
            12 + random.below(117)
        };
        IpNet::new(Ipv6Addr::from_bits(bits).into(), len.try_into().unwrap())
    };
    net.unwrap().trunc()
}

/// Returns the ends of a net and of the parts into which tables cut it, with their neighbours.
fn around(net: &IpNet) -> impl Iterator<Item = IpAddr> {
    let cuts: &[u8] = if net.max_prefix_len() == 32 {
        &[18, 24, 30]
    } else {
        &[18, 24, 32, 60, 64]
    };
    let parts = cuts
        .iter()
        .map(|len| IpNet::new(net.network(), *len).unwrap());
    let ends = parts
        .chain([*net])
        .flat_map(|part| [part.network(), part.broadcast()]);
    ends.flat_map(|end| match end {
        IpAddr::V4(end) => [-1, 0, 1]
            .map(|step| IpAddr::from(Ipv4Addr::from_bits(end.to_bits().wrapping_add_signed(step)))),
        IpAddr::V6(end) => [-1, 0, 1]
            .map(|step| IpAddr::from(Ipv6Addr::from_bits(end.to_bits().wrapping_add_signed(step)))),
    })
}

#[test]
fn the_program_finds_in_the_tables_what_it_finds_in_the_tries() {
    let root = require_privileged!();
    let (mut dropped, mut passed) = (0, 0);
    for seed in 0..RULESETS {
        let mut random = Random::new(seed);
        // The shortest nets cover nearly all of the others' surroundings.
        let shortest = if seed % 2 == 0 { 0 } else { 12 };
        let nets: BTreeSet<IpNet> = (0..NETS).map(|_| net(&mut random, shortest)).collect();
        let mut fixture = Fixture::empty();
        for net in &nets {
            let class = fixture.verdict(ClassVerdict::Block);
            fixture = fixture.entry(&net.to_string(), class);
        }
        let tables = fixture.clone().load(root);
        let tries = fixture.lookup(Lookup::Tries).load(root);
        let sources: BTreeSet<IpAddr> = nets.iter().flat_map(around).collect();
        for source in &sources {
            let frame = match source {
                IpAddr::V4(source) => Frame::carrying(&Ipv4::from_source(*source)),
                IpAddr::V6(source) => Frame::carrying(&Ipv6::from_source(*source)),
            };
            let verdicts = [&tables, &tries].map(|zone| zone.run(&frame, None).unwrap());
            assert_eq!(verdicts[0], verdicts[1], "{source} of {nets:?}");
        }
        let packets = [&tables, &tries].map(|zone| {
            let counters = zone.counters();
            let classes = counters.classes.iter().map(|class| class.count);
            (counters.totals, classes.collect::<Vec<_>>())
        });
        assert_eq!(packets[0], packets[1], "{nets:?}");
        dropped += packets[0].0[Outcome::Dropped].packets;
        passed += packets[0].0[Outcome::Passed].packets;
    }
    assert!(dropped > 1000 && passed > 1000, "{dropped} {passed}");
}
