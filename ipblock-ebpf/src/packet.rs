//! From a frame to the source address: link layer, VLAN tags, IP version. Nothing beyond.

use core::mem::offset_of;

use ipblock_common::limits::MAX_VLAN_TAGS;
use network_types::{
    eth::{EthHdr, EtherType},
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use crate::{
    frame::{Frame, Piece},
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

/// An `EtherType` and the first bytes behind it, as many as hold either family's source address.
type Start = Piece<{ IP + offset_of!(Ipv6Hdr, src_addr) + size_of::<[u8; 16]>() }>;

/// The IP header in [`Start`].
const IP: usize = size_of::<EtherType>();

/// Finds the source address behind up to two VLAN tags, 802.1Q or 802.1ad, in any order.
#[inline(always)]
pub(crate) fn parse(frame: &Frame<'_>) -> Packet {
    let mut offset = EthHdr::LEN;
    for _ in 0..=MAX_VLAN_TAGS {
        let Some(start) = frame.piece(offset - IP) else {
            break;
        };
        let ether_type = start.u16::<0>().to_be();
        if !is_vlan(ether_type) {
            return parse_start(ether_type, start, offset);
        }
        offset += VLAN_TAG;
    }
    parse_by_field(frame)
}

/// `ether_type` is that of `start`, which is followed by the IP header at `offset` of the frame.
#[inline(always)]
fn parse_start(ether_type: u16, start: Start, offset: usize) -> Packet {
    const V4_SOURCE: usize = IP + offset_of!(Ipv4Hdr, src_addr);
    const V6_SOURCE: usize = IP + offset_of!(Ipv6Hdr, src_addr);
    let version = start.u8::<IP>();
    if ether_type == EtherType::Ipv4 as u16 {
        let source = SourceV4(start.u32::<V4_SOURCE>());
        ipv4(version, offset, source)
    } else if ether_type == EtherType::Ipv6 as u16 {
        let upper = start.u64::<V6_SOURCE>();
        let lower = start.u64::<{ V6_SOURCE + 8 }>();
        ipv6(version, offset, SourceV6 { upper, lower })
    } else {
        Packet::NonIp
    }
}

/// As [`parse`], field by field: for frames that are short, or that a driver splits up.
#[inline(always)]
fn parse_by_field(frame: &Frame<'_>) -> Packet {
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
    let found = if ether_type == EtherType::Ipv4 as u16 {
        read_ipv4(frame, offset)
    } else if ether_type == EtherType::Ipv6 as u16 {
        read_ipv6(frame, offset)
    } else if is_vlan(ether_type) {
        None
    } else {
        Some(Packet::NonIp)
    };
    found.unwrap_or(Packet::Malformed)
}

/// The `EtherType` that ends at `end`, in network byte order as `network_types` keeps it.
#[inline(always)]
fn read_ether_type(frame: &Frame<'_>, end: usize) -> Option<u16> {
    frame.read_u16(end - IP).map(u16::to_be)
}

#[inline(always)]
fn is_vlan(ether_type: u16) -> bool {
    ether_type == EtherType::Ieee8021q as u16 || ether_type == EtherType::Ieee8021ad as u16
}

#[inline(always)]
fn read_ipv4(frame: &Frame<'_>, offset: usize) -> Option<Packet> {
    let source = frame.read(offset + offset_of!(Ipv4Hdr, src_addr))?;
    let [version_ihl] = frame.read(offset)?;
    let source = SourceV4(u32::from_be_bytes(source));
    Some(ipv4(version_ihl, offset, source))
}

#[inline(always)]
fn read_ipv6(frame: &Frame<'_>, offset: usize) -> Option<Packet> {
    let at = offset + offset_of!(Ipv6Hdr, src_addr);
    let (upper, lower) = (frame.read(at)?, frame.read(at + 8)?);
    let [version] = frame.read(offset)?;
    let source = SourceV6 {
        upper: u64::from_be_bytes(upper),
        lower: u64::from_be_bytes(lower),
    };
    Some(ipv6(version, offset, source))
}

#[inline(always)]
fn ipv4(version_ihl: u8, offset: usize, source: SourceV4) -> Packet {
    if version_ihl >> 4 != 4 || version_ihl & 0xf < MIN_IHL {
        return Packet::Malformed;
    }
    Packet::V4(IpHeader { offset, source })
}

#[inline(always)]
fn ipv6(version: u8, offset: usize, source: SourceV6) -> Packet {
    if version >> 4 != 6 {
        return Packet::Malformed;
    }
    Packet::V6(IpHeader { offset, source })
}
