//! Kinds of frames from a blocked source.

use ipblock_tests::{
    own_stack::{TCP_PORT, UDP_PORT},
    packet::{Frame, Ipv4, Ipv6, Payload},
};

/// Sources that the ruleset blocks.
pub(crate) const BLOCKED_V4: &str = "203.0.113.7";
pub(crate) const BLOCKED_V6: &str = "2001:db8:b::7";

/// What a stack without a filter does with a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// It accepts it; asserted, to prove that the test detects acceptance.
    Accepts,
    /// Either. If it accepts it, the filter must still drop it.
    IsAsked,
}

/// One kind of frame, or of frames that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) frames: Vec<Frame>,
    pub(crate) stack: Stack,
    /// Whether the source in the IP header is not blocked, so it may count as passed.
    pub(crate) has_other_source: bool,
}

impl Kind {
    pub(crate) fn asked(name: impl Into<String>, frame: Frame) -> Self {
        Self::several(name, vec![frame])
    }

    pub(crate) fn several(name: impl Into<String>, frames: Vec<Frame>) -> Self {
        Self {
            name: name.into(),
            frames,
            stack: Stack::IsAsked,
            has_other_source: false,
        }
    }

    /// One that the stack accepts without a filter.
    pub(crate) fn accepted(name: impl Into<String>, frame: Frame) -> Self {
        Self::asked(name, frame).that_is_accepted()
    }

    pub(crate) fn that_is_accepted(mut self) -> Self {
        self.stack = Stack::Accepts;
        self
    }

    pub(crate) fn with_another_source(mut self) -> Self {
        self.has_other_source = true;
        self
    }

    /// The same frames behind tags.
    pub(crate) fn behind(mut self, what: &str, tags: &[(u16, u16)]) -> Self {
        self.name = format!("{} behind {what}", self.name);
        for frame in &mut self.frames {
            *frame = frame.clone().behind(tags);
        }
        self
    }
}

/// UDP from the blocked source to the host's socket.
pub(crate) fn udp_v4() -> Ipv4 {
    Ipv4::from(BLOCKED_V4).with(udp())
}

/// UDP from the blocked source to the host's socket.
pub(crate) fn udp_v6() -> Ipv6 {
    Ipv6::from(BLOCKED_V6).with(udp())
}

/// UDP to the host's socket, long enough for several fragments.
pub(crate) fn udp() -> Payload {
    Payload::udp(5000, UDP_PORT).data(&[0x55; 32])
}

/// UDP in both families.
pub(crate) fn udp_of_both() -> [Kind; 2] {
    [
        Kind::accepted("IPv4 UDP", Frame::carrying(&udp_v4())),
        Kind::accepted("IPv6 UDP", Frame::carrying(&udp_v6())),
    ]
}

/// The first message of a TCP handshake in both families. Each needs its own port: the stack
/// answers a known connection without opening another.
pub(crate) fn syn_of_both(port: u16) -> [Kind; 2] {
    let syn = || Payload::tcp(port, TCP_PORT);
    let v4 = Ipv4::from(BLOCKED_V4).with(syn());
    let v6 = Ipv6::from(BLOCKED_V6).with(syn());
    [
        Kind::accepted("IPv4 TCP SYN", Frame::carrying(&v4)),
        Kind::accepted("IPv6 TCP SYN", Frame::carrying(&v6)),
    ]
}
