//! Remembers generations that are no longer in force.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use ipblock_policy::{RuleId, Ruleset, ZoneName, compile::CompiledClass};

/// Maximum of remembered generations: their announcements may still be unread, and sources that hit
/// them may still be in `top`.
const MOST: usize = 16;

/// Maximum of classes of all remembered generations, and of rules in these classes; the oldest are
/// removed first.
const MOST_CLASSES: usize = 200_000;
const MOST_LISTED: usize = 4 << 20;

/// Generations that are no longer in force, newest last.
#[derive(Default)]
pub(crate) struct RetiredGenerations(VecDeque<Retired>);

/// A generation that is no longer in force.
struct Retired {
    number: u64,
    zone: ZoneName,
    classes: Arc<[CompiledClass]>,
    /// Number of rules in its classes.
    listed: usize,
    rules: Arc<HashMap<RuleId, KnownRule>>,
}

/// The part of a rule that alerts need.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KnownRule {
    pub(super) name: String,
    pub(super) alerts: bool,
}

/// Returns the rules of a ruleset in the form that is remembered with a generation.
pub(crate) fn known_rules(ruleset: &Ruleset) -> Arc<HashMap<RuleId, KnownRule>> {
    let rules = ruleset.rules.iter().map(|rule| {
        let known = KnownRule {
            name: rule.name.to_string(),
            alerts: rule.alerts(),
        };
        (rule.id, known)
    });
    Arc::new(rules.collect())
}

impl RetiredGenerations {
    /// Remembers a generation that is retired, with its rules.
    pub(crate) fn retire(
        &mut self,
        number: u64,
        zone: ZoneName,
        classes: Arc<[CompiledClass]>,
        rules: Arc<HashMap<RuleId, KnownRule>>,
    ) {
        // A list that is read again creates a generation with the same rules.
        let same = self.0.back().filter(|newest| newest.rules == rules);
        let rules = same.map_or(rules, |newest| Arc::clone(&newest.rules));
        let listed = classes.iter();
        let listed = listed.map(|class| class.matched.len() + class.excepted.len());
        self.0.push_back(Retired {
            number,
            zone,
            listed: listed.sum(),
            classes,
            rules,
        });
        while self.0.len() > MOST || self.classes() > MOST_CLASSES || self.listed() > MOST_LISTED {
            self.0.pop_front();
        }
    }

    /// Returns zone and classes of a remembered generation.
    pub(super) fn classes_of(&self, generation: u64) -> Option<(&ZoneName, &Arc<[CompiledClass]>)> {
        let mut retired = self.0.iter().rev();
        let retired = retired.find(|retired| retired.number == generation)?;
        Some((&retired.zone, &retired.classes))
    }

    /// Whether it remembers a generation.
    pub(crate) fn has(&self, generation: u64) -> bool {
        self.classes_of(generation).is_some()
    }

    /// Returns a rule as it was when it was last in force.
    pub(super) fn rule(&self, id: RuleId) -> Option<&KnownRule> {
        let mut retired = self.0.iter().rev();
        retired.find_map(|retired| retired.rules.get(&id))
    }

    fn listed(&self) -> usize {
        self.0.iter().map(|retired| retired.listed).sum()
    }

    fn classes(&self) -> usize {
        self.0.iter().map(|retired| retired.classes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use ipblock_common::ClassVerdict;

    use super::*;

    fn rules(names: &[&str]) -> Arc<HashMap<RuleId, KnownRule>> {
        let known = |name: &&str| KnownRule {
            name: (*name).to_owned(),
            alerts: true,
        };
        Arc::new((1..).map(RuleId).zip(names.iter().map(known)).collect())
    }

    #[test]
    fn generations_of_the_same_rules_share_their_names() {
        let mut book = RetiredGenerations::default();
        for (number, names) in [(1, ["watch"]), (2, ["watch"]), (3, ["eyes"])] {
            book.retire(number, ZoneName::default(), Arc::new([]), rules(&names));
        }
        let shares = |a: usize, b: usize| Arc::ptr_eq(&book.0[a].rules, &book.0[b].rules);
        assert!(shares(0, 1) && !shares(1, 2));
    }

    #[test]
    fn so_many_generations_and_classes_are_remembered_and_the_oldest_go() {
        let mut book = RetiredGenerations::default();
        for number in 1..=20 {
            book.retire(number, ZoneName::default(), Arc::new([]), rules(&["watch"]));
        }
        let numbers: Vec<u64> = book.0.iter().map(|retired| retired.number).collect();
        assert_eq!(numbers, (5..=20).collect::<Vec<_>>());
        let class = CompiledClass {
            verdict: ClassVerdict::Warn,
            alert: true,
            matched: Vec::new(),
            excepted: Vec::new(),
            valid_until: None,
            next: ipblock_common::class::NO_CLASS,
        };
        let many: Arc<[_]> = vec![class; MOST_CLASSES].into();
        book.retire(
            21,
            ZoneName::default(),
            Arc::clone(&many),
            rules(&["watch"]),
        );
        assert_eq!(book.0.len(), 16);
        book.retire(22, ZoneName::default(), many, rules(&["watch"]));
        assert_eq!(book.0.len(), 1);
    }
}
