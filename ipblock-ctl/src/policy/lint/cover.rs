//! Sets of addresses of both families, and rules that others make needless.

use ipnet::IpNet;

use crate::policy::{
    prefix::{Bits, RangeSet, by_family},
    ruleset::{Action, Rule, Ruleset},
};

/// How many steps comparing rules may take in all: some seconds.
const BUDGET: usize = 20_000_000;

/// A set of addresses of both families.
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
    fn covers_within(&self, other: &Self, steps: &mut usize) -> Option<bool> {
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

/// Finds rules that another rule makes needless.
pub(super) struct CoveredRules<'a> {
    ruleset: &'a Ruleset,
    /// Enabled rules that match something: position, and the addresses that they match.
    rules: Vec<(usize, &'a Rule, AddressSet)>,
}

impl<'a> CoveredRules<'a> {
    pub(super) fn new(ruleset: &'a Ruleset) -> Self {
        Self {
            ruleset,
            rules: Vec::new(),
        }
    }

    /// Takes note of a rule and the addresses that it matches, exceptions taken off.
    pub(super) fn add(&mut self, position: usize, rule: &'a Rule, effective: AddressSet) {
        if rule.enabled && !effective.is_empty() {
            self.rules.push((position, rule, effective));
        }
    }

    /// Warns of each rule whose addresses another holds at least as strongly, wherever and as long
    /// as it holds. Of two that are equal in all this, the later one is named.
    pub(super) fn find(&self, warnings: &mut Vec<String>) {
        let mut steps = BUDGET;
        for (position, rule, addresses) in &self.rules {
            for (other_position, other, others) in &self.rules {
                if other_position == position || !self.outlasts(other, rule) {
                    continue;
                }
                let later = other_position > position && self.outlasts(rule, other);
                let covered = match others.covers_within(addresses, &mut steps) {
                    Some(true) if later => {
                        let equal = addresses.covers_within(others, &mut steps);
                        equal.map(|equal| !equal)
                    }
                    answer => answer,
                };
                match covered {
                    Some(true) => {
                        warnings.push(format!(
                            "rule `{}` adds nothing: rule `{}` holds all of its addresses",
                            rule.name, other.name
                        ));
                        break;
                    }
                    Some(false) => {}
                    None => {
                        warnings.push(format!(
                            "rules from `{}` on were not compared with the others: there are too \
                             many",
                            rule.name
                        ));
                        return;
                    }
                }
            }
        }
    }

    /// Whether `other` asks for at least as much as `rule`, in each of its zones, as long as it.
    fn outlasts(&self, other: &Rule, rule: &Rule) -> bool {
        let stronger = other.action == Action::Block || rule.action == Action::Warn;
        let everywhere = match (other.zones.is_empty(), rule.zones.is_empty()) {
            (true, _) => true,
            (false, true) => self
                .ruleset
                .zone_names()
                .iter()
                .all(|zone| other.holds_in(zone)),
            (false, false) => rule.zones.iter().all(|zone| other.holds_in(zone)),
        };
        let longer = match (other.expires, rule.expires) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(other), Some(end)) => end <= other,
        };
        stronger && everywhere && longer
    }
}
