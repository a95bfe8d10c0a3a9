//! From a frame to the source address: link layer, VLAN tags, IP version. Nothing beyond.

use core::mem::offset_of;

use ipblock_common::limits::MAX_VLAN_TAGS;
use network_types::{
    eth::{EthHdr, EtherType},
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use crate::{
    frame::Frame,
    source::{SourceV4, SourceV6},
};

/// Bytes of a VLAN tag: tag control information and the next `EtherType`.
const VLAN_TAG: usize = 4;
/// The shortest IPv4 header, in 32-bit words.
const MIN_IHL: u8 = 5;

/// What a frame turned out to be.
pub(crate) enum Packet {
    /// IPv4 with a whole source address.
    V4(IpHeader<SourceV4>),
    /// IPv6 with a whole source address.
    V6(IpHeader<SourceV6>),
    /// Any other protocol, 802.3 length frames included.
    NonIp,
    /// The source address is not wholly present, the version is not what the `EtherType` says, the
    /// IPv4 header is too short to be one, or there are more than two VLAN tags.
    Malformed,
}

/// Where the IP header starts, and whose packet it is.
pub(crate) struct IpHeader<S> {
    /// Offset of the IP header from the start of the frame, in bytes.
    pub(crate) offset: usize,
    pub(crate) source: S,
}

/// Finds the source address behind up to two VLAN tags, 802.1Q or 802.1ad, in any order.
#[inline(always)]
pub(crate) fn parse(frame: &Frame<'_>) -> Packet {
    let mut offset = EthHdr::LEN;
    let Some(mut ether_type) = read_ether_type(frame, offset) else {
        return Packet::Malformed;
    };
    for _ in 0..MAX_VLAN_TAGS {
        if !is_vlan(ether_type) {
            break;
        }
        offset += VLAN_TAG;
        let Some(inner) = read_ether_type(frame, offset) else {
            return Packet::Malformed;
        };
        ether_type = inner;
    }
    if ether_type == EtherType::Ipv4 as u16 {
        parse_ipv4(frame, offset)
    } else if ether_type == EtherType::Ipv6 as u16 {
        parse_ipv6(frame, offset)
    } else if is_vlan(ether_type) {
        Packet::Malformed
    } else {
        Packet::NonIp
    }
}

/// The `EtherType` that ends at `end`, in network byte order as `network_types` keeps it.
#[inline(always)]
fn read_ether_type(frame: &Frame<'_>, end: usize) -> Option<u16> {
    frame.read_u16(end - 2).map(u16::to_be)
}

#[inline(always)]
fn is_vlan(ether_type: u16) -> bool {
    ether_type == EtherType::Ieee8021q as u16 || ether_type == EtherType::Ieee8021ad as u16
}

#[inline(always)]
fn parse_ipv4(frame: &Frame<'_>, offset: usize) -> Packet {
    let source = frame.read_u32(offset + offset_of!(Ipv4Hdr, src_addr));
    let (Some(source), Some([version_ihl])) = (source, frame.read(offset)) else {
        return Packet::Malformed;
    };
    if version_ihl >> 4 != 4 || version_ihl & 0xf < MIN_IHL {
        return Packet::Malformed;
    }
    Packet::V4(IpHeader {
        offset,
        source: SourceV4(source),
    })
}

#[inline(always)]
fn parse_ipv6(frame: &Frame<'_>, offset: usize) -> Packet {
    let at = offset + offset_of!(Ipv6Hdr, src_addr);
    let halves = (frame.read_u64(at), frame.read_u64(at + 8));
    let ((Some(upper), Some(lower)), Some([version])) = (halves, frame.read(offset)) else {
        return Packet::Malformed;
    };
    if version >> 4 != 6 {
        return Packet::Malformed;
    }
    Packet::V6(IpHeader {
        offset,
        source: SourceV6 { upper, lower },
    })
}
