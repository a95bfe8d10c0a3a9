//! Kinds that differ below IP: tags, other encapsulations, addresses.

use ipblock_tests::packet::{CTAG, Frame, Mac, STAG};

use super::{
    craft::{behind, bytes},
    kinds::{Kind, syn_of_both, udp_of_both, udp_v4, udp_v6},
};

/// More tags than the program skips.
const MOST_TAGS: usize = 10;

/// Tags that a host without VLAN devices removes or refuses.
pub(crate) fn tags() -> Vec<Kind> {
    const PROTOCOLS: [(&str, &[u16]); 4] = [
        ("0x8100", &[CTAG]),
        ("0x88a8", &[STAG]),
        ("0x88a8 and 0x8100", &[STAG, CTAG]),
        ("0x8100 and 0x88a8", &[CTAG, STAG]),
    ];
    let mut kinds = Vec::new();
    let mut port = 10_000;
    for count in 0..=MOST_TAGS {
        for (name, protocols) in PROTOCOLS {
            for control in [0, 0xf000] {
                let tag = protocols.iter().map(|protocol| (*protocol, control));
                let tags: Vec<(u16, u16)> = tag.cycle().take(count).collect();
                let what = format!("{count} priority tags of {name}, {control:#06x}");
                port += 1;
                let packets = udp_of_both().into_iter().chain(syn_of_both(port));
                kinds.extend(packets.map(|kind| kind.behind(&what, &tags)));
            }
            // No device has these ids.
            for ids in [[301, 302], [0, 303], [304, 0], [0xfff, 0xfff]] {
                let tag = protocols
                    .iter()
                    .cycle()
                    .copied()
                    .zip(ids.into_iter().cycle());
                let tags: Vec<(u16, u16)> = tag.take(count).collect();
                let what = format!("{count} tags of {name}, ids {ids:?}");
                let asked = [
                    Kind::asked("IPv4 UDP", Frame::carrying(&udp_v4())),
                    Kind::asked("IPv6 UDP", Frame::carrying(&udp_v6())),
                ];
                kinds.extend(asked.map(|kind| kind.behind(&what, &tags)));
            }
        }
    }
    for (count, name) in [(40, "forty"), (300, "three hundred")] {
        let what = format!("{name} priority tags");
        kinds.extend(udp_of_both().map(|kind| kind.behind(&what, &vec![(CTAG, 0); count])));
    }
    kinds
}

/// Ids of the VLAN devices that [`behind_devices`] is for: an 802.1Q one, an 802.1Q one on it, and an
/// 802.1ad one with an 802.1Q one on it.
pub(crate) const VLANS: [(u16, &str); 4] = [
    (101, "802.1Q"),
    (102, "802.1Q"),
    (201, "802.1ad"),
    (202, "802.1Q"),
];

/// Tags that a host with VLAN devices removes.
pub(crate) fn behind_devices() -> Vec<Kind> {
    let stacks: [&[(u16, u16)]; 9] = [
        &[(CTAG, 101)],
        &[(CTAG, 101), (CTAG, 102)],
        &[(STAG, 201), (CTAG, 202)],
        &[(CTAG, 0), (CTAG, 101)],
        &[(CTAG, 0), (STAG, 0), (CTAG, 0), (CTAG, 0xe000 | 0x65)],
        &[(CTAG, 101), (CTAG, 0), (STAG, 0)],
        &[(CTAG, 0), (CTAG, 101), (CTAG, 0), (CTAG, 102), (CTAG, 0)],
        &[(CTAG, 0), (STAG, 201), (CTAG, 0), (CTAG, 0), (CTAG, 202)],
        &[
            (CTAG, 0),
            (CTAG, 0),
            (STAG, 0),
            (CTAG, 0),
            (STAG, 0),
            (CTAG, 0),
            (CTAG, 0),
            (CTAG, 101),
        ],
    ];
    let too_many = [&[(CTAG, 0); 8][..], &[(CTAG, 101)]].concat();
    let mut kinds = Vec::new();
    for (tags, port) in stacks.into_iter().chain([&too_many[..]]).zip(20_000..) {
        let what = format!("{tags:04x?}");
        let packets = udp_of_both().into_iter().chain(syn_of_both(port));
        kinds.extend(packets.map(|kind| kind.behind(&what, tags)));
    }
    kinds
}

/// Protocols that contain a frame or an IP packet, in the form before the packet. No device of the
/// host unwraps them.
pub(crate) fn encapsulations() -> Vec<Kind> {
    const MACS: [u8; 12] = [0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    let ethernet = |ether_type: u16| [&MACS[..], &ether_type.to_be_bytes()].concat();
    let mut kinds = Vec::new();
    for (family, ether_type, packet, ppp) in [
        ("IPv4", 0x0800_u16, bytes(&udp_v4()), [0x00, 0x21]),
        ("IPv6", 0x86dd, bytes(&udp_v6()), [0x00, 0x57]),
    ] {
        let inner = ether_type.to_be_bytes();
        let [high, low] = inner;
        let length = |before: usize| u16::try_from(before + packet.len()).unwrap_or(0);
        let pppoe = [
            0x11,
            0,
            0,
            1,
            0,
            2 + packet.len().to_le_bytes()[0],
            ppp[0],
            ppp[1],
        ];
        let null = if family == "IPv4" { 0 } else { 0x20 };
        let all: [(&str, u16, Vec<u8>); 26] = [
            ("SNAP", length(8), vec![0xaa, 0xaa, 3, 0, 0, 0, high, low]),
            (
                "bridge-tunnel SNAP",
                length(8),
                vec![0xaa, 0xaa, 3, 0, 0, 0xf8, high, low],
            ),
            ("LLC", length(3), vec![6, 6, 3]),
            ("802.3 without LLC", length(0), vec![]),
            ("802.3 of no length", 0, vec![]),
            (
                "SNAP longer than 802.3 may be",
                0x05ff,
                vec![0xaa, 0xaa, 3, 0, 0, 0, high, low],
            ),
            ("PPPoE session", 0x8864, pppoe.to_vec()),
            ("PPPoE discovery", 0x8863, pppoe.to_vec()),
            ("MPLS explicit null", 0x8847, vec![0, 0, null | 1, 64]),
            ("MPLS label 16", 0x8847, vec![0, 1, 1, 64]),
            ("MPLS multicast", 0x8848, vec![0, 0, null | 1, 64]),
            ("MACsec", 0x88e5, vec![0, 0, 0, 0, 0, 1, high, low]),
            ("HSR", 0x892f, vec![0, 60, 0, 1, high, low]),
            ("PRP", 0x88fb, vec![0, 60, 0, 1, high, low]),
            (
                "802.1ah",
                0x88e7,
                [&[0, 0, 0, 1][..], &ethernet(ether_type)].concat(),
            ),
            ("old Q-in-Q 0x9100", 0x9100, vec![0, 0, high, low]),
            ("old Q-in-Q 0x9200", 0x9200, vec![0, 0, high, low]),
            ("old Q-in-Q 0x9300", 0x9300, vec![0, 0, high, low]),
            ("802.1BR", 0x893f, vec![0, 0, 0, 0, 0, 0, high, low]),
            ("Cisco VN tag", 0x8926, vec![0, 0, 0, 0, high, low]),
            ("Ethernet in Ethernet", 0x6558, ethernet(ether_type)),
            (
                "NSH",
                0x894f,
                vec![0, 2, 2, if null == 0 { 1 } else { 2 }, 0, 0, 1, 255],
            ),
            ("B.A.T.M.A.N.", 0x4305, ethernet(ether_type)),
            ("DSA", 0xdada, vec![0, 0, 0, 0, 0, 0, high, low]),
            ("Realtek switch tag", 0x8899, vec![0; 2]),
            ("tag in the wrong byte order", 0x0081, vec![0, 0, high, low]),
        ];
        for (name, outer, before) in all {
            let frame = behind(outer, &before, &packet);
            let kind = Kind::asked(format!("{family} in {name}"), frame);
            let tagged = kind.clone().behind("a priority tag", &[(CTAG, 0)]);
            kinds.extend([kind, tagged]);
        }
    }
    let [v4, v6] = [bytes(&udp_v4()), bytes(&udp_v6())];
    kinds.push(Kind::asked("IPv4 as IPv6", behind(0x86dd, &[], &v4)));
    kinds.push(Kind::asked("IPv6 as IPv4", behind(0x0800, &[], &v6)));
    kinds
}

/// Station addresses of all sorts.
pub(crate) fn stations() -> Vec<Kind> {
    let host = Mac([0x02, 0, 0, 0, 0, 1]);
    let peer = Mac([0x02, 0, 0, 0, 0, 2]);
    let stations = [
        ("everyone", peer, Mac([0xff; 6])),
        ("all IPv4 hosts", peer, Mac([0x01, 0, 0x5e, 0, 0, 1])),
        ("all IPv6 hosts", peer, Mac([0x33, 0x33, 0, 0, 0, 1])),
        ("bridges", peer, Mac([0x01, 0x80, 0xc2, 0, 0, 0])),
        ("another station", peer, Mac([0x02, 0, 0, 0, 9, 9])),
        ("no station", peer, Mac([0; 6])),
        ("the host from itself", host, host),
        ("the host from no station", Mac([0; 6]), host),
        ("the host from a group", Mac([0x01, 0, 0x5e, 0, 0, 1]), host),
    ];
    let mut kinds = Vec::new();
    for (name, from, to) in stations {
        for frame in [Frame::carrying(&udp_v4()), Frame::carrying(&udp_v6())] {
            let kind = Kind::asked(format!("UDP to {name}"), frame.between(from, to));
            let tagged = kind.clone().behind("3 priority tags", &[(CTAG, 0); 3]);
            kinds.extend([kind, tagged]);
        }
    }
    kinds
}
