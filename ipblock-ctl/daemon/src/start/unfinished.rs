//! Changes that a daemon left unfinished when it died: finished if they had reached a link, undone
//! otherwise.
//!
//! A deploy records its generations before the first link is switched and commits after the last
//! one. So generations in state `built` mean that it was interrupted, and the links show its
//! progress. Its success was never reported.

use std::{collections::BTreeMap, sync::Arc};

use ipblock_datapath::{Generation, clock::Now};
use ipblock_policy::Ruleset;
use ipblock_store::{
    self, Deploy, FinalCounts, GenerationCounts, GenerationState, RevisionState, Switch,
};
use tracing::{info, warn};

use crate::{
    changing::Changing,
    generations::{
        counts::per_rule,
        fresh::Fresh,
        switch::{Change, Judge},
    },
    start::{error::StartError, examine::programs_on_links},
    state::Service,
};

/// Interrupted changes that had reached a link: built generations by revision.
pub(crate) type Unfinished = BTreeMap<u64, Vec<ipblock_store::Generation>>;

impl Service {
    /// Undoes interrupted changes that reached no link and returns the others.
    pub(crate) fn undo_what_reached_no_link(
        &self,
        pinned: &mut BTreeMap<u64, Generation>,
    ) -> Result<Unfinished, StartError> {
        let running = programs_on_links(&self.pins)?;
        let mut built = Unfinished::new();
        for generation in self.store.open_generations()? {
            if generation.state == GenerationState::Built {
                built
                    .entry(generation.revision)
                    .or_default()
                    .push(generation);
            }
        }
        let reached_a_link = |generations: &[ipblock_store::Generation]| {
            let mut pinned = generations
                .iter()
                .filter_map(|built| pinned.get(&built.number));
            pinned.any(|generation| running.contains(&generation.program_id()))
        };
        let (unfinished, undone): (Unfinished, Unfinished) = built
            .into_iter()
            .partition(|(_, generations)| reached_a_link(generations));
        for generation in undone.values().flatten() {
            info!(
                generation = generation.number,
                "undoing an interrupted change"
            );
            self.fold_interrupted(generation, pinned.remove(&generation.number))?;
        }
        for revision in self.store.prepared_revisions()? {
            if !unfinished.contains_key(&revision.number) {
                self.store.discard_prepared(revision.number)?;
            }
        }
        Ok(unfinished)
    }

    /// Keeps the counts of a generation that was on links and was detached again.
    fn fold_interrupted(
        &self,
        recorded: &ipblock_store::Generation,
        pinned: Option<Generation>,
    ) -> Result<(), StartError> {
        let counts = match pinned {
            Some(generation) => {
                let classes = self.store.generation_classes(recorded.number)?;
                per_rule(&classes, &generation.counts()?, &Now::read())
            }
            None => GenerationCounts::default(),
        };
        self.store.commit_switch(&Switch::retiring(FinalCounts {
            generation: recorded.number,
            counts,
        }))?;
        self.unpin(recorded.number);
        Ok(())
    }

    /// Finishes interrupted changes: the links with the old generation get the new one, and the
    /// change is recorded.
    pub(crate) fn finish(
        &self,
        changing: &Changing<'_>,
        unfinished: Unfinished,
        pinned: &mut BTreeMap<u64, Generation>,
    ) -> Result<(), StartError> {
        for (revision, generations) in unfinished {
            info!(revision, "finishing an interrupted change");
            let current = self.read().rulesets.revision();
            let deploy = if revision == current {
                None
            } else {
                Some((revision, Arc::new(self.revision_ruleset(revision)?)))
            };
            let ruleset = match &deploy {
                Some((_, ruleset)) => Arc::clone(ruleset),
                None => Arc::clone(self.read().rulesets.deployed()),
            };
            let mut fresh = BTreeMap::new();
            for recorded in generations {
                let live = match pinned.remove(&recorded.number) {
                    Some(generation) => {
                        Fresh::adopted(self.live_zone(generation, &recorded, &ruleset)?)
                    }
                    None => self.build_again(changing, &recorded, &ruleset)?,
                };
                fresh.insert(recorded.zone, live);
            }
            let (gone, is_staged) = {
                let state = self.read();
                let zones = state.generations.zones().keys();
                let gone = zones.filter(|name| ruleset.zone(name).is_none());
                let staged = state.rulesets.staged();
                let is_staged = staged.is_some_and(|set| set.ruleset == ruleset);
                (gone.cloned().collect(), is_staged)
            };
            let change = Change {
                fresh,
                gone,
                deploy: match deploy {
                    Some((revision, ruleset)) => Some((self.interrupted(revision)?, ruleset)),
                    None => None,
                },
                clear_staged: is_staged,
            };
            // No ban was made since it was judged, because no daemon was running.
            self.put_in_force(changing, change, &Judge::DropsNothingNew)?;
        }
        Ok(())
    }

    /// Returns the interrupted deploy. If its revision was not new, it was a rollback.
    fn interrupted(&self, revision: u64) -> Result<Deploy, StartError> {
        let recorded = self.store.revision(revision)?;
        let is_new = recorded.is_some_and(|found| found.state == RevisionState::Prepared);
        let trial = self.store.confirmation()?;
        Ok(Deploy {
            revision,
            trial: trial
                .filter(|trial| trial.revision == revision)
                .map(|trial| trial.trial),
            previous: if is_new {
                RevisionState::Superseded
            } else {
                RevisionState::RolledBack
            },
        })
    }

    /// Rebuilds a generation whose pins are missing or damaged, with another number.
    fn build_again(
        &self,
        changing: &Changing<'_>,
        recorded: &ipblock_store::Generation,
        ruleset: &Arc<Ruleset>,
    ) -> Result<Fresh<'_>, StartError> {
        warn!(
            generation = recorded.number,
            "its pins are gone: building it again"
        );
        let live = self.build_for(changing, ruleset, &recorded.zone, recorded.revision)?;
        self.store.discard_built(recorded.number)?;
        Ok(live)
    }
}
