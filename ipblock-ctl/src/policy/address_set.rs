//! Sets of addresses of both families.

use ipnet::IpNet;

use super::prefix::{Bits, RangeSet, by_family};

/// A set of addresses of both families.
#[derive(Debug)]
pub(super) struct AddressSet {
    ipv4: RangeSet<u32>,
    ipv6: RangeSet<u128>,
}

impl AddressSet {
    pub(super) fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let (ipv4, ipv6) = by_family(nets);
        Self {
            ipv4: RangeSet::of_prefixes(&ipv4),
            ipv6: RangeSet::of_prefixes(&ipv6),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ipv4.is_empty() && self.ipv6.is_empty()
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        Self {
            ipv4: self.ipv4.without(&other.ipv4),
            ipv6: self.ipv6.without(&other.ipv6),
        }
    }

    pub(super) fn touches(&self, net: IpNet) -> bool {
        match net {
            IpNet::V4(net) => {
                let prefix = u32::prefix(net);
                self.ipv4.touches((prefix.first, prefix.last()))
            }
            IpNet::V6(net) => {
                let prefix = u128::prefix(net);
                self.ipv6.touches((prefix.first, prefix.last()))
            }
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        let mut unlimited = usize::MAX;
        self.covers_within(other, &mut unlimited) == Some(true)
    }

    /// Whether it holds all of `other`; `None` when that takes more than `steps`, which are used
    /// up.
    pub(super) fn covers_within(&self, other: &Self, steps: &mut usize) -> Option<bool> {
        let mut all = |covered: bool| {
            *steps = steps.checked_sub(1)?;
            Some(covered)
        };
        for range in other.ipv4.ranges() {
            if !all(self.ipv4.covers(*range))? {
                return Some(false);
            }
        }
        for range in other.ipv6.ranges() {
            if !all(self.ipv6.covers(*range))? {
                return Some(false);
            }
        }
        Some(true)
    }
}
