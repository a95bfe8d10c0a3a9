//! Drift: where the kernel is not as it should be. Found, put right, and told.
//!
//! Pins are looked at each second, since a daemon that dies without them leaves nothing behind; what
//! the maps say is compared with the ruleset and the bans by samples. Links and the programs that
//! they run are looked after in `attach`.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use ipnet::IpNet;
use tracing::{error, warn};

use super::state::{Service, State};
use crate::{
    api::{
        error::ApiError,
        types::{Check, CheckRequest},
    },
    datapath::{DatapathError, PinDirectory},
    policy::{At, Element, Ruleset, ZoneName},
    store::Author,
};

/// Prefixes whose first and last address are asked for each time, of rules and lists and of bans.
const SAMPLED: usize = 16;

/// What was found and put right, and what could not be.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// Zones whose generation is missing or wrong and could not be built, with why.
    pub(super) unbuilt: BTreeMap<ZoneName, String>,
    /// Why pins could not be put right.
    pins: Option<String>,
    /// Repairs since the start.
    repaired: BTreeMap<Part, u64>,
}

/// What can drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What is pinned.
    Pins,
    /// Links, and which program they run.
    Links,
    /// What a zone's maps say.
    Tables,
    /// What the ban tables say.
    Bans,
}

impl Part {
    const ALL: [Self; 4] = [Self::Pins, Self::Links, Self::Tables, Self::Bans];

    /// As a label.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pins => "pins",
            Self::Links => "links",
            Self::Tables => "tables",
            Self::Bans => "bans",
        }
    }
}

impl Drift {
    /// What needs an operator's eye.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let unbuilt = self.unbuilt.iter();
        let unbuilt = unbuilt.map(|(zone, why)| format!("zone {zone} is not as deployed: {why}"));
        let pins = self.pins.iter().map(|why| {
            format!("what is pinned cannot be put right, and goes when ipblockd dies: {why}")
        });
        unbuilt.chain(pins)
    }

    /// Repairs since the start, by what drifted.
    pub(super) fn repairs(&self) -> impl Iterator<Item = (Part, u64)> {
        let count = |part| self.repaired.get(&part).copied().unwrap_or_default();
        Part::ALL.into_iter().map(move |part| (part, count(part)))
    }
}

impl Service {
    /// Counts a repair, and tells of it.
    pub(super) fn repaired(&self, part: Part, what: &str) {
        *self.write().drift.repaired.entry(part).or_default() += 1;
        warn!(part = part.name(), what, "drift was put right");
        self.audit(&Author::daemon(), "repair", what);
    }

    /// Pins again what somebody has unpinned or replaced. Called every second, while nothing changes.
    pub(super) fn put_pins_right(&self) {
        let outcome = self.pins_put_right(&self.read());
        let problem = match &outcome {
            Ok(0) => None,
            Ok(count) => {
                self.repaired(Part::Pins, &format!("{count} pins were gone or replaced"));
                None
            }
            Err(error) => Some(match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            }),
        };
        let known = std::mem::replace(&mut self.write().drift.pins, problem.clone());
        // Tried every second, told once.
        if let Some(problem) = problem.filter(|problem| known.as_ref() != Some(problem)) {
            error!(%problem, "pins cannot be put right");
        }
    }

    fn pins_put_right(&self, state: &State) -> Result<usize, DatapathError> {
        // Elsewhere nothing can be pinned, and directories would be left behind.
        PinDirectory::at(&self.settings.bpffs)?;
        let mut count = self.shared_pins.put_right()?;
        for (_, live) in state.judging() {
            count += live.generation.put_pins_right()?;
        }
        for link in state.links() {
            count += usize::from(link.put_pin_right()?);
        }
        Ok(count)
    }

    /// Builds what zones lack, and compares samples of what the maps say with the ruleset and the
    /// bans: a zone that is wrong is built anew, ban tables that are wrong are filled anew.
    pub fn look_for_drift(&self) -> Result<(), ApiError> {
        let lacking = !self.read().drift.unbuilt.is_empty();
        let sample = self.sample();
        let wrong = self.disagreeing(&sample)?;
        if !lacking && wrong.is_empty() && self.zones_set_otherwise()?.is_empty() {
            return Ok(());
        }
        let _change = self.begin_change();
        // Once more: a change may have come between two looks.
        let wrong = self.disagreeing(&sample)?;
        let (bans, tables): (Vec<_>, Vec<_>) =
            wrong.iter().partition(|check| self.is_of_bans(check));
        if let Some(check) = bans.first() {
            self.bans().put_right_soon();
            let what = format!("the ban tables disagreed at {}", check.address);
            self.repaired(Part::Bans, &what);
        }
        let mut zones = self.zones_set_otherwise()?;
        zones.extend(tables.iter().filter_map(|check| check.zone.parse().ok()));
        self.build_anew(&zones)?;
        let unbuilt = self.read().drift.unbuilt.clone();
        for zone in zones.iter().filter(|zone| !unbuilt.contains_key(zone)) {
            let what = format!("zone {zone} was not as deployed");
            self.repaired(Part::Tables, &what);
        }
        Ok(())
    }

    /// Where kernel and intent disagree.
    fn disagreeing(&self, sample: &[String]) -> Result<Vec<Check>, ApiError> {
        let mut answers = self.check(&CheckRequest {
            addresses: sample.to_vec(),
            zone: None,
        })?;
        answers.retain(|answer| !answer.kernel_agrees);
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

    /// Zones whose generation was built with another default or policy for malformed packets than
    /// they are to have.
    fn zones_set_otherwise(&self) -> Result<BTreeSet<ZoneName>, ApiError> {
        let recorded = self.store.open_generations()?;
        let state = self.read();
        let differing = recorded.into_iter().filter(|recorded| {
            let is_live = |zone: &ZoneName| {
                let live = state.zones.get(zone);
                live.is_some_and(|live| live.generation.number() == recorded.number)
            };
            let zone = state.deployed.zone(&recorded.zone);
            is_live(&recorded.zone)
                && zone.is_some_and(|zone| {
                    (zone.default, zone.malformed) != (recorded.default, recorded.malformed)
                })
        });
        Ok(differing.map(|recorded| recorded.zone).collect())
    }

    /// First and last addresses of prefixes that rules, allow lists, lists and bans name, by chance.
    fn sample(&self) -> Vec<String> {
        let deployed = Arc::clone(&self.read().deployed);
        let chance = RandomState::new();
        let mut prefixes: Vec<IpNet> = (0..SAMPLED)
            .filter_map(|number| some_prefix(&deployed, chance.hash_one(number)))
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

/// The prefix at a place among all that a ruleset names, modulo how many these are.
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
    use super::*;
    use crate::policy::document;

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
}
