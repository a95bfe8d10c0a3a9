//! Executes a plan: builds what is new, records it, puts it in force.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::Deployed,
};
use ipblock_datapath::clock::Now;
use ipblock_policy::ZoneName;
use ipblock_store::{Author, Deploy, GenerationState, NewRevision, RevisionState, Trial};
use jiff::Timestamp;
use tracing::{info, warn};

use crate::{
    caller::Caller,
    changes::{
        asked::Asked,
        plan::{Plan, ZoneStep},
    },
    changing::Changing,
    end_times,
    generations::{
        fresh::Fresh,
        switch::{Change, Judge},
    },
    guard::log_forced,
    rulesets::to_stored,
    state::Service,
};

/// Maximum length of a revision's comment in bytes.
const MAX_COMMENT: usize = 1024;

/// What to execute, and how it is recorded.
pub(crate) struct Order<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) target: Target<'a>,
    /// Who requested it; `None` means the daemon itself.
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) asked: Asked,
    /// Whether the staged set is deployed.
    pub(crate) clear_staged: bool,
}

impl Order<'_> {
    fn author(&self) -> Author {
        self.caller
            .map_or_else(Author::daemon, |caller| caller.author.clone())
    }
}

/// The revision in force afterwards.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    /// A new revision.
    New {
        comment: &'a str,
        /// Seconds until the rollback unless it is confirmed.
        confirm_within: Option<u64>,
    },
    /// A rollback to this revision; 0 is the state before the first deploy.
    Back(u64),
}

/// What was built for a revision.
#[derive(Default)]
struct Built<'a> {
    /// Its number, once it has one.
    revision: Option<u64>,
    fresh: BTreeMap<ZoneName, Fresh<'a>>,
    gone: Vec<ZoneName>,
}

impl Service {
    /// Executes an order, or leaves everything unchanged.
    pub(crate) fn execute(
        &self,
        changing: &Changing<'_>,
        order: &Order<'_>,
    ) -> Result<Deployed, ApiError> {
        let plan = order.plan;
        if let Target::New { comment, .. } = order.target {
            require_short(comment)?;
        }
        // The daemon itself removes zones only in a rollback, when it cannot ask anybody.
        if order.caller.is_some() {
            self.require_zones_of_interfaces(&plan.before, &plan.after)?;
        }
        // Refused before anything is built, if possible.
        let guarded = self.guarded(order.caller, order.asked.force)?;
        self.judge_beforehand(&guarded, plan, None)?;
        let much = self.require_asked(plan, None, order.asked)?;
        let started = Instant::now();
        let mut built = Built::default();
        let prepared = self
            .prepare(changing, order, &mut built)
            .and_then(|revision| {
                // Both checks are repeated: building may have taken part of the time, and there may
                // be new sessions.
                let guarded = self.guarded(order.caller, order.asked.force)?;
                Ok((revision, guarded, self.trial(order.target)?))
            });
        let (revision, guarded, trial) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => {
                let Built {
                    revision, fresh, ..
                } = built;
                drop(fresh);
                if let Some(revision) = revision {
                    self.forget(order.target, revision);
                }
                return Err(error);
            }
        };
        let build_ms = milliseconds(started);

        let started = Instant::now();
        let end = trial.as_ref().map(|trial| trial.end.wall);
        let confirm_deadline = end.map(end_times::to_millisecond);
        let deploy = Deploy {
            revision,
            trial,
            previous: match order.target {
                Target::New { .. } => RevisionState::Superseded,
                Target::Back(_) => RevisionState::RolledBack,
            },
        };
        let change = Change {
            fresh: built.fresh,
            gone: built.gone,
            deploy: Some((deploy, Arc::clone(&plan.after))),
            clear_staged: order.clear_staged,
        };
        let mut warnings = match self.put_in_force(changing, change, &Judge::Plan(plan, &guarded)) {
            Ok(forced) => forced,
            Err(error) => {
                self.forget(order.target, revision);
                return Err(error);
            }
        };
        log_forced(&warnings);
        warnings.extend(much);
        let deployed = Deployed {
            revision,
            changed: true,
            rules: plan.after.rules.len() as u64,
            entries: plan.entries_after(),
            build_ms,
            switch_ms: milliseconds(started),
            confirm_deadline,
            edits: Vec::new(),
            still_staged: None,
            warnings,
        };
        // The oldest revisions may have been deleted.
        self.reload_durations(changing);
        let is_new = matches!(order.target, Target::New { .. });
        self.record.deployed(&self.store, is_new, &deployed);
        self.tell(order, &deployed);
        Ok(deployed)
    }

    /// Logs what was put in force and adds it to the audit trail.
    fn tell(&self, order: &Order<'_>, deployed: &Deployed) {
        let author = order.author();
        let (what, comment, done) = match order.target {
            Target::New { comment, .. } => ("deploy", comment, "deployed"),
            Target::Back(_) => ("rollback", "", "rolled back"),
        };
        info!(
            revision = deployed.revision,
            author = %author.name,
            uid = author.uid,
            rules = deployed.rules,
            entries = deployed.entries,
            build_ms = deployed.build_ms,
            switch_ms = deployed.switch_ms,
            confirm_deadline = deployed.confirm_deadline.map(tracing::field::display),
            comment,
            "{done}"
        );
        let until = deployed
            .confirm_deadline
            .map(|deadline| format!(", to be confirmed until {deadline:.0}"));
        let comment = Some(comment).filter(|comment| !comment.is_empty());
        let comment = comment.map(|comment| format!(": {comment}"));
        let detail = format!(
            "revision {}{}{}",
            deployed.revision,
            until.unwrap_or_default(),
            comment.unwrap_or_default()
        );
        self.audit(&author, what, &detail);
    }

    /// Builds what is new and records it for its revision, which is prepared if it is new.
    fn prepare<'a>(
        &'a self,
        changing: &Changing<'_>,
        order: &Order<'_>,
        built: &mut Built<'a>,
    ) -> Result<u64, ApiError> {
        let plan = order.plan;
        let mut compiled = Vec::new();
        for (name, step) in plan.steps(&self.read()) {
            match step {
                ZoneStep::Keep => {}
                ZoneStep::Remove => built.gone.push(name.clone()),
                ZoneStep::Build(zone) => compiled.push((name, zone)),
            }
        }
        for (name, zone) in &compiled {
            built
                .fresh
                .insert((*name).clone(), self.build(changing, zone)?);
        }
        // The staged ruleset was stored when it was staged.
        let is_new = matches!(order.target, Target::New { .. }) && !order.clear_staged;
        let stored = is_new.then(|| to_stored(&plan.after));
        let revision = match order.target {
            Target::Back(revision) => revision,
            Target::New { comment, .. } => self.store.insert_revision(&NewRevision {
                time: Timestamp::now(),
                author: order.author(),
                comment: comment.to_owned(),
                ruleset: stored.as_ref(),
                rules: plan.after.rules.len() as u64,
                entries: plan.entries_after(),
                state: RevisionState::Prepared,
                trial: self.trial(order.target)?,
            })?,
        };
        built.revision = Some(revision);
        for (name, zone) in compiled {
            if let Some(fresh) = built.fresh.get(name) {
                fresh.record(&self.store, name, zone, revision)?;
            }
        }
        if order.caller.is_none() {
            self.take_off_without_zone(changing, &plan.before, &plan.after)?;
        }
        Ok(revision)
    }

    /// Returns the rollback of an unconfirmed revision, relative to now.
    fn trial(&self, target: Target<'_>) -> Result<Option<Trial>, ApiError> {
        let Target::New {
            confirm_within: Some(seconds),
            ..
        } = target
        else {
            return Ok(None);
        };
        let end = end_times::after(seconds, &Now::read()).ok_or_else(|| {
            let message = format!("{seconds} s to confirm are too many");
            ApiError::new(ErrorKind::Invalid, message).with_hint("write for example 60s or 5m")
        })?;
        Ok(Some(Trial {
            previous: self.read().rulesets.revision(),
            end,
        }))
    }

    /// Forgets the records of a revision that did not come into force. The next start removes the
    /// rest.
    fn forget(&self, target: Target<'_>, revision: u64) {
        // A generation that counted and is not folded is still pinned, and needs its row.
        let pinned = self.pins.generation_numbers().unwrap_or_default();
        let open = self.store.open_generations().unwrap_or_default();
        let counted = open.iter().any(|generation| {
            generation.revision == revision
                && generation.state == GenerationState::Built
                && pinned.contains(&generation.number)
        });
        if counted {
            return;
        }
        let forgotten = match target {
            Target::New { .. } => self.store.discard_prepared(revision),
            Target::Back(_) => self.store.discard_built_for(revision),
        };
        if let Err(error) = forgotten {
            warn!(revision, %error, "a revision that was not deployed stays recorded");
        }
    }
}

fn require_short(comment: &str) -> Result<(), ApiError> {
    if comment.len() <= MAX_COMMENT {
        return Ok(());
    }
    let message = format!("the comment has {} bytes", comment.len());
    Err(ApiError::new(ErrorKind::Invalid, message)
        .with_hint(format!("write at most {MAX_COMMENT}")))
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
