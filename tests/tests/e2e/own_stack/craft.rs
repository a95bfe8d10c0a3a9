//! Packets that the builders cannot make: wrong lengths with valid checksums, fragments, nested
//! frames.

use ipblock_tests::packet::{Frame, Network};

/// The bytes of an IP packet.
pub(crate) fn bytes(packet: &impl Network) -> Vec<u8> {
    packet.bytes()
}

/// Returns an IPv4 packet with a valid checksum for its claimed header length.
pub(crate) fn ipv4(mut bytes: Vec<u8>) -> Frame {
    let header = usize::from(bytes[0] & 0xf) * 4;
    bytes[10..12].fill(0);
    let checksum = checksum(&bytes[..header.clamp(12, bytes.len())]);
    bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    Frame::of_type(0x0800, &bytes)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| match word {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or(u16::MAX)
}

/// An IPv4 packet with another total length.
pub(crate) fn ipv4_of_length(mut bytes: Vec<u8>, total: u16) -> Frame {
    bytes[2..4].copy_from_slice(&total.to_be_bytes());
    ipv4(bytes)
}

/// An IPv6 packet with another payload length.
pub(crate) fn ipv6_of_length(mut bytes: Vec<u8>, payload: u16) -> Frame {
    bytes[4..6].copy_from_slice(&payload.to_be_bytes());
    Frame::of_type(0x86dd, &bytes)
}

/// An IPv4 packet without options in fragments: those of the payload's bytes.
pub(crate) fn ipv4_fragments(packet: &[u8], parts: &[std::ops::Range<usize>]) -> Vec<Frame> {
    const HEADER: usize = 20;
    let whole = packet.len() - HEADER;
    parts
        .iter()
        .map(|part| {
            let mut fragment = packet[..HEADER].to_vec();
            fragment.extend(&packet[HEADER + part.start..HEADER + part.end]);
            let more = if part.end < whole { 0x2000 } else { 0 };
            let field = u16::try_from(part.start / 8).unwrap_or(0) | more;
            fragment[6..8].copy_from_slice(&field.to_be_bytes());
            let total = u16::try_from(fragment.len()).unwrap_or(0);
            ipv4_of_length(fragment, total)
        })
        .collect()
}

/// An IPv6 packet without extension headers in fragments: those of the payload's bytes.
pub(crate) fn ipv6_fragments(packet: &[u8], parts: &[std::ops::Range<usize>]) -> Vec<Frame> {
    const HEADER: usize = 40;
    const FRAGMENT: u8 = 44;
    let whole = packet.len() - HEADER;
    parts
        .iter()
        .map(|part| {
            let mut fragment = packet[..HEADER].to_vec();
            let next = std::mem::replace(&mut fragment[6], FRAGMENT);
            let more = u16::from(part.end < whole);
            let field = (u16::try_from(part.start).unwrap_or(0) | more).to_be_bytes();
            fragment.extend([next, 0, field[0], field[1], 0, 0, 0, 7]);
            fragment.extend(&packet[HEADER + part.start..HEADER + part.end]);
            let payload = u16::try_from(fragment.len() - HEADER).unwrap_or(0);
            ipv6_of_length(fragment, payload)
        })
        .collect()
}

/// Returns an IPv6 packet with an inserted extension header of this number and content. The first
/// byte of the content is the next header.
pub(crate) fn ipv6_with(packet: &[u8], number: u8, content: &[u8]) -> Frame {
    let mut bytes = packet[..40].to_vec();
    let next = std::mem::replace(&mut bytes[6], number);
    bytes.push(next);
    bytes.extend(content);
    bytes.extend(&packet[40..]);
    let payload = u16::try_from(bytes.len() - 40).unwrap_or(0);
    ipv6_of_length(bytes, payload)
}

/// A frame that carries something else before the packet.
pub(crate) fn behind(ether_type: u16, before: &[u8], packet: &[u8]) -> Frame {
    Frame::of_type(ether_type, &[before, packet].concat())
}
