//! The rulesets: what is deployed, what is being edited, and what comes back unless somebody confirms.
//!
//! Everybody may read them; only a change changes them.

mod rebase;
mod rule_durations;
mod staging;
mod stored_edit;
mod wall_clock;

use std::sync::Arc;

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_datapath::clock::Now;
use ipblock_policy::{RuleId, Ruleset, document};
use ipblock_store::{Confirmation, Deploy, End, Store, StoredRuleset};

use crate::{changing::Changing, end_times, rulesets::rule_durations::Durations};

/// Which rulesets there are.
pub(crate) struct Rulesets {
    /// The deployed revision; 0 before the first deploy.
    revision: u64,
    deployed: Arc<Ruleset>,
    staged: Option<StagedSet>,
    /// Set while the deployed revision awaits confirmation.
    trial: Option<OnTrial>,
    /// Ends of rules that were given as durations.
    durations: Durations,
    /// How far the wall clock was from the boot clock when the deadlines of rules were computed, in
    /// nanoseconds.
    wall_offset: i128,
}

/// The deployed revision while it awaits confirmation.
struct OnTrial {
    confirmation: Confirmation,
    /// The ruleset that comes back. `None` where the store cannot read it.
    previous: Option<Arc<Ruleset>>,
    /// Why it is still in force although its time is over.
    problem: Option<String>,
}

/// The staged ruleset.
#[derive(Clone, Debug)]
pub(crate) struct StagedSet {
    pub(crate) ruleset: Arc<Ruleset>,
    /// The revision that the edits started from.
    pub(crate) base: u64,
    /// The number of edits.
    pub(crate) edits: u64,
}

/// What is deployed and what is staged at one moment.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) deployed: Arc<Ruleset>,
    pub(crate) staged: Option<StagedSet>,
}

impl Rulesets {
    /// What the store has.
    pub(crate) fn load(store: &Store) -> Result<Self, ApiError> {
        let revision = store
            .deployed_revision()?
            .map_or(0, |revision| revision.number);
        let deployed = stored_ruleset(store, revision)?;
        let staged = match store.staged()? {
            Some(staged) => Some(StagedSet {
                ruleset: Arc::new(from_stored(&staged.ruleset)?),
                base: staged.base,
                edits: staged.edits,
            }),
            None => None,
        };
        // One of another revision was prepared and has not reached a link, or its finishing tells.
        let confirmation = store
            .confirmation()?
            .filter(|trial| trial.revision == revision);
        let trial = confirmation.map(|confirmation| OnTrial {
            previous: previous_ruleset(store, confirmation.trial.previous),
            confirmation,
            problem: None,
        });
        Ok(Self {
            revision,
            deployed: Arc::new(deployed),
            staged,
            trial,
            durations: Durations(store.rule_durations()?),
            wall_offset: end_times::wall_offset(&Now::read()),
        })
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn deployed(&self) -> &Arc<Ruleset> {
        &self.deployed
    }

    pub(crate) fn staged(&self) -> Option<&StagedSet> {
        self.staged.as_ref()
    }

    /// The number of staged edits.
    pub(crate) fn staged_edits(&self) -> u64 {
        self.staged.as_ref().map_or(0, |staged| staged.edits)
    }

    /// The ruleset with staged edits applied.
    pub(crate) fn edited(&self) -> &Arc<Ruleset> {
        match &self.staged {
            Some(staged) => &staged.ruleset,
            None => &self.deployed,
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            deployed: Arc::clone(&self.deployed),
            staged: self.staged.clone(),
        }
    }

    /// Whether edits that lead to this ruleset, from what is deployed now, change nothing.
    pub(crate) fn is_as_deployed(&self, edited: &Ruleset) -> bool {
        let staged = self.staged.as_ref();
        staged.is_some_and(|staged| staged.base == self.revision) && *self.deployed == *edited
    }

    /// What the deployed revision awaits.
    pub(crate) fn confirmation(&self) -> Option<&Confirmation> {
        self.trial.as_ref().map(|trial| &trial.confirmation)
    }

    /// The ruleset that comes back unless the revision is confirmed that is given beside it.
    pub(crate) fn comes_back(&self) -> Option<(u64, &Ruleset)> {
        let trial = self.trial.as_ref()?;
        Some((trial.confirmation.revision, trial.previous.as_deref()?))
    }

    /// Why a revision that nobody confirmed is still in force although its time is over.
    pub(crate) fn trial_problem(&self) -> Option<&String> {
        self.trial.as_ref()?.problem.as_ref()
    }

    /// A ruleset with each end where it is on the wall clock as it goes now.
    pub(crate) fn as_of(&self, ruleset: &Arc<Ruleset>, now: &Now) -> Arc<Ruleset> {
        self.durations.as_of(ruleset, now)
    }

    /// Whether an end was given as a duration.
    pub(crate) fn has_durations(&self) -> bool {
        !self.durations.0.is_empty()
    }

    pub(crate) fn wall_offset(&self) -> i128 {
        self.wall_offset
    }

    /// Stages a ruleset, with the ends that its edits gave as durations.
    pub(crate) fn stage(&mut self, _: &Changing<'_>, staged: StagedSet, ends: Vec<(RuleId, End)>) {
        self.durations.0.extend(ends);
        self.staged = Some(staged);
    }

    /// Forgets what is staged.
    pub(crate) fn unstage(&mut self, _: &Changing<'_>) {
        self.staged = None;
    }

    /// Others take the place of all of them, as a restore has it.
    pub(crate) fn replace(&mut self, _: &Changing<'_>, others: Self) {
        *self = others;
    }

    /// Takes up what was put in force.
    pub(crate) fn deploy(&mut self, _: &Changing<'_>, deploy: Deploy, ruleset: Arc<Ruleset>) {
        self.revision = deploy.revision;
        let before = std::mem::replace(&mut self.deployed, ruleset);
        self.trial = deploy.trial.map(|trial| OnTrial {
            confirmation: Confirmation {
                revision: deploy.revision,
                trial,
            },
            previous: Some(before),
            problem: None,
        });
    }

    /// The deployed revision stays.
    pub(crate) fn confirm(&mut self, _: &Changing<'_>) {
        self.trial = None;
    }

    /// Keeps why nothing came back; whether it was another reason before.
    pub(crate) fn keep_trial_problem(&mut self, _: &Changing<'_>, problem: &str) -> bool {
        let Some(trial) = &mut self.trial else {
            return true;
        };
        let before = trial.problem.replace(problem.to_owned());
        before.as_deref() != Some(problem)
    }

    pub(crate) fn set_durations(&mut self, _: &Changing<'_>, durations: Durations) {
        self.durations = durations;
    }

    pub(crate) fn set_wall_offset(&mut self, _: &Changing<'_>, offset: i128) {
        self.wall_offset = offset;
    }
}

/// The ruleset that comes back. Damage is reported when it is to come back, and keeps no daemon from
/// starting.
fn previous_ruleset(store: &Store, revision: u64) -> Option<Arc<Ruleset>> {
    if revision == 0 {
        return Some(Arc::default());
    }
    let stored = store.ruleset(revision).ok()?;
    from_stored(&stored).ok().map(Arc::new)
}

/// The form in which the store keeps a ruleset.
pub(crate) fn to_stored(ruleset: &Ruleset) -> StoredRuleset {
    StoredRuleset {
        toml: document::print(ruleset),
        ids: ruleset
            .rules
            .iter()
            .map(|rule| (rule.name.clone(), rule.id))
            .collect(),
    }
}

/// The ruleset of a revision; 0: none, as before the first deploy.
pub(crate) fn stored_ruleset(store: &Store, revision: u64) -> Result<Ruleset, ApiError> {
    match revision {
        0 => Ok(Ruleset::default()),
        number => from_stored(&store.ruleset(number)?),
    }
}

/// A ruleset as the store has kept it.
fn from_stored(stored: &StoredRuleset) -> Result<Ruleset, ApiError> {
    // What was once accepted with --force is accepted again.
    let mut ruleset = document::parse(&stored.toml, "the state store", true)?;
    for rule in &mut ruleset.rules {
        rule.id = *stored.ids.get(&rule.name).ok_or_else(|| {
            let message = format!("the state store knows no identity of rule `{}`", rule.name);
            ApiError::new(ErrorKind::Failed, message)
                .with_hint("restore the state directory from a backup")
        })?;
    }
    Ok(ruleset)
}
