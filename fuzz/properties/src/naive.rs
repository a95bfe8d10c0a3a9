//! The verdict on a packet (docs/datapath.md) in its simplest form: a walk over every rule and
//! element.

use std::net::IpAddr;

use ipblock_policy::{Action, At, DefaultVerdict, Element, Rule, RuleId, Ruleset, ZoneName};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::span::Span;

/// What decides about a packet from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Allow,
    Block,
    Warn,
    /// No rule: the zone's default.
    Nothing,
}

/// The judgement of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) asks: Asks,
    /// Whether a packet is dropped.
    pub(crate) drops: bool,
    /// Whether it is alerted.
    pub(crate) alerts: bool,
    /// Rules that count it, sorted.
    pub(crate) matched: Vec<RuleId>,
    /// Rules that count it as excepted, sorted.
    pub(crate) excepted: Vec<RuleId>,
}

/// Everything about one address that `check` shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named<'r> {
    /// The longest allow entry that contains it.
    pub(crate) allowed_by: Option<IpNet>,
    /// Matching rules in force, in the ruleset's order, each with the longest element and the
    /// longest exception for the address.
    pub(crate) rules: Vec<(&'r Rule, IpNet, Option<IpNet>)>,
}

pub(crate) fn named<'r>(
    ruleset: &'r Ruleset,
    zone: &ZoneName,
    now: Timestamp,
    address: IpAddr,
) -> Named<'r> {
    let allow = [&ruleset.allow, &ruleset.zones[zone].allow];
    let allowed = allow.map(|elements| longest(ruleset, elements, address));
    let mut rules = Vec::new();
    for rule in &ruleset.rules {
        let is_live = rule.enabled && rule.expires.is_none_or(|end| now < end);
        let is_here = rule.zones.is_empty() || rule.zones.contains(zone);
        if is_live
            && is_here
            && let Some(matched) = longest(ruleset, &rule.matches, address)
        {
            rules.push((rule, matched, longest(ruleset, &rule.except, address)));
        }
    }
    Named {
        allowed_by: allowed.into_iter().flatten().max_by_key(IpNet::prefix_len),
        rules,
    }
}

pub(crate) fn judge(named: &Named<'_>, default: DefaultVerdict) -> Judged {
    let mut judged = Judged {
        asks: Asks::Nothing,
        drops: false,
        alerts: false,
        matched: Vec::new(),
        excepted: Vec::new(),
    };
    if named.allowed_by.is_some() {
        judged.asks = Asks::Allow;
        return judged;
    }
    for (rule, _, excepted_by) in &named.rules {
        if excepted_by.is_some() {
            judged.excepted.push(rule.id);
            continue;
        }
        judged.matched.push(rule.id);
        judged.alerts |= rule.alert || rule.action == Action::Warn;
        match rule.action {
            Action::Block => judged.asks = Asks::Block,
            Action::Warn if judged.asks == Asks::Nothing => judged.asks = Asks::Warn,
            Action::Warn => {}
        }
    }
    judged.drops = match judged.asks {
        Asks::Allow => false,
        Asks::Block => true,
        Asks::Warn | Asks::Nothing => default == DefaultVerdict::Drop,
    };
    judged.matched.sort_unstable();
    judged.excepted.sort_unstable();
    judged
}

/// Returns the longest prefix of the elements, including those of their lists, that contains the
/// address.
fn longest(ruleset: &Ruleset, elements: &[Element], address: IpAddr) -> Option<IpNet> {
    let prefixes = elements.iter().flat_map(|element| match &element.at {
        At::Prefix(net) => vec![*net],
        At::List(name) => {
            let elements = ruleset.lists[name].elements.iter();
            elements.map(|element| element.prefix).collect()
        }
    });
    let holding = prefixes.filter(|net| Span::of(*net).holds(address));
    holding.max_by_key(IpNet::prefix_len)
}
