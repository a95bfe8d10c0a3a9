//! Sets of addresses of both families.

use ipnet::IpNet;

use super::prefix::{Bits, Prefix, RangeSet, by_family};

/// A set of addresses of both families.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressSet {
    ipv4: RangeSet<u32>,
    ipv6: RangeSet<u128>,
}

impl Default for AddressSet {
    fn default() -> Self {
        Self::new([])
    }
}

impl AddressSet {
    pub(super) fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let (ipv4, ipv6) = by_family(nets);
        Self {
            ipv4: RangeSet::of_prefixes(&ipv4),
            ipv6: RangeSet::of_prefixes(&ipv6),
        }
    }

    pub(super) const fn of_ranges(ipv4: RangeSet<u32>, ipv6: RangeSet<u128>) -> Self {
        Self { ipv4, ipv6 }
    }

    pub(super) const fn ipv4(&self) -> &RangeSet<u32> {
        &self.ipv4
    }

    pub(super) const fn ipv6(&self) -> &RangeSet<u128> {
        &self.ipv6
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

    /// Returns the union of these sets.
    pub(super) fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for set in sets {
            ipv4.extend_from_slice(set.ipv4.ranges());
            ipv6.extend_from_slice(set.ipv6.ranges());
        }
        Self {
            ipv4: RangeSet::new(ipv4),
            ipv6: RangeSet::new(ipv6),
        }
    }

    /// Returns the `limit` widest of the set's minimal prefixes, the widest first, and the number
    /// of the others.
    pub(super) fn widest(&self, limit: usize) -> (Vec<IpNet>, usize) {
        let (mut kept, mut count) = (Vec::new(), 0_usize);
        let mut take = |net: IpNet| {
            count += 1;
            // Host bits, not the prefix length: a /32 of IPv6 is wider than a /8 of IPv4.
            let width = net.max_prefix_len() - net.prefix_len();
            let place = kept.partition_point(|(other, _): &(u8, IpNet)| *other >= width);
            if place < limit {
                kept.insert(place, (width, net));
                kept.truncate(limit);
            }
        };
        for range in self.ipv4.ranges() {
            prefixes_of(*range, &mut take);
        }
        for range in self.ipv6.ranges() {
            prefixes_of(*range, &mut take);
        }
        let kept: Vec<IpNet> = kept.into_iter().map(|(_, net)| net).collect();
        let more = count - kept.len();
        (kept, more)
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

    pub(super) fn holds(&self, net: IpNet) -> bool {
        match net {
            IpNet::V4(net) => {
                let prefix = u32::prefix(net);
                self.ipv4.covers((prefix.first, prefix.last()))
            }
            IpNet::V6(net) => {
                let prefix = u128::prefix(net);
                self.ipv6.covers((prefix.first, prefix.last()))
            }
        }
    }

    pub(super) fn covers(&self, other: &Self) -> bool {
        let mut unlimited = usize::MAX;
        self.covers_within(other, &mut unlimited) == Some(true)
    }

    /// Whether it contains all of `other`; `None` if that takes more than `steps`, which is then
    /// used up.
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

/// Takes the minimal prefixes of a range, in order.
fn prefixes_of<B: Bits>((first, last): (B, B), take: &mut impl FnMut(IpNet)) {
    let mut at = first;
    loop {
        // The widest prefix that begins here and ends in the range.
        let mut prefix = Prefix::host(at);
        while let Some(parent) = prefix.parent()
            && parent.first == at
            && parent.last() <= last
        {
            prefix = parent;
        }
        take(prefix.net());
        match prefix.last().next() {
            Some(next) if next <= last => at = next,
            _ => return,
        }
    }
}
