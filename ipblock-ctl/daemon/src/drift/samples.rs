//! Compares samples of the maps with the ruleset and the bans.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use ipblock_api::{
    error::ApiError,
    types::{Check, CheckRequest},
};
use ipblock_datapath::clock::Now;
use ipblock_policy::{At, Element, Ruleset, ZoneName};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::{super::end_times, Drifted, Service};

/// Number of prefixes per sample, of rules and lists and of bans; the first and last address of
/// each is checked.
const SAMPLED: usize = 16;
/// Pause after a sample as a multiple of its duration: each sample walks over a large ruleset.
const REST: u32 = 500;
/// Pause after building zones; doubled each time that it did not help.
const PAUSE: Duration = Duration::from_secs(5);
/// Maximum number of doublings: up to five minutes.
const DOUBLINGS: u32 = 6;
/// Near its end, a rule may still be in force by one of kernel clock and wall clock.
const NEAR: SignedDuration = SignedDuration::from_secs(2);

impl Service {
    /// Builds missing generations, and compares samples of the maps with the ruleset and the bans.
    /// Rebuilds wrong zones, and refills wrong ban tables.
    pub fn look_for_drift(&self) -> Result<(), ApiError> {
        let sample = self.sample_unless_resting();
        let suspects = self.suspects(&sample);
        if suspects.is_empty() && self.read().lacking().is_empty() {
            if !sample.is_empty() {
                self.write().drift.attempts = 0;
            }
            return Ok(());
        }
        let changing = &self.begin_change();
        // Repeated: there may have been a change between the two checks.
        let suspects = self.suspects(&sample);
        if let Some(address) = suspects.ban {
            self.bans().put_right_soon(&address);
        }
        let mut zones = self.read().lacking();
        zones.extend(suspects.zones.iter().cloned());
        if zones.is_empty() || !self.may_build() {
            return Ok(());
        }
        self.build_anew(changing, &zones)?;
        let unbuilt = self.read().drift.unbuilt.clone();
        for zone in zones.iter().filter(|zone| !unbuilt.contains_key(zone)) {
            let what = format!("zone {zone} was not as deployed");
            self.repaired(Drifted::Tables, &what);
        }
        Ok(())
    }

    /// Whether zones may be built again; called once per attempt.
    fn may_build(&self) -> bool {
        let mut state = self.write();
        let drift = &mut state.drift;
        let now = Instant::now();
        if drift.builds_after.is_some_and(|after| now < after) {
            return false;
        }
        let pause = PAUSE * 2_u32.pow(drift.attempts.min(DOUBLINGS));
        drift.builds_after = Some(now + pause);
        drift.attempts = drift.attempts.saturating_add(1);
        true
    }

    /// Returns a sample. It is empty if there was one recently, or if its result would be
    /// unreliable: the kernel's deadlines follow a changed clock one second later.
    fn sample_unless_resting(&self) -> Vec<String> {
        let now = Now::read();
        let started = Instant::now();
        let (deployed, is_resting, is_stepping) = {
            let state = self.read();
            let rests_until = state.drift.rests_until;
            (
                Arc::clone(state.rulesets.deployed()),
                rests_until.is_some_and(|until| started < until),
                end_times::is_a_step(state.rulesets.wall_offset(), end_times::wall_offset(&now)),
            )
        };
        if is_resting || is_stepping || ends_now(&deployed, now.wall) {
            return Vec::new();
        }
        self.sample(&deployed)
    }

    /// Returns where kernel and intent differ.
    fn suspects(&self, sample: &[String]) -> Suspects {
        let started = Instant::now();
        let mut suspects = Suspects::default();
        match self.disagreeing(sample) {
            Ok(answers) => {
                for answer in answers {
                    if self.is_of_bans(&answer) {
                        suspects.ban = Some(answer.address);
                    } else {
                        suspects.zones.extend(answer.zone.parse());
                    }
                }
            }
            Err(error) => warn!(%error, "the kernel's maps could not be asked"),
        }
        match self.zones_set_otherwise() {
            Ok(zones) => suspects.zones.extend(zones),
            Err(error) => warn!(%error, "the settings of zones could not be compared"),
        }
        if !sample.is_empty() {
            let rest = started.elapsed() * REST;
            self.write().drift.rests_until = Some(Instant::now() + rest);
        }
        suspects
    }

    fn disagreeing(&self, sample: &[String]) -> Result<Vec<Check>, ApiError> {
        if sample.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = self.check(&CheckRequest {
            addresses: sample.to_vec(),
            zone: None,
            staged: false,
        })?;
        answers.retain(|answer| answer.kernel_agrees == Some(false));
        Ok(answers)
    }

    fn is_of_bans(&self, check: &Check) -> bool {
        let address = check.address.parse();
        address.is_ok_and(|address| {
            self.bans()
                .kernel_agrees(address)
                .is_ok_and(|agrees| !agrees)
        })
    }

    /// Returns zones whose generation was built with another default or policy for malformed
    /// packets than the present one.
    fn zones_set_otherwise(&self) -> Result<BTreeSet<ZoneName>, ApiError> {
        let recorded = self.store.open_generations()?;
        let state = self.read();
        let differing = recorded.into_iter().filter(|recorded| {
            let is_live = |zone: &ZoneName| {
                let live = state.generations.of_zone(zone);
                live.is_some_and(|live| live.generation.number() == recorded.number)
            };
            let zone = state.rulesets.deployed().zone(&recorded.zone);
            is_live(&recorded.zone)
                && zone.is_some_and(|zone| {
                    (zone.default, zone.malformed) != (recorded.default, recorded.malformed)
                })
        });
        Ok(differing.map(|recorded| recorded.zone).collect())
    }

    /// Returns first and last addresses of random prefixes in rules, allow lists, lists and bans.
    fn sample(&self, deployed: &Ruleset) -> Vec<String> {
        let chance = RandomState::new();
        let mut prefixes: Vec<IpNet> = (0..SAMPLED)
            .filter_map(|number| some_prefix(deployed, chance.hash_one(number)))
            .collect();
        let offset = usize::try_from(chance.hash_one(SAMPLED)).unwrap_or_default();
        prefixes.extend(self.bans().some(SAMPLED, offset));
        let addresses = prefixes
            .iter()
            .flat_map(|prefix| [prefix.network(), prefix.broadcast()]);
        let addresses: BTreeSet<String> = addresses.map(|address| address.to_string()).collect();
        addresses.into_iter().collect()
    }
}

/// The differences that a check found.
#[derive(Debug, Default)]
struct Suspects {
    zones: BTreeSet<ZoneName>,
    /// An address at which the ban tables are wrong.
    ban: Option<String>,
}

impl Suspects {
    fn is_empty(&self) -> bool {
        self.zones.is_empty() && self.ban.is_none()
    }
}

/// Whether a rule ends about now.
fn ends_now(ruleset: &Ruleset, now: Timestamp) -> bool {
    let mut ends = ruleset.rules.iter().filter_map(|rule| rule.expires);
    ends.any(|end| end.duration_since(now).abs() < NEAR)
}

/// Returns the prefix at an index among all prefixes of a ruleset, modulo their number.
fn some_prefix(ruleset: &Ruleset, place: u64) -> Option<IpNet> {
    let rules = ruleset.rules.iter();
    let zones = ruleset.zones.values();
    let elements: Vec<&[Element]> = rules
        .flat_map(|rule| [&rule.matches[..], &rule.except[..]])
        .chain(zones.map(|zone| &zone.allow[..]))
        .chain([&ruleset.allow[..]])
        .collect();
    let lists: Vec<_> = ruleset
        .lists
        .values()
        .map(|list| &list.elements[..])
        .collect();
    let of_elements: usize = elements.iter().map(|elements| elements.len()).sum();
    let of_lists: usize = lists.iter().map(|elements| elements.len()).sum();
    let all = u64::try_from(of_elements + of_lists).ok()?;
    let mut place = usize::try_from(place.checked_rem(all)?).ok()?;
    for elements in elements {
        match elements.get(place).map(|element| &element.at) {
            Some(At::Prefix(prefix)) => return Some(*prefix),
            Some(At::List(_)) => return None,
            None => place -= elements.len(),
        }
    }
    for elements in lists {
        match elements.get(place) {
            Some(element) => return Some(element.prefix),
            None => place -= elements.len(),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document;

    use super::*;

    #[test]
    fn every_prefix_that_a_ruleset_names_can_be_sampled() {
        let text = r#"
            [allow]
            match = ["192.0.2.1"]
            [zone.dmz]
            allow = ["192.0.2.2"]
            [list.bad]
            match = ["192.0.2.3", "192.0.2.4"]
            [[rule]]
            name = "one"
            action = "block"
            match = ["@bad", "192.0.2.5", "192.0.2.6"]
            except = ["192.0.2.6"]
        "#;
        let ruleset = document::parse(text, "test", false).unwrap();
        let found: BTreeSet<String> = (0..8)
            .filter_map(|place| some_prefix(&ruleset, place))
            .map(|prefix| prefix.addr().to_string())
            .collect();
        let expected = (1..=6).map(|host| format!("192.0.2.{host}"));
        assert_eq!(found, expected.collect());
        assert_eq!(some_prefix(&Ruleset::default(), 7), None);
    }

    #[test]
    fn a_rule_that_ends_about_now_is_no_time_to_compare_clocks() {
        let text = "[[rule]]\nname = \"one\"\naction = \"block\"\nmatch = [\"192.0.2.1\"]\n\
                    expires = \"2026-01-01T00:00:00Z\"\n";
        let ruleset = document::parse(text, "test", false).unwrap();
        let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (seconds, near) in [(-3, false), (-1, true), (1, true), (3, false)] {
            let now = end + SignedDuration::from_secs(seconds);
            assert_eq!(ends_now(&ruleset, now), near, "{seconds}");
        }
    }
}
