//! Addresses as numbers, so that the assertions do not depend on the code under test.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// All addresses from the first to the last, both in the family of `is_ipv4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) is_ipv4: bool,
    pub(crate) first: u128,
    pub(crate) last: u128,
}

impl Span {
    pub(crate) fn between(first: IpAddr, last: IpAddr) -> Self {
        assert_eq!(first.is_ipv4(), last.is_ipv4(), "{first} {last}");
        Self {
            is_ipv4: first.is_ipv4(),
            first: number(first),
            last: number(last),
        }
    }

    pub(crate) fn of(net: IpNet) -> Self {
        Self::between(net.network(), net.broadcast())
    }

    pub(crate) fn holds(self, address: IpAddr) -> bool {
        self.is_ipv4 == address.is_ipv4() && (self.first..=self.last).contains(&number(address))
    }
}

pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(number: u128, is_ipv4: bool) -> IpAddr {
    if is_ipv4 {
        Ipv4Addr::from_bits(u32::try_from(number).unwrap()).into()
    } else {
        Ipv6Addr::from_bits(number).into()
    }
}

/// Overlapping and touching spans joined, sorted.
pub(crate) fn joined(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (!span.is_ipv4, span.first, span.last));
    let mut out: Vec<Span> = Vec::new();
    for span in spans {
        match out.last_mut() {
            Some(last)
                if last.is_ipv4 == span.is_ipv4
                    && (span.first <= last.last || span.first - 1 == last.last) =>
            {
                last.last = last.last.max(span.last);
            }
            _ => out.push(span),
        }
    }
    out
}

/// Asserts that `prefixes` are the minimal prefixes of exactly `spans`, sorted, IPv4 first.
pub(crate) fn assert_fewest(prefixes: &[IpNet], spans: Vec<Span>) {
    let spans = joined(spans);
    let held: Vec<Span> = prefixes.iter().map(|net| Span::of(*net)).collect();
    assert!(
        held.is_sorted_by(|a, b| (!a.is_ipv4, a.last) < (!b.is_ipv4, b.first)),
        "not sorted or not disjoint: {prefixes:?}"
    );
    assert_eq!(joined(held), spans, "{prefixes:?}");
    for prefix in prefixes {
        let Some(wider) = prefix.supernet() else {
            continue;
        };
        let wider = Span::of(wider);
        let is_inside = |span: &Span| {
            span.is_ipv4 == wider.is_ipv4 && span.first <= wider.first && wider.last <= span.last
        };
        assert!(!spans.iter().any(is_inside), "{prefix} of {prefixes:?}");
    }
}

/// Returns the addresses at which something can change: first and last of each prefix, their
/// neighbours, and the ends of both families.
pub(crate) fn boundaries(prefixes: impl IntoIterator<Item = IpNet>) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = vec![
        Ipv4Addr::UNSPECIFIED.into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv6Addr::UNSPECIFIED.into(),
        Ipv6Addr::from_bits(u128::MAX).into(),
    ];
    for prefix in prefixes {
        let span = Span::of(prefix);
        let most = if span.is_ipv4 {
            u32::MAX.into()
        } else {
            u128::MAX
        };
        let beside = [
            Some(span.first),
            Some(span.last),
            span.first.checked_sub(1),
            span.last.checked_add(1).filter(|next| *next <= most),
        ];
        out.extend(
            beside
                .into_iter()
                .flatten()
                .map(|at| address(at, span.is_ipv4)),
        );
    }
    out.sort_unstable();
    out.dedup();
    out
}
