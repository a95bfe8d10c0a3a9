//! Frames to confuse a parser with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_tests::{
    packet::{CTAG, ETHERNET, Extension, Frame, IPV4, IPV6, Ipv4, Ipv6, Payload, STAG},
    random::Random,
};

/// What is at the edges of fields.
const BYTES: [u8; 16] = [
    0, 1, 4, 0x06, 0x11, 0x3a, 0x40, 0x44, 0x45, 0x4f, 0x60, 0x7f, 0x80, 0x81, 0xfe, 0xff,
];

/// `EtherType`s that a frame may claim: those of IP, tags, and what is neither.
const ETHER_TYPES: [u16; 14] = [
    IPV4, IPV6, IPV4, IPV6, CTAG, STAG, 0x0806, 0x88cc, 0x8809, 0x8863, 0x8847, 0x9100, 60, 0,
];

/// An address and its neighbours.
pub(super) fn around(address: IpAddr) -> [IpAddr; 3] {
    [-1, 0, 1].map(|step| match address {
        IpAddr::V4(at) => Ipv4Addr::from_bits(at.to_bits().wrapping_add_signed(step)).into(),
        IpAddr::V6(at) => {
            Ipv6Addr::from_bits(at.to_bits().wrapping_add_signed(i128::from(step))).into()
        }
    })
}

/// Makes frames from these sources and others.
pub(super) struct Maker {
    sources: Vec<IpAddr>,
}

impl Maker {
    pub(super) fn new(sources: Vec<IpAddr>) -> Self {
        Self { sources }
    }

    /// A composed frame, mostly mutated, or noise.
    pub(super) fn frame(&self, random: &mut Random) -> Frame {
        let mut bytes = match random.below(16) {
            0 => noise(random),
            1 => other(random),
            _ => self.composed(random).bytes().to_vec(),
        };
        // A third of the frames stays as it is.
        let changes = [0, 0, 1, 1, 2, 4][random.below(6)];
        for _ in 0..changes {
            change(&mut bytes, random);
        }
        // `BPF_PROG_TEST_RUN` takes no shorter ones.
        bytes.resize(bytes.len().max(ETHERNET), 0);
        Frame::of_bytes(bytes)
    }

    fn composed(&self, random: &mut Random) -> Frame {
        let source = match random.below(6) {
            0 => IpAddr::from(random.ipv4()),
            1 => IpAddr::from(random.ipv6()),
            _ => *random.one_of(&self.sources).unwrap(),
        };
        let frame = match source {
            IpAddr::V4(source) => Frame::carrying(&ipv4(source, random)),
            IpAddr::V6(source) => Frame::carrying(&ipv6(source, random)),
        };
        frame.behind(&tags(random))
    }
}

/// Mostly few tags, up to more than are looked through, with any ids.
fn tags(random: &mut Random) -> Vec<(u16, u16)> {
    let most = [0, 0, 0, 1, 2, 3, 8, 10][random.below(8)];
    let count = random.below(most + 1).max(most.min(1));
    let tag = |random: &mut Random| {
        let any = random.next().to_le_bytes();
        let protocol = if any[0].is_multiple_of(2) { CTAG } else { STAG };
        let control = match any[1] % 4 {
            0 => u16::from_le_bytes([any[2], any[3]]),
            1 => u16::from(any[2] % 8) << 13,
            _ => 0,
        };
        (protocol, control)
    };
    (0..count).map(|_| tag(random)).collect()
}

fn payload(random: &mut Random) -> Payload {
    let port = |random: &mut Random| {
        let ports = [67, 68, 546, 547, 22, 0, 0xffff];
        *random.one_of(&ports).unwrap()
    };
    match random.below(12) {
        0 | 1 => Payload::udp(67, 68).data(&[0; 8]),
        2 | 3 => Payload::udp(547, 546),
        4 => Payload::udp(port(random), port(random)),
        5 => Payload::tcp(port(random), port(random)),
        6 => Payload::icmp_echo(),
        7 | 8 => Payload::icmpv6(130 + random.next().to_le_bytes()[0] % 10),
        9 => Payload::gre(),
        10 => Payload::esp(),
        _ => Payload::udp(67, 68).claimed_protocol(random.next().to_le_bytes()[0]),
    }
}

fn ipv4(source: Ipv4Addr, random: &mut Random) -> Ipv4 {
    let any = random.next().to_le_bytes();
    let mut packet = Ipv4::from_source(source).with(payload(random));
    if any[0] < 64 {
        packet = packet.options(any[1] % 11);
    }
    if any[0].is_multiple_of(8) {
        packet = packet.claimed_ihl(any[2] % 16);
    }
    if any[0] % 16 == 1 {
        packet = packet.claimed_version(any[3] % 16);
    }
    match any[4] % 8 {
        0 => packet.fragment(u16::from(any[5]), any[6].is_multiple_of(2)),
        1 => packet.fragment(0, true),
        2 => packet.dont_fragment(),
        _ => packet,
    }
}

fn ipv6(source: Ipv6Addr, random: &mut Random) -> Ipv6 {
    let any = random.next().to_le_bytes();
    let extensions: Vec<Extension> = (0..[0, 0, 0, 0, 1, 2, 4, 9][usize::from(any[0] % 8)])
        .map(|_| *random.one_of(&Extension::ALL).unwrap())
        .collect();
    let mut packet = Ipv6::from_source(source)
        .with(payload(random))
        .extensions(&extensions);
    if any[1].is_multiple_of(2) {
        packet = packet.hop_limit(255);
    }
    if any[2].is_multiple_of(16) {
        packet = packet.claimed_version(any[3] % 16);
    }
    packet
}

/// A frame of another protocol, or of one without its content.
fn other(random: &mut Random) -> Vec<u8> {
    let ether_type = *random.one_of(&ETHER_TYPES).unwrap();
    let length = random.below(64);
    let payload: Vec<u8> = (0..length)
        .map(|_| random.next().to_le_bytes()[0])
        .collect();
    Frame::of_type(ether_type, &payload).bytes().to_vec()
}

fn noise(random: &mut Random) -> Vec<u8> {
    let most = if random.below(8) == 0 { 1_500 } else { 100 };
    let length = ETHERNET + random.below(most);
    let mut bytes: Vec<u8> = (0..length)
        .map(|_| random.next().to_le_bytes()[0])
        .collect();
    let mut at = 12;
    // Noise after a valid `EtherType` gets further.
    while random.below(4) > 0 && at + 4 <= bytes.len() {
        let ether_type = random.one_of(&ETHER_TYPES).unwrap().to_be_bytes();
        bytes.splice(at..at + 2, ether_type);
        at += 4;
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    // Mostly where headers are.
    let within = if random.below(4) == 0 {
        bytes.len()
    } else {
        bytes.len().min(80)
    };
    let at = 12 + random.below(within.saturating_sub(12).max(1));
    let any = random.next().to_le_bytes();
    let count = 1 + usize::from(any[0] % 8);
    match random.below(7) {
        0 | 1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (any[1] % 8);
            }
        }
        2 | 3 => {
            let value = if any[1].is_multiple_of(2) {
                any[2]
            } else {
                *random.one_of(&BYTES).unwrap()
            };
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        4 => {
            let at = at.min(bytes.len());
            bytes.splice(at..at, any.into_iter().take(count));
        }
        5 => {
            let last = (at + count).min(bytes.len());
            bytes.drain(at.min(last)..last);
        }
        _ => bytes.truncate(ETHERNET + random.below(bytes.len().saturating_sub(ETHERNET).max(1))),
    }
}
