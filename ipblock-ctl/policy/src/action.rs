//! The actions of rules: their words and their meaning.

use ipblock_common::ClassVerdict;

use super::word::words;

words! {
    /// The action of a rule, the strongest first: where rules with different actions match, the
    /// strongest decides.
    #[derive(PartialOrd, Ord, Hash)]
    pub enum Action {
        /// Drop.
        Block = "block",
        /// Count and alert.
        Warn = "warn",
    }
    or "pass" in verdict
}

/// What happens to an address: what this action does. None: it passes, and no rule warns of it.
pub type Verdict = Option<Action>;

impl Action {
    /// Words of actions to come, which this version does not support.
    pub const UNSUPPORTED: [&str; 2] = ["reject", "throttle"];

    /// Returns its description for `--help`.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Block => "Drop",
            Self::Warn => "Count and alert, and let pass",
        }
    }

    /// Whether it drops the packets that it decides on.
    #[must_use]
    pub const fn drops(self) -> bool {
        match self {
            Self::Block => true,
            Self::Warn => false,
        }
    }

    /// Whether every hit alerts, even if the rule does not request alerts.
    #[must_use]
    pub const fn always_alerts(self) -> bool {
        match self {
            Self::Block => false,
            Self::Warn => true,
        }
    }

    /// Returns the verdict of a class that it decides on.
    #[must_use]
    pub const fn verdict(self) -> ClassVerdict {
        match self {
            Self::Block => ClassVerdict::Block,
            Self::Warn => ClassVerdict::Warn,
        }
    }

    /// Returns the action that decides on classes with this verdict; `None` if no rule does.
    #[must_use]
    pub fn of_verdict(verdict: ClassVerdict) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|action| action.verdict() == verdict)
    }

    /// Whether packets of a class are dropped, by its verdict; `default_drops` says what the zone does
    /// where no rule decides.
    #[must_use]
    pub fn is_dropped(class: Option<ClassVerdict>, default_drops: bool) -> bool {
        match class {
            Some(ClassVerdict::Allow) => false,
            class => default_drops || class.and_then(Self::of_verdict).is_some_and(Self::drops),
        }
    }

    /// Returns the strongest of several actions, which decides.
    #[must_use]
    pub fn strongest(actions: impl IntoIterator<Item = Self>) -> Option<Self> {
        actions.into_iter().min()
    }

    /// Whether a rule with this action makes a rule with the other action redundant.
    #[must_use]
    pub fn is_at_least(self, other: Self) -> bool {
        self <= other
    }

    /// Returns the action to propose if this one was not meant.
    #[must_use]
    pub const fn alternative(self) -> Self {
        match self {
            Self::Block => Self::Warn,
            Self::Warn => Self::Block,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_action_decides() {
        assert_eq!(Action::strongest([]), None);
        assert_eq!(
            Action::strongest([Action::Warn, Action::Block]),
            Some(Action::Block)
        );
        for action in Action::ALL {
            assert_eq!(Action::of_verdict(action.verdict()), Some(action));
        }
        assert_eq!(Action::of_verdict(ClassVerdict::Allow), None);
        for default_drops in [false, true] {
            let dropped = |class| Action::is_dropped(class, default_drops);
            assert!(dropped(Some(ClassVerdict::Block)));
            assert!(!dropped(Some(ClassVerdict::Allow)));
            for class in [Some(ClassVerdict::Warn), Some(ClassVerdict::Default), None] {
                assert_eq!(dropped(class), default_drops);
            }
        }
    }
}
