//! Packets that a `default = drop` zone must not drop: neighbour discovery and the host's own
//! lease.
//!
//! ARP is not IP and never gets here. Allow lists, bans and rules come first: these packets are
//! exempt from the *default* only. No other verdict depends on anything behind the source address.
//!
//! The reads go through a kernel copy. With a packet pointer that depends on the number of VLAN
//! tags, the verifier would walk the rest of the program once for each number, and give up.

use core::mem::offset_of;

use network_types::{
    ip::{IpProto, Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};

use crate::{
    frame::Frame,
    source::{SourceV4, SourceV6},
};

/// ICMPv6 router solicitation to redirect (RFC 4861).
const NEIGHBOUR_DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;
/// A router decrements the hop limit, so a forwarded message cannot have this value (RFC 4861,
/// 6.1).
const NEVER_FORWARDED: u8 = 255;
/// DHCP server to client (RFC 2131).
const DHCPV4_PORTS: [u16; 2] = [67, 68];
/// DHCPv6 server to client (RFC 8415).
const DHCPV6_PORTS: [u16; 2] = [547, 546];
/// "More fragments" and the fragment offset.
const FRAGMENT_BITS: u16 = 0x3fff;

/// A source whose packet may be exempt from the zone's default.
pub(crate) trait Spared {
    /// Whether the packet with the IP header at `ip` is exempt. A packet that cannot be read is
    /// not.
    fn is_essential(frame: &Frame<'_>, ip: usize) -> bool;
}

impl Spared for SourceV4 {
    #[inline(always)]
    fn is_essential(frame: &Frame<'_>, ip: usize) -> bool {
        is_dhcpv4(frame, ip).unwrap_or(false)
    }
}

impl Spared for SourceV6 {
    #[inline(always)]
    fn is_essential(frame: &Frame<'_>, ip: usize) -> bool {
        is_dhcpv6_or_neighbour_discovery(frame, ip).unwrap_or(false)
    }
}

#[inline(always)]
fn is_dhcpv4(frame: &Frame<'_>, ip: usize) -> Option<bool> {
    let [version_ihl] = frame.copy(ip)?;
    let fragment = copy_u16(frame, ip + offset_of!(Ipv4Hdr, frags))?;
    let [protocol] = frame.copy(ip + offset_of!(Ipv4Hdr, proto))?;
    // A fragment is never exempt: a later one has no UDP header to check.
    if protocol != IpProto::Udp as u8 || fragment & FRAGMENT_BITS != 0 {
        return Some(false);
    }
    let header_len = usize::from(version_ihl & 0xf) * 4;
    Some(read_ports(frame, ip + header_len)? == DHCPV4_PORTS)
}

#[inline(always)]
fn is_dhcpv6_or_neighbour_discovery(frame: &Frame<'_>, ip: usize) -> Option<bool> {
    let [next_header] = frame.copy(ip + offset_of!(Ipv6Hdr, next_hdr))?;
    let payload = ip + Ipv6Hdr::LEN;
    if next_header == IpProto::Ipv6Icmp as u8 {
        let [hop_limit] = frame.copy(ip + offset_of!(Ipv6Hdr, hop_limit))?;
        let [message] = frame.copy(payload)?;
        return Some(hop_limit == NEVER_FORWARDED && NEIGHBOUR_DISCOVERY.contains(&message));
    }
    if next_header == IpProto::Udp as u8 {
        return Some(read_ports(frame, payload)? == DHCPV6_PORTS);
    }
    Some(false)
}

/// Source and destination port of the UDP header at `offset`.
#[inline(always)]
fn read_ports(frame: &Frame<'_>, offset: usize) -> Option<[u16; 2]> {
    let source = copy_u16(frame, offset + offset_of!(UdpHdr, src))?;
    let destination = copy_u16(frame, offset + offset_of!(UdpHdr, dst))?;
    Some([source, destination])
}

#[inline(always)]
fn copy_u16(frame: &Frame<'_>, offset: usize) -> Option<u16> {
    frame.copy(offset).map(u16::from_be_bytes)
}
