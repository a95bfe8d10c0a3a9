//! Finds rules that other rules make redundant.

use std::rc::Rc;

use crate::{
    address_set::AddressSet,
    ruleset::{Rule, Ruleset},
};

/// Maximum of steps for all comparisons of rules together: some seconds.
const BUDGET: usize = 20_000_000;

/// Finds rules that another rule makes redundant.
pub(super) struct CoveredRules<'a> {
    ruleset: &'a Ruleset,
    /// Enabled rules with a match: position, and matched addresses.
    rules: Vec<(usize, &'a Rule, Rc<AddressSet>)>,
}

impl<'a> CoveredRules<'a> {
    pub(super) fn new(ruleset: &'a Ruleset) -> Self {
        Self {
            ruleset,
            rules: Vec::new(),
        }
    }

    /// Adds a rule with the addresses that it matches, without its exceptions.
    pub(super) fn add(&mut self, position: usize, rule: &'a Rule, effective: Rc<AddressSet>) {
        if rule.enabled && !effective.is_empty() {
            self.rules.push((position, rule, effective));
        }
    }

    /// Warns about each rule if another one covers its addresses with at least the same action, in
    /// all its zones, for at least as long. Of two equal rules, warns about the later one.
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

    /// Whether `other` has at least the action of `rule`, in each of its zones, for at least as
    /// long.
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
