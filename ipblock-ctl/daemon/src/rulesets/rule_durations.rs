//! Ends of rules and steps of the wall clock.
//!
//! A ruleset has ends as wall times. One from a duration (`--for`) is also known on the boot clock,
//! and stays there after a step of the wall clock; the others move with the wall clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ipblock_datapath::clock::Now;
use ipblock_policy::{Rule, RuleId, Ruleset, edit::Edit, edit::Expiry};
use ipblock_store::End;
use jiff::Timestamp;

use crate::end_times;

/// The last duration of each rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations(pub(crate) BTreeMap<RuleId, End>);

impl Durations {
    /// Returns when a rule ends, in present wall time.
    pub(crate) fn end_of(&self, rule: &Rule, now: &Now) -> Option<Timestamp> {
        let given = rule.expires?;
        let end = self.0.get(&rule.id).filter(|end| same(end.wall, given));
        Some(
            end.map_or(given, |end| match end_times::displayed(end, now) {
                // No clock moved: returned exactly as given.
                shown if shown == end_times::to_millisecond(end.wall) => given,
                moved => moved,
            }),
        )
    }

    /// Returns the ruleset with each end in present wall time: the same ruleset unless a clock was
    /// set.
    pub(crate) fn as_of(&self, ruleset: &Arc<Ruleset>, now: &Now) -> Arc<Ruleset> {
        let differs = |rule: &Rule| self.end_of(rule, now) != rule.expires;
        if self.0.is_empty() || !ruleset.rules.iter().any(differs) {
            return Arc::clone(ruleset);
        }
        let mut moved = Ruleset::clone(ruleset);
        for rule in &mut moved.rules {
            rule.expires = self.end_of(rule, now);
        }
        Arc::new(moved)
    }
}

/// The store keeps microseconds.
fn same(kept: Timestamp, given: Timestamp) -> bool {
    kept.as_microsecond() == given.as_microsecond()
}

/// Returns the rules whose end one of these edits has given as a duration at `now`.
pub(crate) fn given<'a>(
    edits: impl IntoIterator<Item = &'a Edit>,
    ruleset: &Ruleset,
    now: &Now,
) -> Vec<(RuleId, End)> {
    let lengths: BTreeSet<u64> = edits.into_iter().filter_map(length).collect();
    let ends: Vec<End> = lengths
        .into_iter()
        .filter_map(|seconds| end_times::after(seconds, now))
        .collect();
    let rules = ruleset.rules.iter();
    rules
        .filter_map(|rule| {
            let end = ends.iter().find(|end| Some(end.wall) == rule.expires)?;
            Some((rule.id, end.clone()))
        })
        .collect()
}

fn length(edit: &Edit) -> Option<u64> {
    let expires = match edit {
        Edit::AddRule(rule) => Some(rule.expires),
        Edit::EditRule(change) => change.expires,
        _ => None,
    };
    match expires {
        Some(Expiry::After(seconds)) => Some(seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document::parse;
    use jiff::SignedDuration;

    use crate::end_times::some_moment as now;
    use crate::rulesets::rule_durations::*;

    /// Two rules that end in a minute: one has a duration, the other a time.
    fn two_ends() -> (Arc<Ruleset>, Durations) {
        let rule = |name: &str| {
            format!(
                "[[rule]]\nname = \"{name}\"\naction = \"block\"\nmatch = [\"192.0.2.1\"]\n\
                 expires = \"2026-01-01T00:01:00Z\"\n"
            )
        };
        let mut ruleset = parse(&(rule("for") + &rule("until")), "test.toml", false).unwrap();
        for (id, rule) in (1..).zip(&mut ruleset.rules) {
            rule.id = RuleId(id);
        }
        let durations = [(RuleId(1), end_times::after(60, &now()).unwrap())];
        (Arc::new(ruleset), Durations(durations.into()))
    }

    fn ends_of(ruleset: &Ruleset) -> Vec<String> {
        let ends = ruleset.rules.iter().filter_map(|rule| rule.expires);
        ends.map(|end| end.to_string()).collect()
    }

    #[test]
    fn without_a_step_a_ruleset_is_itself() {
        let (ruleset, durations) = two_ends();
        let mut later = now();
        later.wall += SignedDuration::from_millis(30_003);
        later.boot_ns += 30_000_000_000;
        assert!(Arc::ptr_eq(&durations.as_of(&ruleset, &later), &ruleset));
    }

    #[test]
    fn when_the_clock_is_set_a_duration_stays_and_a_time_moves() {
        let (ruleset, durations) = two_ends();
        let mut stepped = now();
        stepped.wall += SignedDuration::from_hours(1);
        let moved = durations.as_of(&ruleset, &stepped);
        // The duration's end has moved on the wall clock, so that it is the same on the boot clock.
        assert_eq!(
            ends_of(&moved),
            ["2026-01-01T01:01:00Z", "2026-01-01T00:01:00Z"]
        );
        let deadlines: Vec<_> = moved
            .rules
            .iter()
            .filter_map(|rule| Some(stepped.deadline_ns(rule.expires?)))
            .collect();
        assert_eq!(deadlines, [65_000_000_000, 1]);
    }

    #[test]
    fn another_end_given_later_is_no_duration_any_more() {
        let (ruleset, durations) = two_ends();
        let mut edited = Ruleset::clone(&ruleset);
        edited.rules[0].expires = Some("2026-01-01T00:02:00Z".parse().unwrap());
        let mut stepped = now();
        stepped.wall += SignedDuration::from_hours(1);
        let moved = durations.as_of(&Arc::new(edited), &stepped);
        assert_eq!(ends_of(&moved)[0], "2026-01-01T00:02:00Z");
    }

    #[test]
    fn an_edit_with_a_duration_marks_its_rule_and_no_other() {
        let (ruleset, _) = two_ends();
        let mut ruleset = Ruleset::clone(&ruleset);
        let edit: Edit = serde_json::from_value(serde_json::json!({
            "edit": "edit_rule", "name": "until", "expires": {"after": 90},
        }))
        .unwrap();
        ipblock_policy::edit::apply(&mut ruleset, &edit, now().wall, false).unwrap();
        let given = given([&edit], &ruleset, &now());
        assert_eq!(given, [(RuleId(2), end_times::after(90, &now()).unwrap())]);
    }
}
