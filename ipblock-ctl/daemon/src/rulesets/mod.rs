//! The rulesets: the deployed one, the staged one, and the one for a pending rollback.
//!
//! All code may read them; only a change modifies them.

mod edited_rules;
pub(crate) mod parts;
pub(crate) mod rebase;
mod rule_durations;
mod staging;
mod stored_edit;
mod wall_clock;

use std::sync::Arc;

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_datapath::clock::Now;
use ipblock_policy::{RuleId, Ruleset, document};
use ipblock_store::{Confirmation, Deploy, End, Store, StoredRuleset};
use jiff::Timestamp;

use crate::{changing::Changing, end_times, rulesets::rule_durations::Durations};

/// The state of all rulesets.
pub(crate) struct Rulesets {
    /// The deployed revision; 0 before the first deploy.
    revision: u64,
    deployed: Arc<Ruleset>,
    staged: Option<StagedSet>,
    /// Set while the deployed revision awaits confirmation.
    trial: Option<OnTrial>,
    /// Ends of rules that were given as durations.
    durations: Durations,
    /// Difference between wall clock and boot clock in nanoseconds, when the deadlines of rules
    /// were computed.
    wall_offset: i128,
}

/// The deployed revision while it awaits confirmation.
struct OnTrial {
    confirmation: Confirmation,
    /// The ruleset of the rollback. `None` if the store cannot read it.
    previous: Option<Arc<Ruleset>>,
    /// Why it is still in force after its deadline.
    problem: Option<String>,
}

/// The staged ruleset.
#[derive(Clone, Debug)]
pub(crate) struct StagedSet {
    pub(crate) ruleset: Arc<Ruleset>,
    /// The revision that the edits are based on.
    pub(crate) base: u64,
    /// The number of edits.
    pub(crate) edits: u64,
    /// How to discard what the last request staged.
    pub(crate) undo: Option<Arc<Undo>>,
}

/// What was staged before the last request.
#[derive(Debug)]
pub(crate) struct Undo {
    /// Identifies the request.
    pub(crate) number: u64,
    pub(crate) before: Option<StagedSet>,
}

/// The deployed and the staged ruleset at one moment.
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) deployed: Arc<Ruleset>,
    pub(crate) staged: Option<StagedSet>,
}

impl Undo {
    /// Returns how to go back to what is staged before a request.
    fn to(before: Option<StagedSet>) -> Self {
        Self {
            // Requests follow one another, so each has another microsecond.
            number: u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default(),
            before: before.map(|staged| StagedSet {
                undo: None,
                ..staged
            }),
        }
    }
}

impl Rulesets {
    /// Returns the state in the store.
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
                undo: None,
            }),
            None => None,
        };
        // A confirmation of another revision was prepared and has not reached a link, or the end of
        // its deploy reports it.
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

    /// Returns the number of staged edits.
    pub(crate) fn staged_edits(&self) -> u64 {
        self.staged.as_ref().map_or(0, |staged| staged.edits)
    }

    /// Returns the ruleset with staged edits applied.
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

    /// Whether this ruleset equals the deployed one.
    pub(crate) fn is_as_deployed(&self, edited: &Ruleset) -> bool {
        let staged = self.staged.as_ref();
        staged.is_some_and(|staged| staged.base == self.revision) && *self.deployed == *edited
    }

    /// Returns the pending confirmation of the deployed revision.
    pub(crate) fn confirmation(&self) -> Option<&Confirmation> {
        self.trial.as_ref().map(|trial| &trial.confirmation)
    }

    /// Returns the ruleset of a pending rollback, and the revision that must be confirmed to
    /// prevent it.
    pub(crate) fn comes_back(&self) -> Option<(u64, &Ruleset)> {
        let trial = self.trial.as_ref()?;
        Some((trial.confirmation.revision, trial.previous.as_deref()?))
    }

    /// Returns why an unconfirmed revision is still in force after its deadline.
    pub(crate) fn trial_problem(&self) -> Option<&String> {
        self.trial.as_ref()?.problem.as_ref()
    }

    /// Returns a ruleset with each end in present wall time.
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

    /// Forgets the staged ruleset.
    pub(crate) fn unstage(&mut self, _: &Changing<'_>) {
        self.staged = None;
    }

    /// Others take the place of all of them, as a restore has it.
    pub(crate) fn replace(&mut self, _: &Changing<'_>, others: Self) {
        *self = others;
    }

    /// Records what was put in force.
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

    /// Confirms the deployed revision.
    pub(crate) fn confirm(&mut self, _: &Changing<'_>) {
        self.trial = None;
    }

    /// Records why a rollback failed. Returns whether the previous reason was different.
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

/// Returns the ruleset of a pending rollback. Damage is reported at the rollback, and does not
/// prevent a start.
fn previous_ruleset(store: &Store, revision: u64) -> Option<Arc<Ruleset>> {
    if revision == 0 {
        return Some(Arc::default());
    }
    let stored = store.ruleset(revision).ok()?;
    from_stored(&stored).ok().map(Arc::new)
}

/// Converts a ruleset to its stored form.
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

/// Returns the ruleset of a revision; 0 means none, as before the first deploy.
pub(crate) fn stored_ruleset(store: &Store, revision: u64) -> Result<Ruleset, ApiError> {
    match revision {
        0 => Ok(Ruleset::default()),
        number => from_stored(&store.ruleset(number)?),
    }
}

/// Converts a ruleset from its stored form.
fn from_stored(stored: &StoredRuleset) -> Result<Ruleset, ApiError> {
    // A ruleset that was once accepted with --force is accepted again.
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
