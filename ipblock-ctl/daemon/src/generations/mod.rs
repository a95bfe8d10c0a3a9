//! The generations that judge packets, and what those counted that are gone.
//!
//! Everybody may read them; only a change changes them.

pub(crate) mod counts;
pub(crate) mod fresh;
mod live_counts;
pub(crate) mod switch;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ipblock_api::error::ApiError;
use ipblock_datapath::{Generation, clock::Now};
use ipblock_policy::{
    DefaultVerdict, RuleId, Ruleset, ZoneName,
    compile::{CompiledClass, CompiledZone},
};
use ipblock_store::{GenerationCounts, NewGeneration, Store, StoreError, ZoneSwitch};
use jiff::Timestamp;

use crate::{
    alerts::retired::{RetiredGenerations, known_rules},
    changing::Changing,
    generations::counts::{Counts, per_rule},
};

/// Which generations there are.
#[derive(Default)]
pub(crate) struct Generations {
    /// Shared with requests that ask one for long: nothing waits for them.
    zones: BTreeMap<ZoneName, Arc<LiveZone>>,
    /// Generations of a change that was undone, and whose program could not be taken off every link:
    /// they still judge and count.
    lingering: Vec<(ZoneName, LiveZone)>,
    /// What generations that are gone stood for.
    retired: RetiredGenerations,
    /// Counts of generations that are gone, as the store has them.
    base: Counts,
}

/// A zone with its generation in force.
pub(crate) struct LiveZone {
    pub(crate) generation: Generation,
    /// What its classes stand for, as recorded when it was built.
    pub(crate) classes: Arc<[CompiledClass]>,
    pub(crate) default: DefaultVerdict,
    pub(crate) ipv4_entries: u64,
    pub(crate) ipv6_entries: u64,
    /// Entries by rule, for `rule list`.
    pub(crate) rule_entries: HashMap<RuleId, u64>,
}

/// Generations that a change has replaced, still pinned.
pub(crate) type Replaced = Vec<(ZoneName, Arc<LiveZone>)>;

impl Generations {
    /// What the store has; nothing of the kernel yet.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            base: Counts::load(store)?,
            ..Self::default()
        })
    }

    /// The generation of each zone.
    pub(crate) fn zones(&self) -> &BTreeMap<ZoneName, Arc<LiveZone>> {
        &self.zones
    }

    pub(crate) fn of_zone(&self, zone: &ZoneName) -> Option<&Arc<LiveZone>> {
        self.zones.get(zone)
    }

    /// Id of the program that a zone's interfaces should run.
    pub(crate) fn program_of(&self, zone: &ZoneName) -> Option<u32> {
        let live = self.zones.get(zone);
        live.map(|live| live.generation.program_id())
    }

    /// Every generation that may judge packets, with its zone.
    pub(crate) fn judging(&self) -> impl Iterator<Item = (&ZoneName, &LiveZone)> {
        let lingering = self.lingering.iter().map(|(name, live)| (name, live));
        let zones = self.zones.iter().map(|(name, live)| (name, &**live));
        zones.chain(lingering)
    }

    /// Entries of all zones.
    pub(crate) fn entries(&self) -> u64 {
        let zones = self.zones.values();
        zones
            .map(|zone| zone.ipv4_entries + zone.ipv6_entries)
            .sum()
    }

    /// What generations that are gone stood for.
    pub(crate) fn retired(&self) -> &RetiredGenerations {
        &self.retired
    }

    /// What generations have counted that are gone.
    pub(crate) fn base(&self) -> &Counts {
        &self.base
    }

    /// All that was counted, by generations that are gone and by those that judge.
    pub(crate) fn counts(&self) -> Result<Counts, ApiError> {
        let mut all = self.base.clone();
        for (name, zone) in self.judging() {
            all.add(name, &zone.counts()?);
        }
        Ok(all)
    }

    /// Takes over a generation that a daemon before has put in force.
    pub(crate) fn adopt(&mut self, _: &Changing<'_>, zone: ZoneName, live: LiveZone) {
        self.zones.insert(zone, Arc::new(live));
    }

    /// Reads anew what generations have counted that are gone.
    pub(crate) fn reload_base(
        &mut self,
        _: &Changing<'_>,
        store: &Store,
    ) -> Result<(), StoreError> {
        self.base = Counts::load(store)?;
        Ok(())
    }

    /// Takes up a switch that the store has recorded; returns what it replaced.
    pub(crate) fn take_up(
        &mut self,
        changing: &Changing<'_>,
        switched: &[(ZoneName, ZoneSwitch)],
        mut fresh: BTreeMap<ZoneName, LiveZone>,
        deployed: &Ruleset,
    ) -> Replaced {
        let mut replaced = Vec::new();
        for (name, zone) in switched {
            if let Some(retired) = &zone.retired {
                self.add_to_base(changing, name, &retired.counts);
            }
            let before = match fresh.remove(name) {
                Some(live) => self.zones.insert(name.clone(), Arc::new(live)),
                None => self.zones.remove(name),
            };
            replaced.extend(before.map(|live| (name.clone(), live)));
        }
        let rules = known_rules(deployed);
        for (name, live) in &replaced {
            let (number, classes) = (live.generation.number(), Arc::clone(&live.classes));
            self.retired
                .retire(number, name.clone(), classes, Arc::clone(&rules));
        }
        replaced
    }

    /// Takes the place of others as a restore does, which has no counts in common with them.
    pub(crate) fn replace(
        &mut self,
        _: &Changing<'_>,
        base: Self,
        fresh: BTreeMap<ZoneName, LiveZone>,
    ) -> Replaced {
        let zones = fresh.into_iter();
        let before = std::mem::replace(
            self,
            Self {
                zones: zones.map(|(name, live)| (name, Arc::new(live))).collect(),
                ..base
            },
        );
        before.zones.into_iter().collect()
    }

    /// Adds what a generation counted that is gone.
    pub(crate) fn add_to_base(
        &mut self,
        _: &Changing<'_>,
        zone: &ZoneName,
        counts: &GenerationCounts,
    ) {
        self.base.add(zone, counts);
    }

    /// Keeps a generation that was undone and is still on a link.
    pub(crate) fn linger(&mut self, _: &Changing<'_>, zone: ZoneName, live: LiveZone) {
        self.lingering.push((zone, live));
    }

    /// Takes out the undone generations whose program is not among those that run.
    pub(crate) fn left_by_links(
        &mut self,
        _: &Changing<'_>,
        is_running: impl Fn(u32) -> bool,
    ) -> Vec<(ZoneName, LiveZone)> {
        let (stay, left) = std::mem::take(&mut self.lingering)
            .into_iter()
            .partition(|(_, live)| is_running(live.generation.program_id()));
        self.lingering = stay;
        left
    }

    /// Whether a generation that was undone still judges.
    pub(crate) fn has_lingering(&self) -> bool {
        !self.lingering.is_empty()
    }
}

impl LiveZone {
    /// What this generation has counted, per rule.
    pub(crate) fn counts(&self) -> Result<GenerationCounts, ApiError> {
        let kernel = self.generation.counts()?;
        Ok(per_rule(&self.classes, &kernel, &Now::read()))
    }

    /// What the store has to know of it.
    pub(crate) fn record(
        &self,
        name: &ZoneName,
        zone: &CompiledZone,
        revision: u64,
    ) -> NewGeneration<'_> {
        NewGeneration {
            number: self.generation.number(),
            zone: name.clone(),
            revision,
            classes: &self.classes,
            ipv4_entries: self.ipv4_entries,
            ipv6_entries: self.ipv6_entries,
            default: zone.default,
            malformed: zone.malformed,
            object_sha256: self.generation.meta().object_sha256,
            time: Timestamp::now(),
        }
    }
}
