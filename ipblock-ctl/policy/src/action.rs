//! What a rule asks for: its words, and what they mean.

use std::{fmt, str::FromStr};

use ipblock_common::ClassVerdict;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a rule asks for, the strongest first: where rules of several actions match, that one decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Drop.
    Block,
    /// Count and alert.
    Warn,
}

impl Action {
    /// Every action, the strongest first.
    pub const ALL: [Self; 2] = [Self::Block, Self::Warn];

    /// Every action with its word.
    pub const WORDS: [(Self, &'static str); 2] = [
        (Self::Block, Self::Block.as_str()),
        (Self::Warn, Self::Warn.as_str()),
    ];

    /// The word for it on the command line, in documents, in JSON and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Warn => "warn",
        }
    }

    /// What it does, for `--help`.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Block => "Drop",
            Self::Warn => "Count and alert, and let pass",
        }
    }

    /// Whether packets that it decides on are dropped.
    #[must_use]
    pub const fn drops(self) -> bool {
        match self {
            Self::Block => true,
            Self::Warn => false,
        }
    }

    /// Whether every hit alerts, and not only where the rule asks for that.
    #[must_use]
    pub const fn always_alerts(self) -> bool {
        match self {
            Self::Block => false,
            Self::Warn => true,
        }
    }

    /// The verdict of a class that it decides on.
    #[must_use]
    pub const fn verdict(self) -> ClassVerdict {
        match self {
            Self::Block => ClassVerdict::Block,
            Self::Warn => ClassVerdict::Warn,
        }
    }

    /// The action that decides on classes with this verdict; none: no rule does.
    #[must_use]
    pub fn of_verdict(verdict: ClassVerdict) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|action| action.verdict() == verdict)
    }

    /// The one of several that decides.
    #[must_use]
    pub fn strongest(actions: impl IntoIterator<Item = Self>) -> Option<Self> {
        actions.into_iter().min()
    }

    /// Whether a rule with the other action changes nothing beside one with this.
    #[must_use]
    pub fn is_at_least(self, other: Self) -> bool {
        self <= other
    }

    /// The one to propose where this is not what was meant.
    #[must_use]
    pub const fn alternative(self) -> Self {
        match self {
            Self::Block => Self::Warn,
            Self::Warn => Self::Block,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No action has this word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an action")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let mut all = Self::ALL.into_iter();
        all.find(|action| action.as_str() == text)
            .ok_or(UnknownAction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_has_one_word_everywhere() {
        for (action, word) in Action::WORDS {
            assert_eq!(word.parse(), Ok(action));
            assert_eq!(action.to_string(), word);
            let json = serde_json::to_string(&action).unwrap();
            assert_eq!(json, format!("\"{word}\""));
        }
        assert_eq!(Action::WORDS.map(|(action, _)| action), Action::ALL);
    }

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
    }
}
