//! What happens to an address and why, by walking over all rules: the answer that `compile` has to
//! agree with.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    name::ZoneName,
    ruleset::{Rule, Ruleset},
};

/// What happens to an address, and why.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// The longest allow entry that holds it; then nothing else counts.
    pub allowed_by: Option<IpNet>,
    /// Live rules of the zone with the address in `match`, spared ones included, in the ruleset's
    /// order. Filled also when `allowed_by` is set.
    pub rules: Vec<RuleMatch<'a>>,
    /// What follows.
    pub verdict: Verdict,
    /// What decided.
    pub reason: Reason,
}

/// A rule whose `match` holds the address.
#[derive(Clone, Debug)]
pub struct RuleMatch<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The longest of its prefixes that holds the address.
    pub matched: IpNet,
    /// The longest of its exceptions that holds the address.
    pub excepted_by: Option<IpNet>,
}

/// What happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Dropped.
    Block,
    /// Passed with a warn.
    Warn,
    /// Passed.
    Pass,
}

/// What decided a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A rule.
    Rule,
    /// An allow list.
    Allow,
    /// The zone's default.
    Default,
}

/// Answers for one zone at one moment; built once for many addresses.
#[derive(Debug)]
pub struct Explainer<'a> {
    ruleset: &'a Ruleset,
}

impl<'a> Explainer<'a> {
    /// Indexes what holds in `zone` at `now`.
    #[must_use]
    pub fn new(ruleset: &'a Ruleset, zone: &ZoneName, now: Timestamp) -> Self {
        let _ = (zone, now);
        Self { ruleset }
    }

    /// What happens to `address`, and why.
    #[must_use]
    pub fn explain(&self, address: IpAddr) -> Explanation<'a> {
        todo!("{address} {:?}", self.ruleset)
    }
}
