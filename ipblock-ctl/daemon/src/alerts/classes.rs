//! From a class of the kernel's to what it stands for: of generations in force, and of those before.

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
    /// What the rules of the class ask for together.
    pub(crate) fn action(&self) -> Action {
        // Others neither alert nor count hits.
        Action::of_verdict(self.class.verdict).unwrap_or(Action::Warn)
    }
}

impl State {
    /// The class that a source fell into.
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

    /// Names and alert flags of all rules: those deployed, and those that were.
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
    /// The name that a rule has, or had when it was last deployed.
    pub(crate) fn name(&self, id: RuleId) -> Option<String> {
        match self.deployed.get(&id) {
            Some(rule) => Some(rule.name.to_string()),
            None => self.retired.rule(id).map(|rule| rule.name.clone()),
        }
    }

    /// Of a class's rules those that alert.
    pub(crate) fn alerting(&self, class: &CompiledClass) -> Arc<[RuleId]> {
        let alerts = |id: &RuleId| match self.deployed.get(id) {
            Some(rule) => rule.alerts(),
            None => self.retired.rule(*id).is_some_and(|rule| rule.alerts),
        };
        class.matched.iter().copied().filter(alerts).collect()
    }
}
