//! Invariants between two changes: the rooms of the state agree with each other and with the store.
//! Builds with debug assertions check them after each change, so every test of a change tests them
//! as well.

use std::collections::{BTreeMap, BTreeSet};

use ipblock_store::{GenerationState, Store, StoreError};

use super::{
    attach::interfaces::AttachedState,
    changing::Afterwards,
    state::{Service, State},
};

impl Afterwards for Service {
    /// Ignores what the store cannot read (its disk is full, for example).
    fn broken(&self) -> Vec<String> {
        let state = self.read();
        let mut broken = Vec::new();
        zones(&state, &mut broken);
        generations(&state, &mut broken);
        links(&state, &mut broken);
        // An unreadable part proves nothing.
        recorded(&state, &self.store, &mut broken).ok();
        broken
    }
}

/// A zone is deployed exactly if it has a generation, or is known to lack one.
fn zones(state: &State, broken: &mut Vec<String>) {
    let deployed: BTreeSet<_> = state.rulesets.deployed().zone_names().into_iter().collect();
    for zone in &deployed {
        let is_known =
            state.generations.of_zone(zone).is_some() || state.drift.unbuilt.contains_key(zone);
        if !is_known {
            broken.push(format!("zone `{zone}` is deployed and has no generation"));
        }
    }
    for zone in state.generations.zones().keys() {
        if !deployed.contains(zone) {
            broken.push(format!(
                "zone `{zone}` has a generation and is not deployed"
            ));
        }
    }
}

/// A generation judges in one place, and does not count as former.
fn generations(state: &State, broken: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (zone, live) in state.generations.judging() {
        let number = live.generation.number();
        if !seen.insert(number) {
            broken.push(format!("generation {number} of zone `{zone}` judges twice"));
        }
        if state.generations.retired().has(number) {
            broken.push(format!(
                "generation {number} of zone `{zone}` is remembered as gone"
            ));
        }
    }
}

/// A live link runs its zone's program, or that of a change that could not be undone there.
fn links(state: &State, broken: &mut Vec<String>) {
    for (zone, link) in state.interfaces.links() {
        let mut judging = state
            .generations
            .judging()
            .filter(|(name, _)| *name == zone);
        let is_known = judging.any(|(_, live)| live.generation.program_id() == link.program);
        if !is_known && link.is_alive() {
            broken.push(format!(
                "interface `{}` of zone `{zone}` runs program {}, which is no generation's",
                link.interface(),
                link.program
            ));
        }
    }
    for (name, record) in state.interfaces.records() {
        if let AttachedState::Attached { link, .. } = &record.attached
            && link.interface() != name
        {
            let other = link.interface();
            broken.push(format!("interface `{name}` has the link of `{other}`"));
        }
    }
}

/// The store has the same revision, trial and generations.
fn recorded(state: &State, store: &Store, broken: &mut Vec<String>) -> Result<(), StoreError> {
    let revision = store.deployed_revision()?.map_or(0, |found| found.number);
    if revision != state.rulesets.revision() {
        let ours = state.rulesets.revision();
        broken.push(format!(
            "revision {ours} is deployed, and {revision} in the store"
        ));
    }
    let trial = store.confirmation()?;
    let trial = trial.filter(|trial| trial.revision == revision);
    let trial = trial.map(|trial| trial.revision);
    let ours = state.rulesets.confirmation().map(|trial| trial.revision);
    if trial != ours {
        broken.push(format!(
            "{ours:?} awaits confirmation, and {trial:?} in the store"
        ));
    }
    let open = store.open_generations()?.into_iter();
    let live: BTreeMap<_, _> = open
        .filter(|generation| generation.state == GenerationState::Live)
        .map(|generation| (generation.zone, generation.number))
        .collect();
    let ours: BTreeMap<_, _> = state
        .generations
        .zones()
        .iter()
        .map(|(zone, live)| (zone.clone(), live.generation.number()))
        .collect();
    if live != ours {
        broken.push(format!(
            "generations {ours:?} are in force, and {live:?} in the store"
        ));
    }
    Ok(())
}
