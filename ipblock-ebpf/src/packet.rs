//! Finds the source address of a frame: link layer, VLAN tags, IP version, and no further.

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

/// The kind of a frame.
pub(crate) enum Packet {
    /// IPv4 with a whole source address.
    V4(IpHeader<SourceV4>),
    /// IPv6 with a whole source address.
    V6(IpHeader<SourceV6>),
    /// Any other protocol, 802.3 length frames included.
    NonIp,
    /// The source address cannot be read.
    Malformed(Malformed),
}

/// Why a source address cannot be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// A tag or the source address is truncated, the version differs from the `EtherType`, or the
    /// IPv4 header length is below the minimum. No IP stack accepts such a packet.
    Header,
    /// More VLAN tags than the parser skips. Linux removes any number of priority tags, so the host
    /// may accept the packet behind them.
    Tags,
}

/// The offset of the IP header, and the source address.
pub(crate) struct IpHeader<S> {
    /// Offset of the IP header from the start of the frame, in bytes.
    pub(crate) offset: usize,
    pub(crate) source: S,
}

/// An `EtherType` and the bytes after it, up to the end of the source address of either family.
type Start = Piece<{ IP + offset_of!(Ipv6Hdr, src_addr) + size_of::<[u8; 16]>() }>;

/// Offset of the IP header in [`Start`].
const IP: usize = size_of::<EtherType>();

/// Finds the source address after at most [`MAX_VLAN_TAGS`] VLAN tags, 802.1Q or 802.1ad, in any
/// order and with any id.
#[inline(always)]
pub(crate) fn parse(frame: &Frame<'_>) -> Packet {
    // Nearly all frames take this path: no tag, and the source address is in the first buffer.
    if let Some(start) = frame.piece(EthHdr::LEN - IP) {
        let ether_type = start.u16::<0>().to_be();
        if !is_vlan(ether_type) {
            return parse_start(ether_type, start, EthHdr::LEN);
        }
    }
    parse_behind_tags(frame)
}

/// As [`parse`], for the other frames: tagged, short, or split by the driver.
#[inline(always)]
fn parse_behind_tags(frame: &Frame<'_>) -> Packet {
    let mut offset = EthHdr::LEN;
    for _ in 0..=MAX_VLAN_TAGS {
        let Some(ether_type) = frame.read_u16(offset - IP).map(u16::to_be) else {
            return Packet::Malformed(Malformed::Header);
        };
        if !is_vlan(ether_type) {
            return match frame.piece(offset - IP) {
                Some(start) => parse_start(ether_type, start, offset),
                None => parse_by_field(frame, ether_type, offset),
            };
        }
        offset += VLAN_TAG;
    }
    Packet::Malformed(Malformed::Tags)
}

/// Parses the IP header behind the `EtherType` in `start`. It has the `offset` in the frame.
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

/// As [`parse_start`], one field at a time: for headers that are short or reach into a fragment.
#[inline(always)]
fn parse_by_field(frame: &Frame<'_>, ether_type: u16, offset: usize) -> Packet {
    let found = if ether_type == EtherType::Ipv4 as u16 {
        read_ipv4(frame, offset)
    } else if ether_type == EtherType::Ipv6 as u16 {
        read_ipv6(frame, offset)
    } else {
        Some(Packet::NonIp)
    };
    found.unwrap_or(Packet::Malformed(Malformed::Header))
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
        return Packet::Malformed(Malformed::Header);
    }
    Packet::V4(IpHeader { offset, source })
}

#[inline(always)]
fn ipv6(version: u8, offset: usize, source: SourceV6) -> Packet {
    if version >> 4 != 6 {
        return Packet::Malformed(Malformed::Header);
    }
    Packet::V6(IpHeader { offset, source })
}
