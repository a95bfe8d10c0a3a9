//! Test packets, composed from the inside out: a [`Payload`] in an [`Ipv4`] or [`Ipv6`] in a
//! [`Frame`], right by default and wrong where a test asks for it.
//!
//! ```
//! use ipblock_tests::packet::{CTAG, Frame, Ipv4, Payload, STAG};
//! let frame = Frame::carrying(&Ipv4::from("192.0.2.7").options(1).with(Payload::udp(5000, 53)))
//!     .tagged(&[STAG, CTAG]);
//! assert_eq!(frame.len(), 14 + 2 * 4 + 24 + 8);
//! ```

mod ip;
mod payload;

use std::fmt;

pub use ip::{Extension, Ipv4, Ipv6};
pub use payload::{Payload, marker_in};

/// `EtherType` of IPv4.
pub const IPV4: u16 = 0x0800;
/// `EtherType` of IPv6.
pub const IPV6: u16 = 0x86dd;
/// Tag protocol of a customer VLAN, 802.1Q.
pub const CTAG: u16 = 0x8100;
/// Tag protocol of a service VLAN, 802.1ad.
pub const STAG: u16 = 0x88a8;

/// Bytes of an Ethernet header without tags.
pub const ETHERNET: usize = 14;
/// Bytes of the two MAC addresses in front of the first tag or `EtherType`.
const MAC_ADDRESSES: usize = 12;

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// What can follow an Ethernet header.
pub trait Network {
    /// Its `EtherType`.
    const ETHER_TYPE: u16;

    /// The packet, in network byte order, checksums filled in.
    fn bytes(&self) -> Vec<u8>;
}

/// An Ethernet frame without its checksum.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// A frame around an IP packet, from and to made-up unicast addresses.
    #[must_use]
    pub fn carrying<N: Network>(packet: &N) -> Self {
        Self::of_type(N::ETHER_TYPE, &packet.bytes())
    }

    /// A frame of any `EtherType`, or of any 802.3 length.
    #[must_use]
    pub fn of_type(ether_type: u16, payload: &[u8]) -> Self {
        let mut bytes = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
        bytes.extend(ether_type.to_be_bytes());
        bytes.extend(payload);
        Self(bytes)
    }

    /// These bytes, whatever they are.
    #[must_use]
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The same frame between these two stations.
    #[must_use]
    pub fn between(mut self, source: Mac, destination: Mac) -> Self {
        let addresses = destination.0.into_iter().chain(source.0);
        for (to, from) in self.0.iter_mut().zip(addresses) {
            *to = from;
        }
        self
    }

    /// The same frame behind VLAN tags of these tag protocols, outermost first. Their VLAN ids are
    /// 101, 102, ...
    #[must_use]
    pub fn tagged(self, tag_protocols: &[u16]) -> Self {
        let tags: Vec<(u16, u16)> = tag_protocols.iter().copied().zip(101..).collect();
        self.behind(&tags)
    }

    /// The same frame behind these tags, outermost first: tag protocol, and tag control information
    /// (3 bits of priority, 1 bit of drop eligibility, 12 bits of VLAN id).
    #[must_use]
    pub fn behind(mut self, tags: &[(u16, u16)]) -> Self {
        let tags = tags.iter().flat_map(|(protocol, control)| {
            let [[a, b], [c, d]] = [protocol.to_be_bytes(), control.to_be_bytes()];
            [a, b, c, d]
        });
        self.0.splice(MAC_ADDRESSES..MAC_ADDRESSES, tags);
        self
    }

    /// With a marker at its end, which [`marker_in`] finds again: for what is not IP. IP packets
    /// carry it in their [`Payload`].
    #[must_use]
    pub fn marked(mut self, marker: u64) -> Self {
        self.0.extend(payload::marker_bytes(marker));
        self
    }

    /// The first `length` bytes; a shorter frame stays as it is.
    #[must_use]
    pub fn truncated(mut self, length: usize) -> Self {
        self.0.truncate(length);
        self
    }

    /// The same frame with zeros behind it, up to `length`; a longer frame stays as it is.
    #[must_use]
    pub fn padded(mut self, length: usize) -> Self {
        self.0.resize(self.0.len().max(length), 0);
        self
    }

    /// Its bytes, from the destination MAC address on.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is left of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Length and hexadecimal bytes, at most the first 96.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 96;
        write!(f, "{} bytes:", self.len())?;
        for (offset, byte) in self.0.iter().take(SHOWN).enumerate() {
            let gap = if offset % 4 == ETHERNET % 4 { " " } else { "" };
            write!(f, "{gap}{byte:02x}")?;
        }
        if self.len() > SHOWN {
            f.write_str(" ...")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
