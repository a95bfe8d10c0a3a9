//! Explains the verdict on an address by a walk over all rules. The result of `compile` must agree
//! with it.

mod parts;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    action::{Action, Verdict},
    address_set::AddressSet,
    name::ZoneName,
    prefix::{Bits, Prefix, by_family, longest_cover},
    ruleset::{DefaultVerdict, Rule, Ruleset},
    word::words,
};

/// The verdict on an address, with its reasons.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The longest allow entry that contains it; then nothing else matters.
    pub allowed_by: Option<IpNet>,
    /// Live rules of the zone with the address in `match`, including those with an exception for
    /// it, in the ruleset's order. Present even if `allowed_by` is set.
    pub rules: Vec<RuleMatch<'a>>,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason of the verdict.
    pub reason: Reason,
}

/// A rule whose `match` contains the address.
#[derive(Clone, Debug)]
pub struct RuleMatch<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The longest of its prefixes that contains the address.
    pub matched: IpNet,
    /// The longest of its exceptions that contains the address.
    pub excepted_by: Option<IpNet>,
}

words! {
    /// The reason of a verdict.
    pub enum Reason {
        /// A rule.
        Rule = "rule",
        /// A ban, which no ruleset knows of: the daemon adds it.
        Ban = "ban",
        /// An allow list.
        Allow = "allow",
        /// The zone's default.
        Default = "default",
    }
}

impl Explanation<'_> {
    /// Whether the address is dropped.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.verdict.is_some_and(Action::drops)
    }
}

/// Answers questions about one zone at one moment; built once for many addresses.
#[derive(Debug)]
pub struct Explainer<'a> {
    /// Live rules of the zone, in the ruleset's order.
    rules: Vec<IndexedRule<'a>>,
    allow: Prefixes,
    default: DefaultVerdict,
}

#[derive(Debug)]
struct IndexedRule<'a> {
    rule: &'a Rule,
    matches: Prefixes,
    except: Prefixes,
}

/// Prefixes of both families, each family sorted and without duplicates.
#[derive(Debug)]
struct Prefixes {
    ipv4: Vec<Prefix<u32>>,
    ipv6: Vec<Prefix<u128>>,
}

impl Prefixes {
    fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        Self::about(nets, None)
    }

    /// Returns the prefixes that share an address with `asked`; all if that is `None`.
    fn about(nets: impl IntoIterator<Item = IpNet>, asked: Option<&AddressSet>) -> Self {
        let nets = nets.into_iter();
        let (mut ipv4, mut ipv6) =
            by_family(nets.filter(|net| asked.is_none_or(|asked| asked.touches(*net))));
        ipv4.sort_unstable();
        ipv4.dedup();
        ipv6.sort_unstable();
        ipv6.dedup();
        Self { ipv4, ipv6 }
    }

    fn longest(&self, address: IpAddr) -> Option<IpNet> {
        fn longest<B: Bits>(sorted: &[Prefix<B>], address: B) -> Option<IpNet> {
            longest_cover(sorted, |prefix| *prefix, Prefix::host(address)).map(|p| p.net())
        }
        match address {
            IpAddr::V4(address) => longest(&self.ipv4, address.to_bits()),
            IpAddr::V6(address) => longest(&self.ipv6, address.to_bits()),
        }
    }
}

impl<'a> Explainer<'a> {
    /// Indexes what is in force in `zone` at `now`. An unknown zone has the default settings.
    #[must_use]
    pub fn new(ruleset: &'a Ruleset, zone: &ZoneName, now: Timestamp) -> Self {
        Self::indexed(ruleset, zone, now, None)
    }

    /// As [`Explainer::new`], only for questions about these prefixes: only what overlaps them is
    /// sorted.
    #[must_use]
    pub fn about(
        ruleset: &'a Ruleset,
        zone: &ZoneName,
        now: Timestamp,
        asked: impl IntoIterator<Item = IpNet>,
    ) -> Self {
        Self::indexed(ruleset, zone, now, Some(&AddressSet::new(asked)))
    }

    fn indexed(
        ruleset: &'a Ruleset,
        zone: &ZoneName,
        now: Timestamp,
        asked: Option<&AddressSet>,
    ) -> Self {
        let settings = ruleset.zone(zone).unwrap_or_default();
        let live = |rule: &&Rule| rule.is_live(now) && rule.holds_in(zone);
        let index = |rule: &'a Rule| IndexedRule {
            rule,
            matches: Prefixes::about(ruleset.prefixes(&rule.matches), asked),
            except: Prefixes::about(ruleset.prefixes(&rule.except), asked),
        };
        let global = ruleset.prefixes(&ruleset.allow);
        Self {
            rules: ruleset.rules.iter().filter(live).map(index).collect(),
            allow: Prefixes::about(global.chain(ruleset.prefixes(&settings.allow)), asked),
            default: settings.default,
        }
    }

    /// Explains the verdict on `address`: O(rules x log prefixes).
    #[must_use]
    pub fn explain(&self, address: IpAddr) -> Explanation<'a> {
        let allowed_by = self.allow.longest(address);
        let matches = |indexed: &IndexedRule<'a>| {
            Some(RuleMatch {
                rule: indexed.rule,
                matched: indexed.matches.longest(address)?,
                excepted_by: indexed.except.longest(address),
            })
        };
        let rules: Vec<_> = self.rules.iter().filter_map(matches).collect();
        let (verdict, reason) = self.judge(allowed_by, &rules);
        Explanation {
            allowed_by,
            rules,
            verdict,
            reason,
        }
    }

    /// Returns the number of rules in an explanation of `address`.
    #[must_use]
    pub fn count_rules(&self, address: IpAddr) -> usize {
        let rules = self.rules.iter();
        let matching = rules.filter(|indexed| indexed.matches.longest(address).is_some());
        matching.count()
    }

    fn judge(&self, allowed_by: Option<IpNet>, rules: &[RuleMatch<'_>]) -> (Verdict, Reason) {
        let unspared = rules.iter().filter(|rule| rule.excepted_by.is_none());
        let decides = Action::strongest(unspared.map(|found| found.rule.action));
        match decides {
            _ if allowed_by.is_some() => (None, Reason::Allow),
            Some(action) if action.drops() => (decides, Reason::Rule),
            // The warning is counted, and the default still drops.
            _ if self.default == DefaultVerdict::Drop => (Some(Action::Block), Reason::Default),
            Some(_) => (decides, Reason::Rule),
            None => (None, Reason::Default),
        }
    }
}
