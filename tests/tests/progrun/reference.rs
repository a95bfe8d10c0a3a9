//! The fate of any bytes, from docs/datapath.md, section "Packets", independent of the program:
//! slices instead of offsets into a frame, a walk over all prefixes instead of tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_common::{ClassId, ClassVerdict, Outcome};
use ipnet::IpNet;

use crate::zone::Expected;

/// The kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read<'f> {
    NonIp,
    Malformed,
    /// More tags than the program skips, whatever follows.
    TooManyTags,
    Ip(Packet<'f>),
}

/// An IP packet with a whole source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'f> {
    pub(crate) source: IpAddr,
    /// From the IP header on, as far as it exists.
    header: &'f [u8],
}

/// The content of an alert about a packet, without its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) destination: [u8; 16],
    pub(crate) protocol: u8,
    pub(crate) port: Option<u16>,
}

const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const AUTHENTICATION: u8 = 51;
const FRAGMENT: u8 = 44;
/// Hop-by-hop, routing and destination options.
const OPTIONS: [u8; 3] = [0, 43, 60];
/// TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [u8; 5] = [6, UDP, 33, 132, 136];

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

/// Reads a frame from its destination MAC address on.
pub(crate) fn read(frame: &[u8]) -> Read<'_> {
    let mut rest = &frame[12..];
    let mut tags = 0;
    loop {
        let Some((ether_type, behind)) = rest.split_first_chunk::<2>() else {
            return Read::Malformed;
        };
        match u16::from_be_bytes(*ether_type) {
            0x8100 | 0x88a8 if tags == 8 => return Read::TooManyTags,
            0x8100 | 0x88a8 => {
                let Some((_vlan, inner)) = behind.split_first_chunk::<2>() else {
                    return Read::Malformed;
                };
                rest = inner;
                tags += 1;
            }
            0x0800 => return read_ipv4(behind),
            0x86dd => return read_ipv6(behind),
            _ => return Read::NonIp,
        }
    }
}

fn read_ipv4(header: &[u8]) -> Read<'_> {
    match header {
        [0x45..=0x4f, ..] if header.len() >= 16 => {
            let source: [u8; 4] = header[12..16].try_into().unwrap();
            let source = Ipv4Addr::from(source).into();
            Read::Ip(Packet { source, header })
        }
        _ => Read::Malformed,
    }
}

fn read_ipv6(header: &[u8]) -> Read<'_> {
    match header {
        [0x60..=0x6f, ..] if header.len() >= 24 => {
            let source: [u8; 16] = header[8..24].try_into().unwrap();
            let source = Ipv6Addr::from(source).into();
            Read::Ip(Packet { source, header })
        }
        _ => Read::Malformed,
    }
}

impl Packet<'_> {
    /// Bytes from the IP header on.
    pub(crate) fn len(&self) -> usize {
        self.header.len()
    }

    /// Whether it is exempt from a default of drop.
    pub(crate) fn is_essential(&self) -> bool {
        let ports = |at| Some([u16_at(self.header, at)?, u16_at(self.header, at + 2)?]);
        if self.source.is_ipv4() {
            let is_fragment = u16_at(self.header, 6).unwrap() & 0x3fff != 0;
            let is_lease = || ports(self.ipv4_length()) == Some([67, 68]);
            return self.header[9] == UDP && !is_fragment && is_lease();
        }
        match self.header[6] {
            ICMPV6 => {
                let message = self.header.get(40);
                self.header[7] == 255 && message.is_some_and(|kind| (133..=137).contains(kind))
            }
            UDP => ports(40) == Some([547, 546]),
            _ => false,
        }
    }

    fn ipv4_length(&self) -> usize {
        usize::from(self.header[0] & 0xf) * 4
    }

    /// Returns the content of its alert.
    pub(crate) fn told(&self) -> Told {
        let (at, length) = if self.source.is_ipv4() {
            (16, 4)
        } else {
            (24, 16)
        };
        let mut destination = [0; 16];
        if let Some(address) = self.header.get(at..at + length) {
            destination[..length].copy_from_slice(address);
        }
        let (protocol, payload) = self.payload();
        let has_ports = WITH_PORTS.contains(&protocol);
        let port = payload
            .filter(|_| has_ports)
            .and_then(|payload| u16_at(payload, 2));
        Told {
            destination,
            protocol,
            port,
        }
    }

    /// Returns the upper protocol and the bytes after the headers; nothing in a later fragment, or
    /// if the headers are incomplete.
    fn payload(&self) -> (u8, Option<&[u8]>) {
        if self.source.is_ipv4() {
            let is_later = u16_at(self.header, 6).unwrap() & 0x1fff != 0;
            let payload = self.header.get(self.ipv4_length()..);
            return (self.header[9], payload.filter(|_| !is_later));
        }
        let mut protocol = self.header[6];
        let mut payload = self.header.get(40..);
        for _ in 0..8 {
            let known =
                OPTIONS.contains(&protocol) || [AUTHENTICATION, FRAGMENT].contains(&protocol);
            let Some(&[next, length, high, low]) = payload.and_then(|bytes| bytes.first_chunk())
            else {
                break;
            };
            if !known {
                break;
            }
            let size = match protocol {
                FRAGMENT if u16::from_be_bytes([high, low]) >> 3 != 0 => return (next, None),
                FRAGMENT => 8,
                AUTHENTICATION => 4 * (usize::from(length) + 2),
                _ => 8 * (usize::from(length) + 1),
            };
            protocol = next;
            payload = payload.and_then(|bytes| bytes.get(size..));
        }
        (protocol, payload)
    }
}

/// A zone as a list of prefixes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judge {
    pub(crate) default_drop: bool,
    pub(crate) malformed_drop: bool,
    pub(crate) entries: Vec<(IpNet, ClassId, ClassVerdict)>,
    /// Bans, and whether they are in force.
    pub(crate) bans: Vec<(IpNet, bool)>,
}

impl Judge {
    /// The expected fate of a frame.
    pub(crate) fn expects(&self, frame: &[u8]) -> Expected {
        match read(frame) {
            Read::NonIp => Expected::NON_IP,
            Read::Malformed if self.malformed_drop => Expected::MALFORMED_DROPPED,
            Read::Malformed => Expected::MALFORMED_PASSED,
            Read::TooManyTags => Expected::MALFORMED_DROPPED,
            Read::Ip(packet) => self.expects_of(&packet),
        }
    }

    fn expects_of(&self, packet: &Packet<'_>) -> Expected {
        let holding = self
            .entries
            .iter()
            .filter(|(net, ..)| net.contains(&packet.source));
        let class = holding.max_by_key(|(net, ..)| net.prefix_len());
        let asks = class.map_or(ClassVerdict::Default, |(.., verdict)| *verdict);
        if asks != ClassVerdict::Allow && self.is_banned(packet.source) {
            return Expected::BANNED;
        }
        let passes_as = match asks {
            ClassVerdict::Allow => Some(Outcome::Allowed),
            ClassVerdict::Block => None,
            _ if self.default_drop && !packet.is_essential() => None,
            ClassVerdict::Warn => Some(Outcome::Warned),
            ClassVerdict::Default => Some(Outcome::Passed),
        };
        let expected = passes_as.map_or(Expected::DROPPED, Expected::pass);
        match class {
            Some((_, id, _)) => expected.class(*id),
            None => expected,
        }
    }

    fn is_banned(&self, source: IpAddr) -> bool {
        let holding = self.bans.iter().filter(|(net, _)| net.contains(&source));
        let longest = holding.max_by_key(|(net, _)| net.prefix_len());
        longest.is_some_and(|(_, holds)| *holds)
    }
}
