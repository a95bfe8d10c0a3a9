//! Puts generations in force: builds them in parallel, replaces the program on every link, folds
//! the old counts, and only then removes the old pins.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use ipblock_api::error::ApiError;
use ipblock_datapath::{DatapathError, Generation, GenerationPlan, Lookup, PinDirectory};
use ipblock_fault::{Step, reach};
use ipblock_policy::{Ruleset, ZoneName, compile::CompiledZone};
use ipblock_store::{Deploy, FinalCounts, Switch, ZoneSwitch};
use tracing::{error, info, warn};

use crate::{
    changes::plan::Plan,
    changing::Changing,
    generations::{
        LiveZone, Replaced,
        fresh::{self, Fresh},
    },
    guard::Guarded,
    state::{Service, State},
};

/// The change to put in force.
pub(crate) struct Change<'a> {
    /// New generations, built and recorded.
    pub(crate) fresh: BTreeMap<ZoneName, Fresh<'a>>,
    /// Zones whose generation is removed without a successor.
    pub(crate) gone: Vec<ZoneName>,
    /// The revision that this puts in force; `None` if only the program changes.
    pub(crate) deploy: Option<(Deploy, Arc<Ruleset>)>,
    /// Whether the staged set is deployed.
    pub(crate) clear_staged: bool,
}

/// How a change is judged when it is put in force.
pub(crate) enum Judge<'a> {
    /// Not at all: the ruleset does not change, or an earlier daemon had judged it.
    DropsNothingNew,
    /// By what the plan newly drops of the protected addresses that were found for it.
    Plan(&'a Plan, &'a Guarded),
}

impl Service {
    /// Builds and pins a zone's generation; nothing is in force or recorded yet.
    pub(crate) fn build(
        &self,
        _: &Changing<'_>,
        zone: &CompiledZone,
    ) -> Result<Fresh<'_>, ApiError> {
        // It may have been unmounted since the start.
        PinDirectory::at(&self.settings.bpffs)?;
        let plan = GenerationPlan {
            number: self.store.allocate_generation()?,
            store_id: self.store.store_id(),
            zone,
            capacity: self.settings.capacity,
            log_level: self.settings.bpf_log,
            lookup: Lookup::Tables,
        };
        let generation = Generation::build(&self.pins, &self.shared_maps, &plan)?;
        let live = LiveZone {
            generation,
            classes: Arc::clone(&zone.classes),
            default: zone.default,
            ipv4_entries: zone.ipv4.len() as u64,
            ipv6_entries: zone.ipv6.len() as u64,
            rule_entries: zone.rule_entries().into_iter().collect(),
        };
        Ok(Fresh::built(live, self))
    }

    /// Puts a change in force, or leaves everything unchanged. Returns what was forced.
    ///
    /// It is judged here, while the bans are locked: it sees every earlier ban, and a later ban is
    /// judged by this change (decision 0017).
    pub(crate) fn put_in_force(
        &self,
        changing: &Changing<'_>,
        change: Change<'_>,
        judge: &Judge<'_>,
    ) -> Result<Vec<String>, ApiError> {
        let mut state = self.write();
        let bans = self.bans();
        let judged = match judge {
            Judge::DropsNothingNew => Ok(Vec::new()),
            Judge::Plan(plan, guarded) => guarded.judge_plan(plan, None, &state, &bans),
        };
        let forced = judged?;
        if matches!(judge, Judge::Plan(..)) {
            reach(Step::Judged);
        }
        let replaced = self.switch(changing, &mut state, change)?;
        drop((state, bans));
        self.let_go(replaced);
        Ok(forced)
    }

    /// Puts new generations of the deployed revision in force.
    pub(crate) fn replace_generations(
        &self,
        changing: &Changing<'_>,
        fresh: BTreeMap<ZoneName, Fresh<'_>>,
    ) -> Result<(), ApiError> {
        if fresh.is_empty() {
            return Ok(());
        }
        let change = Change {
            fresh,
            gone: Vec::new(),
            deploy: None,
            clear_staged: false,
        };
        self.put_in_force(changing, change, &Judge::DropsNothingNew)
            .map(drop)
    }

    /// Switches the links and applies the change; returns what it replaced, still pinned.
    ///
    /// The state is locked for writing from the first replaced program until the counts are folded,
    /// so that no reader sees a counter decrease.
    pub(crate) fn switch(
        &self,
        changing: &Changing<'_>,
        state: &mut State,
        change: Change<'_>,
    ) -> Result<Replaced, ApiError> {
        let started = Instant::now();
        let Change {
            fresh,
            gone,
            deploy,
            clear_staged,
        } = change;
        let fresh = fresh::put_in_force(fresh);
        if let Err(error) = switch_links(state, &fresh) {
            self.back_out(changing, state, fresh);
            return Err(error.into());
        }
        ipblock_datapath::settle();
        reach(Step::LinksSettled);
        let committed = retire(state, &fresh, &gone).and_then(|zones| {
            reach(Step::CountsRead);
            self.store.commit_switch(&Switch {
                zones: zones.iter().map(|(_, zone)| zone.clone()).collect(),
                deploy: deploy.as_ref().map(|(deploy, _)| deploy.clone()),
                clear_staged,
            })?;
            Ok(zones)
        });
        let zones = match committed {
            Ok(zones) => zones,
            Err(error) => {
                self.back_out(changing, state, fresh);
                return Err(error);
            }
        };
        for name in fresh.keys() {
            state.drift.unbuilt.remove(name);
        }
        let State {
            generations,
            rulesets,
            ..
        } = state;
        let replaced = generations.take_up(changing, &zones, fresh, rulesets.deployed());
        if let Some((deploy, ruleset)) = deploy {
            rulesets.deploy(changing, deploy, ruleset);
        }
        if clear_staged {
            rulesets.unstage(changing);
        }
        info!(
            took_ms = started.elapsed().as_millis(),
            generations = zones.len(),
            "put in force"
        );
        Ok(replaced)
    }

    /// Unpins what a switch has replaced.
    pub(crate) fn let_go(&self, replaced: Replaced) {
        reach(Step::ChangeInForce);
        for (_, live) in replaced {
            self.unpin(live.generation.number());
        }
    }

    /// Returns every link to the generation in the state, and forgets the new ones; keeps their
    /// counts.
    pub(crate) fn back_out(
        &self,
        changing: &Changing<'_>,
        state: &mut State,
        fresh: BTreeMap<ZoneName, LiveZone>,
    ) {
        let mut stuck = BTreeSet::new();
        for (zone, link) in state.interfaces.links_to_switch() {
            let Some(live) = state.generations.of_zone(zone) else {
                continue;
            };
            match link.switch(&live.generation) {
                Ok(()) | Err(DatapathError::LinkGone { .. }) => {}
                Err(error) => {
                    error!(interface = link.interface(), %error,
                        "could not return to the old generation");
                    stuck.insert(zone.clone());
                }
            }
        }
        ipblock_datapath::settle();
        for (name, live) in fresh {
            if stuck.contains(&name) {
                state.generations.linger(changing, name, live);
            } else {
                self.fold_undone(changing, state, &name, &live);
            }
        }
    }

    /// Adds the counts of a generation that was put in force and undone to the base.
    fn fold_undone(
        &self,
        changing: &Changing<'_>,
        state: &mut State,
        name: &ZoneName,
        live: &LiveZone,
    ) {
        let number = live.generation.number();
        let counts = match live.counts() {
            Ok(counts) => counts,
            Err(error) => {
                error!(zone = %name, generation = number, %error, "its counts are lost");
                return;
            }
        };
        state.generations.add_to_base(changing, name, &counts);
        let retired = FinalCounts {
            generation: number,
            counts,
        };
        match self.store.commit_switch(&Switch::retiring(retired)) {
            Ok(()) => self.unpin(number),
            // Its pins keep the counts: the next start adds them to the base.
            Err(error) => warn!(zone = %name, generation = number, %error, "not folded yet"),
        }
    }

    /// Folds undone generations that are not on any link any more.
    pub(crate) fn fold_lingering(&self, changing: &Changing<'_>) {
        let mut state = self.write();
        if !state.generations.has_lingering() {
            return;
        }
        let running: BTreeSet<u32> = state
            .interfaces
            .links()
            .map(|(_, link)| link.program)
            .collect();
        ipblock_datapath::settle();
        let left = state
            .generations
            .left_by_links(changing, |program| running.contains(&program));
        for (name, live) in left {
            self.fold_undone(changing, &mut state, &name, &live);
        }
    }

    /// Removes a generation's pins. The next start removes those that remain.
    pub(crate) fn unpin(&self, generation: u64) {
        if let Err(error) = self.pins.remove_generation(generation) {
            warn!(generation, %error, "pins of an old generation stay");
        }
    }
}

/// Replaces the program on the links of every zone with a new generation. Ignores a link without an
/// interface.
pub(crate) fn switch_links(
    state: &mut State,
    fresh: &BTreeMap<ZoneName, LiveZone>,
) -> Result<(), DatapathError> {
    for (zone, link) in state.interfaces.links_to_switch() {
        let Some(live) = fresh.get(zone) else {
            continue;
        };
        match link.switch(&live.generation) {
            Err(DatapathError::LinkGone { .. }) => {
                warn!(
                    interface = link.interface(),
                    "gone; it is attached again when it comes back"
                );
            }
            result => result?,
        }
    }
    Ok(())
}

/// Reads the final counts of every generation that the change retires.
fn retire(
    state: &State,
    fresh: &BTreeMap<ZoneName, LiveZone>,
    gone: &[ZoneName],
) -> Result<Vec<(ZoneName, ZoneSwitch)>, ApiError> {
    let names = fresh.keys().chain(gone);
    names
        .map(|name| {
            let retired = state.generations.of_zone(name).map(|old| {
                Ok::<_, ApiError>(FinalCounts {
                    generation: old.generation.number(),
                    counts: old.counts()?,
                })
            });
            let zone = ZoneSwitch {
                retired: retired.transpose()?,
                live: fresh.get(name).map(|live| live.generation.number()),
            };
            Ok((name.clone(), zone))
        })
        .collect()
}
