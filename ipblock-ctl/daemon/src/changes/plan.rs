//! The effect of a deploy as a value: `diff`, `--dry-run` and deploy all start from it.

use std::{
    collections::BTreeMap,
    sync::{Arc, MutexGuard, PoisonError},
};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{AddressChange, Diff, EntryChange, RuleChange, RuleChangeKind},
};
use ipblock_datapath::clock::Now;
use ipblock_policy::{
    RuleId, Ruleset, ZoneName,
    compile::CompiledZone,
    diff::{ChangeKind, RulesetDiff, diff, diff_addresses},
    lint::new_warnings,
};
use jiff::Timestamp;

use crate::{
    changes::compile_cache::{CompileCache, Zones},
    state::{Service, State},
};

/// A zone before or after; `None` if it does not exist.
type Side = Option<Arc<CompiledZone>>;

/// The change from the deployed ruleset to another one.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) before: Arc<Ruleset>,
    pub(crate) after: Arc<Ruleset>,
    /// The time at which both sides are compiled.
    pub(crate) now: Timestamp,
    /// Every zone of either side, compiled before and after.
    zones: BTreeMap<ZoneName, (Side, Side)>,
    /// The differences in words.
    changes: RulesetDiff,
}

/// What happens to a zone's generation.
pub(crate) enum ZoneStep<'a> {
    /// It stays.
    Keep,
    /// It is created or replaced.
    Build(&'a CompiledZone),
    /// The zone is removed.
    Remove,
}

impl Plan {
    fn new(
        (before, old): (Arc<Ruleset>, &Zones),
        (after, new): (Arc<Ruleset>, &Zones),
        now: Timestamp,
    ) -> Self {
        let names = old.keys().chain(new.keys());
        let side = |zones: &Zones, name| zones.get(name).map(Arc::clone);
        let zones = names.map(|name| (name.clone(), (side(old, name), side(new, name))));
        Self {
            zones: zones.collect(),
            changes: diff(&before, &after),
            before,
            after,
            now,
        }
    }

    /// Returns the step for each zone, given the generations in `state`.
    pub(crate) fn steps(&self, state: &State) -> Vec<(&ZoneName, ZoneStep<'_>)> {
        let steps = self.zones.iter().map(|(name, (before, after))| {
            let step = match after {
                None => ZoneStep::Remove,
                // The live generation counts by class id, so equal entries are not enough: a
                // generation from before an expiry has other classes.
                Some(after)
                    if before.as_ref() == Some(after)
                        && state
                            .generations
                            .of_zone(name)
                            .is_some_and(|live| *live.classes == *after.classes) =>
                {
                    ZoneStep::Keep
                }
                Some(after) => ZoneStep::Build(after),
            };
            (name, step)
        });
        steps.collect()
    }

    /// Returns every zone of either side, before and after.
    pub(crate) fn zones(
        &self,
    ) -> impl Iterator<Item = (&ZoneName, Option<&CompiledZone>, Option<&CompiledZone>)> {
        let zones = self.zones.iter();
        zones.map(|(name, (before, after))| (name, before.as_deref(), after.as_deref()))
    }

    /// Whether there is any difference other than the order of rules, which has no meaning.
    pub(crate) fn changes_anything(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Returns the kernel entries before, over all zones and both families.
    pub(crate) fn entries_before(&self) -> u64 {
        let before = self
            .zones
            .values()
            .filter_map(|(before, _)| before.as_deref());
        before.map(|zone| zone.entry_count() as u64).sum()
    }

    /// Returns the kernel entries after, over all zones and both families.
    pub(crate) fn entries_after(&self) -> u64 {
        let after = self
            .zones
            .values()
            .filter_map(|(_, after)| after.as_deref());
        after.map(|zone| zone.entry_count() as u64).sum()
    }

    /// Returns the API's form of the plan, without the guard's results.
    pub(crate) fn to_diff(&self) -> Diff {
        let nothing = CompiledZone::empty();
        let pairs: Vec<_> = self
            .zones
            .values()
            .map(|(before, after)| {
                (
                    before.as_deref().unwrap_or(&nothing),
                    after.as_deref().unwrap_or(&nothing),
                )
            })
            .collect();
        let addresses = diff_addresses(&pairs);
        Diff {
            rules: self
                .changes
                .rules
                .iter()
                .map(|change| RuleChange {
                    name: change.name.clone(),
                    change: match change.kind {
                        ChangeKind::Added => RuleChangeKind::Added,
                        ChangeKind::Changed => RuleChangeKind::Changed,
                        ChangeKind::Removed => RuleChangeKind::Removed,
                    },
                    detail: change.detail.clone(),
                })
                .collect(),
            other: self.changes.other.clone(),
            addresses: AddressChange {
                newly_blocked: addresses.newly_blocked.to_string(),
                newly_passed: addresses.newly_passed.to_string(),
            },
            entries: EntryChange {
                before: self.entries_before(),
                after: self.entries_after(),
            },
            warnings: new_warnings(&self.before, &self.after),
            cut_peers: Vec::new(),
            edits: Vec::new(),
            conflicts: Vec::new(),
        }
    }
}

impl Service {
    /// Returns the plan from one ruleset to another, now.
    pub(crate) fn plan(&self, before: Arc<Ruleset>, after: Arc<Ruleset>) -> Result<Plan, ApiError> {
        let now = Now::read();
        // Ends of durations at their present wall time.
        let (old, new) = {
            let rulesets = &self.read().rulesets;
            (rulesets.as_of(&before, &now), rulesets.as_of(&after, &now))
        };
        let old = self.zones_of(&old, now.wall)?;
        let new = self.zones_of(&new, now.wall)?;
        Ok(Plan::new((before, &old), (after, &new), now.wall))
    }

    /// Returns the zones of a ruleset at a moment, compiled unless cached.
    pub(crate) fn zones_of(
        &self,
        ruleset: &Arc<Ruleset>,
        now: Timestamp,
    ) -> Result<Zones, ApiError> {
        Ok(self.compile_cache().zones(ruleset, now)?)
    }

    /// Returns the cache of compiled rulesets.
    pub(crate) fn compile_cache(&self) -> MutexGuard<'_, CompileCache> {
        self.compile_cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a ruleset that removes a zone with interfaces.
    pub(crate) fn require_zones_of_interfaces(
        &self,
        before: &Ruleset,
        after: &Ruleset,
    ) -> Result<(), ApiError> {
        for (interface, record) in self.read().interfaces.records() {
            if before.zone(&record.zone).is_some() && after.zone(&record.zone).is_none() {
                let message = format!(
                    "zone `{}` would be gone, and interface `{interface}` is in it",
                    record.zone
                );
                let hint = format!(
                    "keep the zone, or first `ipblock-ctl attach {interface} --zone default` or \
                     `ipblock-ctl detach {interface}`"
                );
                return Err(ApiError::new(ErrorKind::Conflict, message).with_hint(hint));
            }
        }
        Ok(())
    }

    /// Assigns a new identity to every rule without one.
    pub(crate) fn identify(&self, ruleset: &mut Ruleset) -> Result<(), ApiError> {
        let unnamed = ruleset
            .rules
            .iter()
            .filter(|rule| rule.id == RuleId::default())
            .count();
        if unnamed == 0 {
            return Ok(());
        }
        let mut ids = self
            .store
            .allocate_rule_ids(u32::try_from(unnamed).unwrap_or(u32::MAX))?
            .into_iter();
        for rule in &mut ruleset.rules {
            if rule.id == RuleId::default()
                && let Some(id) = ids.next()
            {
                rule.id = id;
            }
        }
        Ok(())
    }
}
