//! One kind of traffic, and what must become of it.

use std::net::IpAddr;

use ipblock_tests::packet::{CTAG, Frame, Ipv4, Ipv6, Payload, STAG};

use crate::counters::Counters;

const ARP: u16 = 0x0806;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Dropped,
    Warned,
    Allowed,
    NonIp,
}

impl Outcome {
    /// The total that counts it.
    pub(crate) fn total(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Dropped => "dropped",
            Self::Warned => "warned",
            Self::Allowed => "allowed",
            Self::NonIp => "non_ip",
        }
    }

    /// What `ipblock-ctl check` calls it.
    pub(crate) fn verdict(self) -> &'static str {
        match self {
            Self::Dropped => "block",
            Self::Warned => "warn",
            Self::Passed | Self::Allowed | Self::NonIp => "pass",
        }
    }
}

/// How a packet is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Without tags.
    Plain,
    /// One 802.1Q tag.
    Vlan,
    /// An 802.1ad tag, then an 802.1Q tag.
    Qinq,
}

impl Framing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Vlan => "vlan",
            Self::Qinq => "qinq",
        }
    }

    fn tags(self) -> &'static [u16] {
        match self {
            Self::Plain => &[],
            Self::Vlan => &[CTAG],
            Self::Qinq => &[STAG, CTAG],
        }
    }
}

/// One kind of traffic, and what must become of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The source address; none for ARP.
    pub(crate) source: Option<IpAddr>,
    pub(crate) framing: Framing,
    pub(crate) outcome: Outcome,
    /// Rules that count it as a hit.
    pub(crate) matched: Vec<String>,
    /// Rules that an exception keeps from it.
    pub(crate) excepted: Vec<String>,
}

impl Case {
    pub(crate) fn new(source: IpAddr, framing: Framing, outcome: Outcome) -> Self {
        Self {
            source: Some(source),
            framing,
            outcome,
            matched: Vec::new(),
            excepted: Vec::new(),
        }
    }

    pub(crate) fn arp(framing: Framing) -> Self {
        Self {
            source: None,
            framing,
            outcome: Outcome::NonIp,
            matched: Vec::new(),
            excepted: Vec::new(),
        }
    }

    pub(crate) fn matched(mut self, rules: &[&str]) -> Self {
        self.matched = rules.iter().map(|&rule| rule.to_owned()).collect();
        self
    }

    pub(crate) fn excepted(mut self, rule: &str) -> Self {
        self.excepted = vec![rule.to_owned()];
        self
    }

    /// A frame of this kind, which the receiver identifies by the marker.
    pub(crate) fn frame(&self, marker: u64) -> Frame {
        let payload = Payload::udp(5000, 53).marked(marker);
        let frame = match self.source {
            Some(IpAddr::V4(source)) => Frame::carrying(&Ipv4::from_source(source).with(payload)),
            Some(IpAddr::V6(source)) => Frame::carrying(&Ipv6::from_source(source).with(payload)),
            None => Frame::of_type(ARP, &[0; 28]).marked(marker),
        };
        frame.tagged(self.framing.tags())
    }

    /// Everything that counts `packets` frames of this kind.
    pub(crate) fn counters(&self, packets: u64) -> Counters {
        let bytes = packets * self.frame(0).len() as u64;
        let mut counters = Counters::default();
        let mut count = |place: &str| {
            counters.add(format!("{place} packets"), packets);
            counters.add(format!("{place} bytes"), bytes);
        };
        count(&format!("totals {}", self.outcome.total()));
        if self.outcome == Outcome::Allowed {
            count("allow");
        }
        for rule in &self.matched {
            count(&format!("rules {rule}"));
        }
        for rule in &self.excepted {
            counters.add(format!("rules {rule} excepted"), packets);
        }
        counters
    }

    /// The rules, for the table.
    pub(crate) fn rules(&self) -> String {
        let mut parts: Vec<String> = self.excepted.iter().map(|it| format!("not {it}")).collect();
        parts.extend(self.matched.iter().cloned());
        match self.outcome {
            Outcome::Allowed => "allow list".to_owned(),
            _ if parts.is_empty() => "-".to_owned(),
            _ => parts.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_in_two_rules_is_expected_in_both_and_in_one_total() {
        let source = "203.0.113.90".parse().unwrap();
        let case = Case::new(source, Framing::Vlan, Outcome::Dropped).matched(&["abuse", "watch"]);
        let mut expected = Counters::default();
        // 14 Ethernet, 4 tag, 20 IPv4, 8 UDP, 16 marker
        for place in ["totals dropped", "rules abuse", "rules watch"] {
            expected.add(format!("{place} packets"), 3);
            expected.add(format!("{place} bytes"), 3 * 62);
        }
        assert_eq!(case.counters(3), expected);
    }
}
