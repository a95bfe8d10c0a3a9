//! How much a change newly drops, and whether the operator must confirm it.
//!
//! Only this module defines how much is too much: rules, lists, bans and files all ask here. What
//! is newly dropped is counted as a sum. So the number of prefixes does not matter, nor does the
//! cause: a prefix, a `@list`, or the removal of an exception or an allow entry.

mod describe;
#[cfg(test)]
mod tests;

use ipblock_common::ClassId;
use ipnet::IpNet;

pub use describe::WIDE_HINT;

use super::{
    action::Action,
    address_set::AddressSet,
    compile::CompiledZone,
    diff::{allowed, dropped},
    name::ZoneName,
    prefix::{Bits, RangeSet},
    ruleset::DefaultVerdict,
};

/// Number of IPv4 addresses.
const ALL_IPV4: u128 = 1 << 32;
/// Number of addresses in `2000::/3`, the assigned part of IPv6. One percent of all 2^128 addresses
/// would allow `2000::/7` without confirmation.
const ALL_IPV6: u128 = 1 << 125;

/// Number of IPv4 addresses that need confirmation to be dropped: one percent of all.
pub const WIDE_IPV4: u128 = ALL_IPV4.div_ceil(100);
/// Number of IPv6 addresses that need confirmation to be dropped: one percent of `2000::/3`.
/// Addresses outside count the same as those inside.
pub const WIDE_IPV6: u128 = ALL_IPV6.div_ceil(100);

/// Numbers of addresses of both families. They saturate at 2^128 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// IPv4 addresses.
    pub ipv4: u128,
    /// IPv6 addresses.
    pub ipv6: u128,
}

impl Sum {
    /// Returns the sum over prefixes. Addresses in several prefixes count several times.
    pub fn of_prefixes(prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        let mut sum = Self::default();
        for prefix in prefixes {
            let host_bits = u32::from(prefix.max_prefix_len() - prefix.prefix_len());
            let size = 1_u128.checked_shl(host_bits).unwrap_or(u128::MAX);
            let family = match prefix {
                IpNet::V4(_) => &mut sum.ipv4,
                IpNet::V6(_) => &mut sum.ipv6,
            };
            *family = family.saturating_add(size);
        }
        sum
    }

    fn of_set(set: &AddressSet) -> Self {
        Self {
            ipv4: count(set.ipv4()),
            ipv6: count(set.ipv6()),
        }
    }

    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            ipv4: self.ipv4.saturating_add(other.ipv4),
            ipv6: self.ipv6.saturating_add(other.ipv6),
        }
    }

    /// Whether this is at least one percent of a family.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.ipv4 >= WIDE_IPV4 || self.ipv6 >= WIDE_IPV6
    }
}

fn count<B: Bits>(set: &RangeSet<B>) -> u128 {
    let sizes = set.ranges().iter();
    let sizes = sizes.map(|(first, last)| last.distance(*first).saturating_add(1));
    sizes.fold(0, u128::saturating_add)
}

/// A zone before and after a change.
#[derive(Clone, Copy, Debug)]
pub struct ZoneChange<'a> {
    /// Its name.
    pub name: &'a ZoneName,
    /// Before; `None` if the zone did not exist, so nothing was dropped.
    pub before: Option<&'a CompiledZone>,
    /// After.
    pub after: &'a CompiledZone,
    /// Whether it has an interface. Without one, a default that changes to drop drops nothing yet.
    pub has_interface: bool,
}

impl ZoneChange<'_> {
    fn default_after(&self) -> DefaultVerdict {
        let dropped_before = self
            .before
            .is_some_and(|before| before.default == DefaultVerdict::Drop);
        if self.has_interface || dropped_before {
            return self.after.default;
        }
        DefaultVerdict::Pass
    }

    /// Returns an upper bound of what the zone drops afterwards; cheap.
    fn at_most(&self) -> Sum {
        if self.default_after() == DefaultVerdict::Drop {
            return Sum {
                ipv4: u128::MAX,
                ipv6: u128::MAX,
            };
        }
        let is_blocked = |id: ClassId| {
            let class = self.after.class(id);
            Action::is_dropped(class.map(|class| class.verdict), false)
        };
        let ipv4 = self.after.ipv4.iter().filter(|(_, id)| is_blocked(*id));
        let ipv6 = self.after.ipv6.iter().filter(|(_, id)| is_blocked(*id));
        let nets = ipv4.map(|(net, _)| IpNet::V4(*net));
        Sum::of_prefixes(nets.chain(ipv6.map(|(net, _)| IpNet::V6(*net))))
    }

    fn newly_dropped(&self, before: &AddressSet, after: &AddressSet) -> AddressSet {
        let side = |zone: &CompiledZone, default, banned: &AddressSet| {
            let by_rules = dropped(zone, default);
            if banned.is_empty() {
                return by_rules;
            }
            AddressSet::union([&by_rules, &banned.without(&allowed(zone))])
        };
        let new = side(self.after, self.default_after(), after);
        let nothing = CompiledZone::empty();
        let zone = self.before.unwrap_or(&nothing);
        let old = side(zone, zone.default, before);
        new.without(&old)
    }
}

/// Addresses that a change newly drops: at least one percent of a family.
#[derive(Clone, Debug)]
pub struct Wide {
    sum: Sum,
    all: AddressSet,
    /// The addresses per zone.
    zones: Vec<(ZoneName, AddressSet)>,
}

impl Wide {
    /// Returns their number.
    #[must_use]
    pub const fn sum(&self) -> Sum {
        self.sum
    }
}

/// Returns what zones newly drop, if that is too much. `banned_before` and `banned_after` are the
/// prefixes of bans on each side, in any order.
///
/// Takes O(n) in the number of entries if it cannot be too much, else O(n log n). Rules that end
/// later count as permanent.
#[must_use]
pub fn newly_dropped(
    zones: &[ZoneChange<'_>],
    banned_before: &[IpNet],
    banned_after: &[IpNet],
) -> Option<Wide> {
    let at_most = zones.iter().map(ZoneChange::at_most);
    let banned = Sum::of_prefixes(banned_after.iter().copied());
    if !at_most.fold(banned, Sum::plus).is_wide() {
        return None;
    }
    let before = AddressSet::new(banned_before.iter().copied());
    let after = AddressSet::new(banned_after.iter().copied());
    let zones: Vec<_> = zones
        .iter()
        .map(|zone| (zone.name.clone(), zone.newly_dropped(&before, &after)))
        .filter(|(_, newly)| !newly.is_empty())
        .collect();
    let all = AddressSet::union(zones.iter().map(|(_, newly)| newly));
    let sum = Sum::of_set(&all);
    sum.is_wide().then_some(Wide { sum, all, zones })
}

/// The addresses that bans of `prefixes` newly ban.
#[derive(Clone, Debug)]
pub struct NewlyBanned {
    sum: Sum,
    all: AddressSet,
}

impl NewlyBanned {
    /// Computes the addresses in `prefixes` that are not in `banned`.
    #[must_use]
    pub fn new(prefixes: &[IpNet], banned: impl IntoIterator<Item = IpNet>) -> Self {
        let all = AddressSet::new(prefixes.iter().copied());
        let all = all.without(&AddressSet::new(banned));
        let sum = Sum::of_set(&all);
        Self { sum, all }
    }

    /// Returns their number.
    #[must_use]
    pub const fn sum(&self) -> Sum {
        self.sum
    }
}
