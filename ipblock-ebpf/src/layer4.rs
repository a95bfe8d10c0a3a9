//! Destination, protocol and port of an announced packet. Verdicts never depend on them.

use core::mem::offset_of;

use network_types::{
    ip::{IpProto, Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

use crate::frame::Frame;

/// Mask of the fragment offset in an IPv4 header.
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Mask of the fragment offset in an IPv6 fragment header.
const FRAGMENT_OFFSET_V6: u16 = 0xfff8;
/// Extension headers that are skipped at most. Packets with more are made to confuse a parser.
const MAX_EXTENSIONS: usize = 8;

/// The destination of a packet.
pub(crate) struct Layer4 {
    /// IP protocol number; for IPv6, the one after the extension headers.
    pub(crate) protocol: u8,
    /// In host byte order; `None` if the protocol has no ports or the packet does not contain it.
    pub(crate) destination_port: Option<u16>,
    /// In network byte order; zero if the packet ends before its end.
    pub(crate) destination: [u8; 16],
}

/// Reads the fields after the source address in the IP header at `ip`. `family` is as in a
/// [`SourceKey`](ipblock_common::SourceKey).
#[inline(always)]
pub(crate) fn read(frame: &Frame<'_>, ip: usize, family: u32) -> Layer4 {
    if family == 4 {
        read_ipv4(frame, ip)
    } else {
        read_ipv6(frame, ip)
    }
}

#[inline(always)]
fn read_ipv4(frame: &Frame<'_>, ip: usize) -> Layer4 {
    let mut destination = [0; 16];
    if let Some(address) = frame.copy::<4>(ip + offset_of!(Ipv4Hdr, dst_addr)) {
        let [a, b, c, d] = address;
        let [first, second, third, fourth, ..] = &mut destination;
        (*first, *second, *third, *fourth) = (a, b, c, d);
    }
    let [protocol] = frame.copy(ip + offset_of!(Ipv4Hdr, proto)).unwrap_or([0]);
    let [version_ihl] = frame.copy(ip).unwrap_or([0]);
    let fragment = frame
        .copy(ip + offset_of!(Ipv4Hdr, frags))
        .map_or(0, u16::from_be_bytes);
    let payload = ip + usize::from(version_ihl & 0xf) * 4;
    Layer4 {
        protocol,
        destination_port: port(frame, protocol, payload, fragment & FRAGMENT_OFFSET != 0),
        destination,
    }
}

#[inline(always)]
fn read_ipv6(frame: &Frame<'_>, ip: usize) -> Layer4 {
    let destination = frame
        .copy(ip + offset_of!(Ipv6Hdr, dst_addr))
        .unwrap_or([0; 16]);
    let [mut protocol] = frame
        .copy(ip + offset_of!(Ipv6Hdr, next_hdr))
        .unwrap_or([0]);
    let mut payload = ip + Ipv6Hdr::LEN;
    let mut is_later_fragment = false;
    for _ in 0..MAX_EXTENSIONS {
        let is_fragment = protocol == IpProto::Ipv6Frag as u8;
        let is_authentication = protocol == IpProto::Ah as u8;
        let is_option = protocol == IpProto::HopOpt as u8
            || protocol == IpProto::Ipv6Route as u8
            || protocol == IpProto::Ipv6Opts as u8;
        if !(is_fragment || is_authentication || is_option) {
            break;
        }
        let Some([next, length, high, low]) = frame.copy(payload) else {
            break;
        };
        protocol = next;
        payload += if is_fragment {
            let offset = u16::from_be_bytes([high, low]) & FRAGMENT_OFFSET_V6;
            is_later_fragment = offset != 0;
            8
        } else if is_authentication {
            // RFC 4302, 2.2: in 4-byte units, minus 2.
            (usize::from(length) + 2) * 4
        } else {
            // RFC 8200, 4.3: in 8-byte units, without the first.
            (usize::from(length) + 1) * 8
        };
        if is_later_fragment {
            break;
        }
    }
    Layer4 {
        protocol,
        destination_port: port(frame, protocol, payload, is_later_fragment),
        destination,
    }
}

/// Returns the destination port. It has the same offset in every protocol with ports.
#[inline(always)]
fn port(frame: &Frame<'_>, protocol: u8, payload: usize, is_later_fragment: bool) -> Option<u16> {
    let has_ports = protocol == IpProto::Tcp as u8
        || protocol == IpProto::Udp as u8
        || protocol == IpProto::Dccp as u8
        || protocol == IpProto::Sctp as u8
        || protocol == IpProto::UdpLite as u8;
    if !has_ports || is_later_fragment {
        return None;
    }
    let port = frame.copy(payload + offset_of!(UdpHdr, dst))?;
    Some(u16::from_be_bytes(port))
}
