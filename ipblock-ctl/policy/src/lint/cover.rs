//! Rules that others make needless.

use std::rc::Rc;

use crate::{
    address_set::AddressSet,
    ruleset::{Rule, Ruleset},
};

/// How many steps comparing rules may take in all: some seconds.
const BUDGET: usize = 20_000_000;

/// Finds rules that another rule makes needless.
pub(super) struct CoveredRules<'a> {
    ruleset: &'a Ruleset,
    /// Enabled rules that match something: position, and the addresses that they match.
    rules: Vec<(usize, &'a Rule, Rc<AddressSet>)>,
}

impl<'a> CoveredRules<'a> {
    pub(super) fn new(ruleset: &'a Ruleset) -> Self {
        Self {
            ruleset,
            rules: Vec::new(),
        }
    }

    /// Takes note of a rule and the addresses that it matches, exceptions taken off.
    pub(super) fn add(&mut self, position: usize, rule: &'a Rule, effective: Rc<AddressSet>) {
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
        let stronger = other.action.is_at_least(rule.action);
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
