//! Prefixes and sets of addresses as numbers: one implementation for both families.

use std::{fmt::Debug, hash::Hash, net::IpAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// An address as a number in host byte order: `u32` for IPv4, `u128` for IPv6.
pub(super) trait Bits: Copy + Ord + Hash + Debug {
    /// Length of a prefix with a single address.
    const LEN: u8;
    /// The lowest address.
    const MIN: Self;
    /// The highest address.
    const MAX: Self;
    /// The prefix type of the family.
    type Net: Into<IpNet> + Copy + Debug;

    /// The lowest address whose first `len` bits are those of `self`.
    fn first(self, len: u8) -> Self;
    /// The highest address whose first `len` bits are those of `self`.
    fn last(self, len: u8) -> Self;
    /// Returns the number of equal leading bits.
    fn common_len(self, other: Self) -> u8;
    /// The next address; `None` after the highest.
    fn next(self) -> Option<Self>;
    /// The previous address; `None` before the lowest.
    fn previous(self) -> Option<Self>;
    /// `self - other`, which must not be greater.
    fn distance(self, other: Self) -> u128;
    /// Converts to the address of the family.
    fn address(self) -> IpAddr;
    /// Converts to the prefix of the family; `len` is at most [`Bits::LEN`].
    fn net(self, len: u8) -> Self::Net;
    /// Converts from the prefix of the family, and ignores host bits.
    fn prefix(net: Self::Net) -> Prefix<Self>;
}

macro_rules! bits {
    ($number:ty, $len:literal, $address:ident, $net:ident) => {
        impl Bits for $number {
            const LEN: u8 = $len;
            const MIN: Self = <$number>::MIN;
            const MAX: Self = <$number>::MAX;
            type Net = $net;

            fn first(self, len: u8) -> Self {
                self & !<$number>::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }
            fn last(self, len: u8) -> Self {
                self | <$number>::MAX.checked_shr(u32::from(len)).unwrap_or(0)
            }
            #[expect(clippy::cast_possible_truncation, reason = "at most 128")]
            fn common_len(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
            fn distance(self, other: Self) -> u128 {
                u128::from(self - other)
            }
            fn address(self) -> IpAddr {
                IpAddr::from(std::net::$address::from_bits(self))
            }
            fn net(self, len: u8) -> $net {
                $net::new_assert(std::net::$address::from_bits(self), len)
            }
            fn prefix(net: $net) -> Prefix<Self> {
                Prefix {
                    first: net.network().to_bits(),
                    len: net.prefix_len(),
                }
            }
        }
    };
}

bits!(u32, 32, Ipv4Addr, Ipv4Net);
bits!(u128, 128, Ipv6Addr, Ipv6Net);

/// A prefix with zero host bits. Sorts by address, then by length, so a covering prefix comes
/// before the covered one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Prefix<B> {
    /// The lowest address.
    pub(super) first: B,
    /// Number of fixed leading bits.
    pub(super) len: u8,
}

impl<B: Bits> Prefix<B> {
    /// Returns the prefix of one address.
    pub(super) fn host(address: B) -> Self {
        Self {
            first: address,
            len: B::LEN,
        }
    }

    /// The highest address.
    pub(super) fn last(self) -> B {
        self.first.last(self.len)
    }

    /// Whether it contains every address of `other`.
    pub(super) fn covers(self, other: Self) -> bool {
        self.len <= other.len && other.first.first(self.len) == self.first
    }

    /// Returns the prefix that is one bit shorter; `None` for the whole address space.
    pub(super) fn parent(self) -> Option<Self> {
        let len = self.len.checked_sub(1)?;
        Some(Self {
            first: self.first.first(len),
            len,
        })
    }

    /// Returns the lower and the upper half; `None` for a single address.
    pub(super) fn halves(self) -> Option<[Self; 2]> {
        if self.len >= B::LEN {
            return None;
        }
        let len = self.len + 1;
        let half = |address: B| Self {
            first: address.first(len),
            len,
        };
        Some([half(self.first), half(self.last())])
    }

    /// Converts to a prefix of either family.
    pub(super) fn net(self) -> IpNet {
        self.first.net(self.len).into()
    }
}

/// Separates the families of prefixes and keeps their order.
pub(super) fn by_family(
    nets: impl IntoIterator<Item = IpNet>,
) -> (Vec<Prefix<u32>>, Vec<Prefix<u128>>) {
    let mut families = (Vec::new(), Vec::new());
    for net in nets {
        match net {
            IpNet::V4(net) => families.0.push(u32::prefix(net)),
            IpNet::V6(net) => families.1.push(u128::prefix(net)),
        }
    }
    families
}

/// Returns the longest of `sorted` that covers `inner`; `key` returns the prefix of an element.
///
/// A step costs one binary search. A predecessor that does not cover `inner` limits the length of
/// every prefix that can. So there are few steps on real tables, and at most as many as an address
/// has bits.
pub(super) fn longest_cover<B: Bits, T>(
    sorted: &[T],
    key: impl Fn(&T) -> Prefix<B>,
    inner: Prefix<B>,
) -> Option<&T> {
    let mut bound = inner;
    loop {
        let after = sorted.partition_point(|element| key(element) <= bound);
        let element = sorted.get(after.checked_sub(1)?)?;
        let prefix = key(element);
        if prefix.covers(inner) {
            return Some(element);
        }
        // Strictly shorter: with all bits of `bound` in common, it would cover `inner`.
        let len = prefix.first.common_len(inner.first);
        bound = Prefix {
            first: inner.first.first(len),
            len,
        };
    }
}

/// A set of addresses: inclusive ranges, sorted, disjoint, not adjacent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RangeSet<B>(Vec<(B, B)>);

impl<B: Bits> RangeSet<B> {
    /// Returns the union of ranges in any order.
    pub(super) fn new(mut ranges: Vec<(B, B)>) -> Self {
        ranges.sort_unstable();
        // `dedup_by` passes the later element first and keeps the earlier one.
        ranges.dedup_by(|later, kept| {
            let joined = kept.1.next().is_none_or(|after| later.0 <= after);
            if joined {
                kept.1 = kept.1.max(later.1);
            }
            joined
        });
        Self(ranges)
    }

    /// Returns the union of prefixes in any order.
    pub(super) fn of_prefixes(prefixes: &[Prefix<B>]) -> Self {
        Self::new(prefixes.iter().map(|p| (p.first, p.last())).collect())
    }

    /// Returns the ranges.
    pub(super) fn ranges(&self) -> &[(B, B)] {
        &self.0
    }

    /// Whether it is empty.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it contains every address from `first` to `last`.
    pub(super) fn covers(&self, (first, last): (B, B)) -> bool {
        let after = self.0.partition_point(|range| range.0 <= first);
        let before = after.checked_sub(1).and_then(|index| self.0.get(index));
        before.is_some_and(|range| last <= range.1)
    }

    /// Whether it contains an address from `first` to `last`.
    pub(super) fn touches(&self, (first, last): (B, B)) -> bool {
        let index = self.0.partition_point(|range| range.1 < first);
        self.0.get(index).is_some_and(|range| range.0 <= last)
    }

    /// Returns the addresses of `self` that are not in `other`.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut holes = other.0.iter().copied().peekable();
        for &(first, last) in &self.0 {
            let mut rest = Some(first);
            while let Some(from) = rest {
                let Some(&(hole, hole_end)) = holes.peek() else {
                    break;
                };
                if hole_end < from {
                    holes.next();
                    continue;
                }
                if hole > last {
                    break;
                }
                if let Some(before) = hole.previous()
                    && from <= before
                {
                    left.push((from, before));
                }
                // A hole beyond the end of this range may overlap the next one, so it stays.
                rest = hole_end.next().filter(|after| *after <= last);
            }
            if let Some(from) = rest {
                left.push((from, last));
            }
        }
        Self(left)
    }
}
