//! The generations that judge packets, and the counts of former ones.
//!
//! All code may read them; only a change modifies them.

mod checkpoint;
pub(crate) mod counts;
pub(crate) mod fresh;
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

/// The state of all generations.
#[derive(Default)]
pub(crate) struct Generations {
    /// Shared with requests that use one for a long time, so that no other code waits for them.
    zones: BTreeMap<ZoneName, Arc<LiveZone>>,
    /// Generations of a change that was undone, whose program could not be removed from every link:
    /// they still judge and count.
    lingering: Vec<(ZoneName, LiveZone)>,
    /// The classes of former generations.
    retired: RetiredGenerations,
    /// The counts of former generations, as in the store.
    base: Counts,
}

/// A zone with its generation in force.
pub(crate) struct LiveZone {
    pub(crate) generation: Generation,
    /// The meaning of its classes, as recorded when it was built.
    pub(crate) classes: Arc<[CompiledClass]>,
    pub(crate) default: DefaultVerdict,
    pub(crate) ipv4_entries: u64,
    pub(crate) ipv6_entries: u64,
    /// Number of entries per rule, for `rule list`.
    pub(crate) rule_entries: HashMap<RuleId, u64>,
}

/// Generations that a change has replaced, and that are still pinned.
pub(crate) type Replaced = Vec<(ZoneName, Arc<LiveZone>)>;

impl Generations {
    /// Returns the state in the store, without the kernel's.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            base: Counts::load(store)?,
            ..Self::default()
        })
    }

    /// Returns the generation of each zone.
    pub(crate) fn zones(&self) -> &BTreeMap<ZoneName, Arc<LiveZone>> {
        &self.zones
    }

    pub(crate) fn of_zone(&self, zone: &ZoneName) -> Option<&Arc<LiveZone>> {
        self.zones.get(zone)
    }

    /// Returns the id of the program for a zone's interfaces.
    pub(crate) fn program_of(&self, zone: &ZoneName) -> Option<u32> {
        let live = self.zones.get(zone);
        live.map(|live| live.generation.program_id())
    }

    /// Returns every generation that may judge packets, with its zone.
    pub(crate) fn judging(&self) -> impl Iterator<Item = (&ZoneName, &LiveZone)> {
        let lingering = self.lingering.iter().map(|(name, live)| (name, live));
        let zones = self.zones.iter().map(|(name, live)| (name, &**live));
        zones.chain(lingering)
    }

    /// Returns the number of entries in all zones.
    pub(crate) fn entries(&self) -> u64 {
        let zones = self.zones.values();
        zones
            .map(|zone| zone.ipv4_entries + zone.ipv6_entries)
            .sum()
    }

    /// Returns the book of former generations.
    pub(crate) fn retired(&self) -> &RetiredGenerations {
        &self.retired
    }

    /// Returns the counts of former generations.
    pub(crate) fn base(&self) -> &Counts {
        &self.base
    }

    /// Returns all counts, of former and present generations.
    pub(crate) fn counts(&self) -> Result<Counts, ApiError> {
        let mut all = self.base.clone();
        for (name, zone) in self.judging() {
            all.add(name, &zone.counts()?);
        }
        Ok(all)
    }

    /// Adopts a generation that an earlier daemon put in force.
    pub(crate) fn adopt(&mut self, _: &Changing<'_>, zone: ZoneName, live: LiveZone) {
        self.zones.insert(zone, Arc::new(live));
    }

    /// Reads the counts of former generations again.
    pub(crate) fn reload_base(
        &mut self,
        _: &Changing<'_>,
        store: &Store,
    ) -> Result<(), StoreError> {
        self.base = Counts::load(store)?;
        Ok(())
    }

    /// Applies a switch that the store has recorded; returns what it replaced.
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

    /// Replaces all generations in a restore, which shares no counts with them.
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

    /// Adds the counts of a former generation.
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

    /// Removes and returns the undone generations whose program does not run any more.
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

    /// Whether an undone generation still judges.
    pub(crate) fn has_lingering(&self) -> bool {
        !self.lingering.is_empty()
    }
}

impl LiveZone {
    /// Returns the counts of this generation per rule.
    pub(crate) fn counts(&self) -> Result<GenerationCounts, ApiError> {
        let kernel = self.generation.counts()?;
        Ok(per_rule(&self.classes, &kernel, &Now::read()))
    }

    /// Returns its record for the store.
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
