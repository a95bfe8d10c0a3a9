//! The sources of traffic: a pool of listed sources, or of others.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Result, ensure};
use ipblock_common::class::NO_CLASS;
use ipblock_tests::packet::{Frame, Ipv4, Ipv6, Payload};
use ipnet::IpNet;
use jiff::Timestamp;

use ipblock_policy::compile::CompiledZone;
use ipblock_tests::random::Random;

use super::{Family, workload::address_in};

/// The kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Sources that nothing matches. For IPv6, half are anywhere in `2000::/3` and half in a /32
    /// that contains a listed prefix, or is inside one.
    Clean,
    /// Each source is from a random listed prefix, and is really blocked.
    Attack,
}

impl Traffic {
    pub(crate) const BOTH: [Self; 2] = [Self::Clean, Self::Attack];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Attack => "attack",
        }
    }

    /// `XDP_PASS` or `XDP_DROP`.
    pub(crate) fn verdict(self) -> u32 {
        match self {
            Self::Clean => 2,
            Self::Attack => 1,
        }
    }

    /// Returns `count` sources, checked against the zone that is compiled from `listed`.
    pub(crate) fn sources(
        self,
        family: Family,
        zone: &CompiledZone,
        listed: &[IpNet],
        count: usize,
    ) -> Result<Vec<IpAddr>> {
        ensure!(!listed.is_empty(), "nothing is listed");
        let mut random = Random::new(0x7aff_1c00 + u64::from(family.number()));
        let mut sources = Vec::with_capacity(count);
        while sources.len() < count {
            let of_list = random.one_of(listed).copied();
            let address = match (self, family, of_list) {
                (Self::Attack, _, Some(prefix)) => address_in(&mut random, prefix),
                (_, Family::Ipv4, _) => random.ipv4().into(),
                (_, Family::Ipv6, Some(IpNet::V6(net))) if sources.len().is_multiple_of(2) => {
                    let beside = net.network().to_bits() >> 96 << 96;
                    let rest = random.next_128() >> 32;
                    Ipv6Addr::from_bits(beside | rest).into()
                }
                (_, Family::Ipv6, _) => random.ipv6().into(),
            };
            let fits = match self {
                Self::Clean => zone.lookup(address) == NO_CLASS,
                Self::Attack => zone.drops(address, Timestamp::UNIX_EPOCH),
            };
            if fits {
                sources.push(address);
            }
        }
        Ok(sources)
    }
}

/// The smallest frame of an Ethernet, with a source that will be replaced.
pub(crate) fn frame(family: Family) -> Frame {
    let payload = Payload::udp(5000, 53);
    let frame = match family {
        Family::Ipv4 => Frame::carrying(&Ipv4::from("192.0.2.2").with(payload)),
        Family::Ipv6 => Frame::carrying(&Ipv6::from("2001:db8::2").with(payload)),
    };
    frame.padded(60)
}
