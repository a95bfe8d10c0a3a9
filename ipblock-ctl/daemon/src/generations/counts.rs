//! Counters: the base in the store plus the counts of live generations.

use std::collections::BTreeMap;

use ipblock_datapath::{KernelCounts, clock::Now};
use ipblock_policy::{RuleId, ZoneName, compile::CompiledClass};
use ipblock_store::{GenerationCounts, RuleCounts, Store, StoreError, ZoneCounts};

/// Counts of rules and zones, summed over generations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) rules: BTreeMap<RuleId, RuleCounts>,
    pub(crate) zones: BTreeMap<ZoneName, ZoneCounts>,
}

impl Counts {
    /// Returns the counts of folded generations.
    pub(crate) fn load(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            rules: store.base_rules()?,
            zones: store.base_zones()?,
        })
    }

    /// Returns the sum over all zones, including removed ones.
    pub(crate) fn all_zones(&self) -> ZoneCounts {
        let mut sum = ZoneCounts::default();
        for zone in self.zones.values() {
            sum += *zone;
        }
        sum
    }

    pub(crate) fn rule(&self, id: RuleId) -> RuleCounts {
        self.rules.get(&id).copied().unwrap_or_default()
    }

    /// Adds the counts of one generation of a zone.
    pub(crate) fn add(&mut self, zone: &ZoneName, counts: &GenerationCounts) {
        for (id, rule) in &counts.rules {
            *self.rules.entry(*id).or_default() += *rule;
        }
        *self.zones.entry(zone.clone()).or_default() += counts.zone();
    }
}

/// Sums class counters into rules: each class counts for every rule that matches in it, and as
/// `excepted` for every rule that does not match because of an exception.
pub(crate) fn per_rule(
    classes: &[CompiledClass],
    kernel: &KernelCounts,
    now: &Now,
) -> GenerationCounts {
    let mut counts = GenerationCounts {
        totals: kernel.totals,
        bans: kernel.bans(),
        ..GenerationCounts::default()
    };
    for (class, counted) in classes.iter().zip(&kernel.classes) {
        if counted.count.packets == 0 {
            continue;
        }
        let matched = RuleCounts {
            packets: counted.count.packets,
            bytes: counted.count.bytes,
            excepted: 0,
            last_hit: now.hit_time(counted.last_hit),
        };
        let spared = RuleCounts {
            excepted: counted.count.packets,
            ..RuleCounts::default()
        };
        for id in &class.matched {
            *counts.rules.entry(*id).or_default() += matched;
        }
        for id in &class.excepted {
            *counts.rules.entry(*id).or_default() += spared;
        }
    }
    counts
}
