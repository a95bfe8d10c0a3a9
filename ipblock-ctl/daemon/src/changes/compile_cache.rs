//! Cache of compiled rulesets: an edit, its `diff` and its deploy compile a ruleset only once, and
//! the deployed one is not recompiled for a comparison.

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

use ipblock_policy::{
    Ruleset, ZoneName,
    compile::{CompileError, CompiledZone, compile_all},
};
use jiff::Timestamp;

/// Number of rulesets in use at a time: the deployed and the staged one.
const KEPT: usize = 2;

/// Every zone of a ruleset, compiled.
pub(crate) type Zones = Arc<BTreeMap<ZoneName, Arc<CompiledZone>>>;

/// The last compiled rulesets.
#[derive(Debug, Default)]
pub(crate) struct CompileCache {
    /// Most recently used last.
    known: Vec<Compiled>,
    /// How often a ruleset was compiled.
    #[cfg(test)]
    made: u64,
}

#[derive(Debug)]
struct Compiled {
    ruleset: Weak<Ruleset>,
    at: Timestamp,
    zones: Zones,
}

impl CompileCache {
    /// Returns the zones of a ruleset at a moment, compiled unless cached.
    pub(crate) fn zones(
        &mut self,
        ruleset: &Arc<Ruleset>,
        now: Timestamp,
    ) -> Result<Zones, CompileError> {
        self.forget_gone();
        let mut known = self.known.iter();
        let found = known.position(|known| known.is_of(ruleset, now));
        let compiled = if let Some(place) = found {
            self.known.remove(place)
        } else {
            #[cfg(test)]
            {
                self.made += 1;
            }
            Compiled::new(ruleset, now)?
        };
        let zones = Arc::clone(&compiled.zones);
        if self.known.len() >= KEPT {
            self.known.remove(0);
        }
        self.known.push(compiled);
        Ok(zones)
    }

    /// Drops compiled rulesets that have no other user.
    pub(crate) fn forget_gone(&mut self) {
        self.known.retain(|known| known.ruleset.strong_count() > 0);
    }
}

impl Compiled {
    fn new(ruleset: &Arc<Ruleset>, at: Timestamp) -> Result<Self, CompileError> {
        let zones = compile_all(ruleset, at)?.into_iter();
        Ok(Self {
            zones: Arc::new(zones.map(|(name, zone)| (name, Arc::new(zone))).collect()),
            ruleset: Arc::downgrade(ruleset),
            at,
        })
    }

    /// Whether compiling the ruleset at `now` would have the same result: no rule of it ended
    /// meanwhile.
    fn is_of(&self, ruleset: &Arc<Ruleset>, now: Timestamp) -> bool {
        let ended = |end: Timestamp| self.at < end && end <= now;
        Weak::ptr_eq(&self.ruleset, &Arc::downgrade(ruleset))
            && self.at <= now
            && !ruleset
                .rules
                .iter()
                .any(|rule| rule.expires.is_some_and(ended))
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document;

    use crate::changes::compile_cache::*;

    fn ruleset(expires: &str) -> Arc<Ruleset> {
        let text = format!(
            "[[rule]]\nname = \"abuse\"\naction = \"block\"\nmatch = [\"192.0.2.1\"]\n{expires}"
        );
        Arc::new(document::parse(&text, "rules.toml", false).unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_ruleset_is_compiled_once_until_a_rule_of_it_ends_or_the_clock_is_set_back() {
        let mut compiled = CompileCache::default();
        let one = ruleset("expires = \"2026-01-01T00:01:00Z\"");
        let first = compiled.zones(&one, at("2026-01-01T00:00:00Z")).unwrap();
        let again = compiled.zones(&one, at("2026-01-01T00:00:59Z")).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(compiled.made, 1);
        let entries = |zones: &Zones| zones[&ZoneName::default()].entry_count();
        let ended = compiled.zones(&one, at("2026-01-01T00:01:00Z")).unwrap();
        assert_eq!((entries(&first), entries(&ended), compiled.made), (1, 0, 2));
        let mut other = CompileCache::default();
        other.zones(&one, at("2026-01-01T00:00:30Z")).unwrap();
        other.zones(&one, at("2026-01-01T00:00:00Z")).unwrap();
        assert_eq!(other.made, 2);
    }

    #[test]
    fn two_rulesets_in_turn_are_compiled_once_each_and_what_nobody_has_is_let_go() {
        let mut compiled = CompileCache::default();
        let now = at("2026-01-01T00:00:00Z");
        let (deployed, staged) = (ruleset(""), ruleset(""));
        for _ in 0..3 {
            compiled.zones(&deployed, now).unwrap();
            compiled.zones(&staged, now).unwrap();
        }
        assert_eq!(compiled.made, 2);
        drop(deployed);
        compiled.forget_gone();
        assert_eq!(compiled.known.len(), 1);
        compiled.zones(&staged, now).unwrap();
        assert_eq!(compiled.made, 2);
    }
}
