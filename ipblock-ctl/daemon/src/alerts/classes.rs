//! Maps kernel classes to rules, for present and past generations.

use std::{collections::HashMap, sync::Arc};

use ipblock_common::SourceKey;
use ipblock_policy::{Action, Rule, RuleId, ZoneName, compile::CompiledClass};

use super::retired::RetiredGenerations;
use crate::state::State;

/// A class of any generation.
pub(crate) struct GenerationClass<'a> {
    pub(crate) zone: &'a ZoneName,
    pub(crate) class: &'a CompiledClass,
}

impl GenerationClass<'_> {
    /// Returns the strongest action of the rules in the class.
    pub(crate) fn action(&self) -> Action {
        // Other classes neither alert nor count hits.
        Action::of_verdict(self.class.verdict).unwrap_or(Action::Warn)
    }
}

impl State {
    /// Returns the class of a source.
    pub(crate) fn class_of(&self, key: &SourceKey) -> Option<GenerationClass<'_>> {
        let class = usize::try_from(key.class).ok()?;
        let mut live = self.generations.judging();
        let found = live.find(|(_, live)| live.generation.number() == key.generation);
        let (zone, classes) = if let Some((zone, live)) = found {
            (zone, &live.classes)
        } else {
            self.generations.retired().classes_of(key.generation)?
        };
        let class = classes.get(class)?;
        Some(GenerationClass { zone, class })
    }

    /// Returns names and alert flags of all rules, including formerly deployed ones.
    pub(crate) fn rule_book(&self) -> RuleBook<'_> {
        RuleBook {
            deployed: self
                .rulesets
                .deployed()
                .rules
                .iter()
                .map(|rule| (rule.id, rule))
                .collect(),
            retired: self.generations.retired(),
        }
    }
}

/// Names and alert flags of rules.
pub(crate) struct RuleBook<'a> {
    deployed: HashMap<RuleId, &'a Rule>,
    retired: &'a RetiredGenerations,
}

impl RuleBook<'_> {
    /// Returns the present name of a rule, or its name when it was last deployed.
    pub(crate) fn name(&self, id: RuleId) -> Option<String> {
        match self.deployed.get(&id) {
            Some(rule) => Some(rule.name.to_string()),
            None => self.retired.rule(id).map(|rule| rule.name.clone()),
        }
    }

    /// Returns the alerting rules of a class.
    pub(crate) fn alerting(&self, class: &CompiledClass) -> Arc<[RuleId]> {
        let alerts = |id: &RuleId| match self.deployed.get(id) {
            Some(rule) => rule.alerts(),
            None => self.retired.rule(*id).is_some_and(|rule| rule.alerts),
        };
        class.matched.iter().copied().filter(alerts).collect()
    }
}
