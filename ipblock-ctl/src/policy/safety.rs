//! What is refused unless it is forced: rules and zones that drop everything.

use ipnet::IpNet;

use super::{
    address::{covered_family, every_address},
    name::{RuleName, ZoneName},
    ruleset::{Action, DefaultVerdict, Element, Rule, Ruleset},
};

pub(super) const WIDE_BLOCK_HINT: &str = "write smaller prefixes, or pass --force if that is meant";

pub(super) const SHUT_ZONE_HINT: &str =
    "allow an address first (`ipblock-ctl allow add`), or pass --force if that is meant";

/// The family, as `0.0.0.0/0` or `::/0`, of which a block rule matches every address; exceptions
/// and whether it is enabled are not looked at.
pub(super) fn wide_block(ruleset: &Ruleset, rule: &Rule) -> Option<IpNet> {
    match rule.action {
        Action::Block => covered_family(|| ruleset.prefixes(&rule.matches)),
        Action::Warn => None,
    }
}

pub(super) fn wide_block_message(rule: &RuleName, family: IpNet) -> String {
    format!("rule `{rule}` would block {}", every_address(family))
}

/// Whether a zone drops by default and no allow list lets anything through.
pub(super) fn is_shut(ruleset: &Ruleset, name: &ZoneName) -> bool {
    ruleset.zones.get(name).is_some_and(|zone| {
        zone.default == DefaultVerdict::Drop
            && lets_nothing_through(ruleset, &zone.allow)
            && lets_nothing_through(ruleset, &ruleset.allow)
    })
}

/// Whether an allow list is empty; what an unread file holds is not known, so it counts as some.
fn lets_nothing_through(ruleset: &Ruleset, allow: &[Element]) -> bool {
    ruleset.prefixes(allow).next().is_none() && !ruleset.is_unread(allow)
}

pub(super) fn shut_zone_message(zone: &ZoneName) -> String {
    format!("zone `{zone}` would drop every packet: its default is drop and nothing is allowed")
}
