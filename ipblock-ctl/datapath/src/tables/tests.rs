use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_common::{ClassId, class::NO_CLASS};
use ipnet::{IpNet, Ipv6Net};

use super::*;

/// Looks an address up as the kernel does: in these tables, and in the trie if they say so.
fn find(image: &TableImage, address: IpAddr) -> ClassId {
    match (image.view().find(address), address) {
        (ASK_TRIE, IpAddr::V6(address)) => longest(&image.trie_v6, address),
        (found, _) => found,
    }
}

/// Returns the class of the longest entry with this address, by a walk over all entries.
fn longest(entries: &[(Ipv6Net, ClassId)], address: Ipv6Addr) -> ClassId {
    let holding = entries.iter().filter(|(net, _)| net.contains(&address));
    let found = holding.max_by_key(|(net, _)| net.prefix_len());
    found.map_or(NO_CLASS, |(_, class)| *class)
}

fn zone(nets: &[IpNet]) -> CompiledZone {
    let mut zone = CompiledZone::empty();
    // Neighbours have different classes, so that none is confused with another.
    for (class, net) in (1..).zip(nets) {
        match net {
            IpNet::V4(net) => zone.ipv4.push((*net, class)),
            IpNet::V6(net) => zone.ipv6.push((*net, class)),
        }
    }
    zone.ipv4.sort_by_key(|(net, _)| *net);
    zone.ipv4.dedup_by_key(|(net, _)| *net);
    zone.ipv6.sort_by_key(|(net, _)| *net);
    zone.ipv6.dedup_by_key(|(net, _)| *net);
    zone
}

/// Returns the first and last address of an entry, their neighbours, and the first and last address
/// of its /24, /32 and /64.
fn around(net: &IpNet) -> Vec<IpAddr> {
    let cuts: &[u8] = if net.max_prefix_len() == 32 {
        &[18, 24, 30]
    } else {
        &[18, 19, 24, 32, 48, 60, 64, 66, 120]
    };
    let covers = cuts
        .iter()
        .filter_map(|len| IpNet::new(net.network(), *len).ok());
    let mut addresses = Vec::new();
    for net in covers.chain([*net]) {
        for address in [net.network(), net.broadcast()] {
            addresses.extend([before(address), address, after(address)]);
        }
    }
    addresses
}

fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits().wrapping_sub(1)).into(),
        IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits().wrapping_sub(1)).into(),
    }
}

fn after(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(a) => Ipv4Addr::from_bits(a.to_bits().wrapping_add(1)).into(),
        IpAddr::V6(a) => Ipv6Addr::from_bits(a.to_bits().wrapping_add(1)).into(),
    }
}

#[track_caller]
fn assert_agrees(nets: &[IpNet]) {
    let zone = zone(nets);
    let image = TableImage::build(&zone, 7);
    for address in nets.iter().flat_map(around) {
        assert_eq!(
            find(&image, address),
            zone.lookup(address),
            "{address} of {nets:?}"
        );
    }
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn nothing_is_found_where_there_is_nothing() {
    let image = TableImage::build(&zone(&[]), 7);
    for net in nets(&["0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::1/128"]) {
        for address in around(&net) {
            assert_eq!(find(&image, address), NO_CLASS, "{address}");
        }
    }
}

#[test]
fn the_ends_of_the_address_space_are_found() {
    for texts in [
        &["0.0.0.0/0", "::/0"][..],
        &["0.0.0.0/32", "255.255.255.255/32", "::/128"],
        &["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"],
        &["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"],
        &["255.255.255.254/31", "ffff:ffff:ffff:ffff::/64", "::/64"],
    ] {
        assert_agrees(&nets(texts));
    }
}

#[test]
fn in_a_64_with_longer_nets_hosts_longer_nets_and_what_is_around_are_found() {
    let nets = nets(&[
        "2001:db8::/32",
        "2001:db8:0:1::/64",
        "2001:db8:0:1::/80",
        "2001:db8:0:1::7/128",
        "2001:db8:0:1:0:1::/96",
        "2001:db8:0:2::8/127",
        "2001:db8:0:3::9/128",
    ]);
    assert_agrees(&nets);
    let image = TableImage::build(&zone(&nets), 7);
    // The two longer nets, the /127, and the two /64 around them.
    assert_eq!(image.trie_v6.len(), 5);
}

#[test]
fn hosts_that_fall_into_one_bucket_are_all_found_and_full_tables_grow() {
    for len in [1, 2, 7, 8, 9, 100, 5000] {
        let hosts: Vec<IpNet> = (0..len)
            .flat_map(|number: u32| {
                let v4 = Ipv4Addr::from_bits(number << 8);
                let v6 = Ipv6Addr::from_bits(u128::from(number) << 64 | 1);
                [IpNet::from(IpAddr::V4(v4)), IpAddr::V6(v6).into()]
            })
            .collect();
        assert_agrees(&hosts);
    }
}

#[test]
fn wide_nets_coarsen_the_filter_of_nets_or_switch_it_off_and_nothing_else() {
    let nets = nets(&[
        "2000::/3",
        "3fff::1/128",
        "2001:db8::/48",
        "128.0.0.0/2",
        "192.0.2.1/32",
        "192.0.2.128/25",
    ]);
    assert_agrees(&nets);
    let image = TableImage::build(&zone(&nets), 7);
    assert_eq!(image.layout.filters_short_v6, 0);
    assert_eq!(image.layout.filter_v4_drop, 14);
}

#[test]
fn neighbours_among_many_hosts_stand_with_the_hosts() {
    let hosts = (0..100).map(|number| IpNet::from(IpAddr::V4(Ipv4Addr::from_bits(number * 777))));
    let mut nets = nets(&["192.0.2.0/31", "198.51.100.4/30", "198.51.100.5/32"]);
    nets.extend(hosts);
    assert_agrees(&nets);
    assert_eq!(TableImage::build(&zone(&nets), 7).layout.has_nets_v4, 0);
    nets.push("203.0.113.0/28".parse().unwrap());
    assert_agrees(&nets);
    assert_eq!(TableImage::build(&zone(&nets), 7).layout.has_nets_v4, 1);
}

#[test]
fn a_32_that_longer_nets_fill_as_one_is_found() {
    let texts = [
        "2001:db8::/33",
        "2001:db8:8000::/33",
        "192.0.2.0/25",
        "192.0.2.128/25",
    ];
    let mut zone = zone(&nets(&texts));
    zone.ipv6.iter_mut().for_each(|(_, class)| *class = 1);
    zone.ipv4.iter_mut().for_each(|(_, class)| *class = 1);
    let image = TableImage::build(&zone, 7);
    for net in nets(&texts) {
        for address in around(&net) {
            assert_eq!(find(&image, address), zone.lookup(address), "{address}");
        }
    }
}

#[test]
fn a_root_and_a_door_with_more_boundaries_than_a_line_holds_are_found() {
    let every_other = |number: u32| number * 2;
    let v4 = (0..700).map(every_other).map(|number| {
        let address = Ipv4Addr::from_bits(0xc000_0000 | number << 2);
        IpNet::new(address.into(), 30).unwrap()
    });
    let v6 = (0..700).map(every_other).map(|number| {
        let address = Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number) << 70);
        IpNet::new(address.into(), 58).unwrap()
    });
    assert_agrees(&v4.chain(v6).collect::<Vec<_>>());
}
