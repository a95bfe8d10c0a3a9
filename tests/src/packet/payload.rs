//! What an IP packet carries.

use etherparse::checksum::Sum16BitWords;

/// In front of a marker, so that stray traffic is not taken for marked.
const MAGIC: [u8; 8] = *b"ipblockT";

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const ESP: u8 = 50;
const ICMPV6: u8 = 58;

/// The upper layer of an IP packet: header, data and where its checksum goes.
#[derive(Clone, Debug)]
pub struct Payload {
    protocol: u8,
    bytes: Vec<u8>,
    checksum: Checksum,
}

#[derive(Clone, Copy, Debug)]
enum Checksum {
    /// None, or none that is filled in.
    Absent,
    /// Over the payload, stored at this offset.
    Own(usize),
    /// Over addresses, protocol, length and payload, stored at this offset.
    WithPseudoHeader(usize),
}

impl Default for Payload {
    fn default() -> Self {
        Self::udp(5000, 53)
    }
}

impl Payload {
    /// A UDP header without data.
    #[must_use]
    pub fn udp(source: u16, destination: u16) -> Self {
        let [[a, b], [c, d]] = [source.to_be_bytes(), destination.to_be_bytes()];
        Self {
            protocol: UDP,
            bytes: vec![a, b, c, d, 0, 8, 0, 0],
            checksum: Checksum::WithPseudoHeader(6),
        }
    }

    /// A TCP SYN.
    #[must_use]
    pub fn tcp(source: u16, destination: u16) -> Self {
        let [[a, b], [c, d]] = [source.to_be_bytes(), destination.to_be_bytes()];
        Self {
            protocol: TCP,
            bytes: vec![
                a, b, c, d, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
            ],
            checksum: Checksum::WithPseudoHeader(16),
        }
    }

    /// An ICMP echo request.
    #[must_use]
    pub fn icmp_echo() -> Self {
        Self {
            protocol: ICMP,
            bytes: vec![8, 0, 0, 0, 0, 1, 0, 1],
            checksum: Checksum::Own(2),
        }
    }

    /// An `ICMPv6` message of this type: 4 bytes of header and 20 of body, as long as a neighbour
    /// solicitation without options.
    #[must_use]
    pub fn icmpv6(message: u8) -> Self {
        let mut bytes = vec![0; 24];
        bytes.splice(0..1, [message]);
        Self {
            protocol: ICMPV6,
            bytes,
            checksum: Checksum::WithPseudoHeader(2),
        }
    }

    /// A GRE header that carries IPv4.
    #[must_use]
    pub fn gre() -> Self {
        Self::of_protocol(GRE, &[0, 0, 8, 0])
    }

    /// An ESP header and some ciphertext.
    #[must_use]
    pub fn esp() -> Self {
        Self::of_protocol(ESP, &[0, 0, 0, 1, 0, 0, 0, 1, 0xe5, 0x90, 0xe5, 0x90])
    }

    /// These bytes under any protocol number.
    #[must_use]
    pub fn of_protocol(protocol: u8, bytes: &[u8]) -> Self {
        Self {
            protocol,
            bytes: bytes.to_vec(),
            checksum: Checksum::Absent,
        }
    }

    /// With this data behind what is there.
    #[must_use]
    pub fn data(mut self, data: &[u8]) -> Self {
        self.bytes.extend(data);
        self
    }

    /// With a marker behind what is there, which [`marker_in`] finds again.
    #[must_use]
    pub fn marked(self, marker: u64) -> Self {
        let bytes: Vec<u8> = marker_bytes(marker).collect();
        self.data(&bytes)
    }

    /// The same bytes under another protocol number.
    #[must_use]
    pub fn claimed_protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    pub(super) fn protocol(&self) -> u8 {
        self.protocol
    }

    /// The bytes with length and checksum filled in; `addresses` starts the pseudo header's sum.
    pub(super) fn bytes(&self, addresses: impl FnOnce() -> Sum16BitWords) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
        if self.protocol == UDP && matches!(self.checksum, Checksum::WithPseudoHeader(_)) {
            bytes.splice(4..6, length);
        }
        let (start, offset) = match self.checksum {
            Checksum::Absent => return bytes,
            Checksum::Own(offset) => (Sum16BitWords::new(), offset),
            Checksum::WithPseudoHeader(offset) => {
                let start = addresses()
                    .add_2bytes([0, self.protocol])
                    .add_2bytes(length);
                (start, offset)
            }
        };
        let checksum = start.add_slice(&bytes).to_ones_complement_with_no_zero();
        // etherparse sums 16-bit words as they lie in memory.
        bytes.splice(offset..offset + 2, checksum.to_ne_bytes());
        bytes
    }
}

/// The bytes of a marker in a frame.
pub(super) fn marker_bytes(marker: u64) -> impl Iterator<Item = u8> {
    MAGIC.into_iter().chain(marker.to_be_bytes())
}

/// The marker in a received frame, at any position.
#[must_use]
pub fn marker_in(frame: &[u8]) -> Option<u64> {
    let at = frame
        .windows(MAGIC.len())
        .position(|bytes| bytes == MAGIC)?;
    let marker = frame.get(at + MAGIC.len()..)?.first_chunk()?;
    Some(u64::from_be_bytes(*marker))
}
