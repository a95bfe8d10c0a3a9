//! Which verdict a packet gets (docs/datapath.md), as simple as can be: a walk over every rule and element.

use std::net::IpAddr;

use ipblock::policy::{Action, At, DefaultVerdict, Element, RuleId, Ruleset, ZoneName};
use jiff::Timestamp;

use crate::span::Span;

/// What decides over a packet from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Allow,
    Block,
    Warn,
    /// No rule: the zone's default.
    Nothing,
}

/// What holds over one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) asks: Asks,
    /// Whether a packet is dropped.
    pub(crate) drops: bool,
    /// Whether it is alerted.
    pub(crate) alerts: bool,
    /// Rules that count it, sorted.
    pub(crate) matched: Vec<RuleId>,
    /// Rules that count it as spared, sorted.
    pub(crate) excepted: Vec<RuleId>,
}

pub(crate) fn judge(ruleset: &Ruleset, zone: &ZoneName, now: Timestamp, address: IpAddr) -> Judged {
    let settings = &ruleset.zones[zone];
    let mut judged = Judged {
        asks: Asks::Nothing,
        drops: false,
        alerts: false,
        matched: Vec::new(),
        excepted: Vec::new(),
    };
    if holds(ruleset, &ruleset.allow, address) || holds(ruleset, &settings.allow, address) {
        judged.asks = Asks::Allow;
        return judged;
    }
    for rule in &ruleset.rules {
        let is_live = rule.enabled && rule.expires.is_none_or(|end| now < end);
        let is_here = rule.zones.is_empty() || rule.zones.contains(zone);
        if !is_live || !is_here || !holds(ruleset, &rule.matches, address) {
            continue;
        }
        if holds(ruleset, &rule.except, address) {
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
        Asks::Warn | Asks::Nothing => settings.default == DefaultVerdict::Drop,
    };
    judged.matched.sort_unstable();
    judged.excepted.sort_unstable();
    judged
}

fn holds(ruleset: &Ruleset, elements: &[Element], address: IpAddr) -> bool {
    elements.iter().any(|element| match &element.at {
        At::Prefix(net) => Span::of(*net).holds(address),
        At::List(name) => {
            let held = ruleset.lists[name].elements.iter();
            let mut held = held.map(|element| Span::of(element.prefix));
            held.any(|span| span.holds(address))
        }
    })
}
