//! IPv4 and IPv6 packets.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;

use super::{Network, Payload};

/// Where packets go unless a test says otherwise; the filter does not care.
const DESTINATION_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DESTINATION_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Bytes of an IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// Offset of the IPv4 header's checksum.
const IPV4_CHECKSUM: usize = 10;
/// "Don't fragment", in the fragment field.
const DONT_FRAGMENT: u16 = 0x4000;
/// "More fragments", in the fragment field.
const MORE_FRAGMENTS: u16 = 0x2000;

/// An IPv4 packet; UDP from port 5000 to 53 by default.
#[derive(Clone, Debug)]
pub struct Ipv4 {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    version: u8,
    ihl: Option<u8>,
    option_words: u8,
    fragment: u16,
    payload: Payload,
}

impl From<&str> for Ipv4 {
    /// A packet from this source address.
    #[track_caller]
    fn from(source: &str) -> Self {
        match source.parse() {
            Ok(source) => Self::from_source(source),
            Err(error) => panic!("{source}: {error}"),
        }
    }
}

impl Ipv4 {
    /// A packet from this source address.
    #[must_use]
    pub fn from_source(source: Ipv4Addr) -> Self {
        Self {
            source,
            destination: DESTINATION_V4,
            version: 4,
            ihl: None,
            option_words: 0,
            fragment: 0,
            payload: Payload::default(),
        }
    }

    /// With this destination.
    #[must_use]
    pub fn to(mut self, destination: Ipv4Addr) -> Self {
        self.destination = destination;
        self
    }

    /// With this payload.
    #[must_use]
    pub fn with(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// With `words` 32-bit words of no-operation options, at most 10.
    #[must_use]
    pub fn options(mut self, words: u8) -> Self {
        self.option_words = words;
        self
    }

    /// With this header length, in 32-bit words, whatever the header's length really is.
    #[must_use]
    pub fn claimed_ihl(mut self, words: u8) -> Self {
        self.ihl = Some(words);
        self
    }

    /// With this version nibble.
    #[must_use]
    pub fn claimed_version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }

    /// As the fragment at `offset` (in units of 8 bytes); the payload is its unchanged content.
    #[must_use]
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        self.fragment = offset | if more { MORE_FRAGMENTS } else { 0 };
        self
    }

    /// Not to be fragmented, as most packets on the internet are.
    #[must_use]
    pub fn dont_fragment(mut self) -> Self {
        self.fragment = DONT_FRAGMENT;
        self
    }
}

impl Network for Ipv4 {
    const ETHER_TYPE: u16 = super::IPV4;

    fn bytes(&self) -> Vec<u8> {
        let payload = self.payload.bytes(|| {
            Sum16BitWords::new()
                .add_4bytes(self.source.octets())
                .add_4bytes(self.destination.octets())
        });
        let header_words = 5 + self.option_words;
        let total = length_field(usize::from(header_words) * 4 + payload.len());
        let mut header = Vec::with_capacity(IPV4_HEADER);
        header.push((self.version << 4) | self.ihl.unwrap_or(header_words));
        header.push(0);
        header.extend(total);
        header.extend([0x12, 0x34]);
        header.extend(self.fragment.to_be_bytes());
        header.extend([64, self.payload.protocol()]);
        header.extend([0, 0]);
        header.extend(self.source.octets());
        header.extend(self.destination.octets());
        header.resize(usize::from(header_words) * 4, 1);
        let checksum = Sum16BitWords::new().add_slice(&header).ones_complement();
        // etherparse sums 16-bit words as they lie in memory.
        header.splice(IPV4_CHECKSUM..IPV4_CHECKSUM + 2, checksum.to_ne_bytes());
        header.extend(payload);
        header
    }
}

/// An IPv6 packet; UDP from port 5000 to 53 by default.
#[derive(Clone, Debug)]
pub struct Ipv6 {
    source: Ipv6Addr,
    destination: Ipv6Addr,
    version: u8,
    hop_limit: u8,
    extensions: Vec<Extension>,
    payload: Payload,
}

/// An IPv6 extension header (RFC 8200, RFC 4302, RFC 6275, RFC 7401, RFC 5533).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options, with one padding option.
    HopByHop,
    /// Routing, of an unassigned type with no segments left.
    Routing,
    /// The fragment at this offset, in units of 8 bytes.
    Fragment(u16),
    /// Destination options, with one padding option.
    DestinationOptions,
    /// Authentication header.
    Authentication,
    /// Mobility header.
    Mobility,
    /// Host identity protocol.
    HostIdentity,
    /// Shim6.
    Shim6,
}

impl Extension {
    /// One of each.
    pub const ALL: [Self; 9] = [
        Self::HopByHop,
        Self::Routing,
        Self::Fragment(0),
        Self::Fragment(185),
        Self::DestinationOptions,
        Self::Authentication,
        Self::Mobility,
        Self::HostIdentity,
        Self::Shim6,
    ];

    /// Its protocol number.
    fn number(self) -> u8 {
        match self {
            Self::HopByHop => 0,
            Self::Routing => 43,
            Self::Fragment(_) => 44,
            Self::Authentication => 51,
            Self::DestinationOptions => 60,
            Self::Mobility => 135,
            Self::HostIdentity => 139,
            Self::Shim6 => 140,
        }
    }

    fn bytes(self, next: u8) -> Vec<u8> {
        match self {
            // PadN over the remaining six bytes.
            Self::HopByHop | Self::DestinationOptions => vec![next, 0, 1, 4, 0, 0, 0, 0],
            Self::Routing => vec![next, 0, 253, 0, 0, 0, 0, 0],
            Self::Fragment(offset) => {
                let [high, low] = (offset << 3 | 1).to_be_bytes();
                vec![next, 0, high, low, 0, 0, 0, 7]
            }
            // The only length in units of 4 bytes, minus 2: 12 bytes and an 8-byte check value.
            Self::Authentication => {
                let mut bytes = vec![next, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
                bytes.resize(20, 0xaa);
                bytes
            }
            Self::Mobility | Self::HostIdentity | Self::Shim6 => vec![next, 0, 0, 0, 0, 0, 0, 0],
        }
    }
}

impl From<&str> for Ipv6 {
    /// A packet from this source address.
    #[track_caller]
    fn from(source: &str) -> Self {
        match source.parse() {
            Ok(source) => Self::from_source(source),
            Err(error) => panic!("{source}: {error}"),
        }
    }
}

impl Ipv6 {
    /// A packet from this source address.
    #[must_use]
    pub fn from_source(source: Ipv6Addr) -> Self {
        Self {
            source,
            destination: DESTINATION_V6,
            version: 6,
            hop_limit: 64,
            extensions: Vec::new(),
            payload: Payload::default(),
        }
    }

    /// With this destination.
    #[must_use]
    pub fn to(mut self, destination: Ipv6Addr) -> Self {
        self.destination = destination;
        self
    }

    /// With this payload.
    #[must_use]
    pub fn with(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// With this hop limit; 64 otherwise.
    #[must_use]
    pub fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// With these extension headers, in this order.
    #[must_use]
    pub fn extensions(mut self, extensions: &[Extension]) -> Self {
        self.extensions = extensions.to_vec();
        self
    }

    /// With this version nibble.
    #[must_use]
    pub fn claimed_version(mut self, version: u8) -> Self {
        self.version = version;
        self
    }
}

impl Network for Ipv6 {
    const ETHER_TYPE: u16 = super::IPV6;

    fn bytes(&self) -> Vec<u8> {
        let mut payload = self.payload.bytes(|| {
            Sum16BitWords::new()
                .add_16bytes(self.source.octets())
                .add_16bytes(self.destination.octets())
        });
        let mut next = self.payload.protocol();
        for extension in self.extensions.iter().rev() {
            payload.splice(0..0, extension.bytes(next));
            next = extension.number();
        }
        let mut bytes = vec![self.version << 4, 0, 0, 0];
        bytes.extend(length_field(payload.len()));
        bytes.extend([next, self.hop_limit]);
        bytes.extend(self.source.octets());
        bytes.extend(self.destination.octets());
        bytes.extend(payload);
        bytes
    }
}

/// A 16-bit length field; what does not fit in is longer than any frame.
fn length_field(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
