//! Deploy: fetch what is to be, compute the plan, execute it.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    guard::Caller,
    plan::{Plan, ZoneStep},
    state::{LiveZone, Service, to_stored},
    switch::Change,
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{Applied, ApplyRequest, DeployRequest, Deployed, Diff},
    },
    policy::{Ruleset, ZoneName, document},
    store::{Author, Deploy, NewRevision, RevisionState},
};

/// Longest comment of a revision, in bytes.
const MAX_COMMENT: usize = 1024;

impl Service {
    /// What deploying the staged edits would change.
    pub fn diff(&self, caller: &Caller) -> Result<Diff, ApiError> {
        let state = self.read();
        let (before, after) = (Arc::clone(&state.deployed), Arc::clone(state.edited()));
        drop(state);
        let plan = Plan::compute(before, after, Timestamp::now())?;
        let mut diff = plan.to_diff();
        self.show_cut(&plan, Some(caller), &mut diff);
        Ok(diff)
    }

    /// Deploys the staged edits.
    pub fn deploy(&self, request: &DeployRequest, caller: &Caller) -> Result<Deployed, ApiError> {
        let _change = self.begin_change();
        let (before, staged, revision) = {
            let state = self.read();
            (
                Arc::clone(&state.deployed),
                state.staged.clone(),
                state.revision,
            )
        };
        let Some(staged) = staged else {
            return Ok(nothing_to_do(revision, &before));
        };
        if staged.base != revision {
            let message = format!(
                "the staged edits started from revision {}, and revision {revision} is deployed",
                staged.base
            );
            return Err(ApiError::new(ErrorKind::Conflict, message).with_hint(
                "`ipblock-ctl diff` shows both; `ipblock-ctl discard` drops the edits",
            ));
        }
        let plan = Plan::compute(Arc::clone(&before), staged.ruleset, Timestamp::now())?;
        if !plan.changes_anything() {
            self.store.clear_staged()?;
            self.write().staged = None;
            return Ok(nothing_to_do(revision, &before));
        }
        let warnings = self.guard_plan(&plan, Some(caller), request.force)?;
        let mut deployed = self.execute(&plan, &caller.author, &request.comment, true)?;
        deployed.warnings = warnings;
        Ok(deployed)
    }

    /// Makes a ruleset file the deployed one, or says what that would change.
    pub fn apply(&self, request: &ApplyRequest, caller: &Caller) -> Result<Applied, ApiError> {
        let _change = self.begin_change();
        let (before, staged, revision) = {
            let state = self.read();
            (
                Arc::clone(&state.deployed),
                state.staged.is_some(),
                state.revision,
            )
        };
        if staged && !request.dry_run {
            return Err(
                ApiError::new(ErrorKind::Conflict, "other edits are staged").with_hint(
                    "`ipblock-ctl diff` shows them; `ipblock-ctl deploy` or `ipblock-ctl discard` \
                     them first",
                ),
            );
        }
        let mut after = document::parse(&request.ruleset, &request.file, request.force)?;
        take_identities(&mut after, &before);
        // A dry run uses no identities up.
        if !request.dry_run {
            self.identify(&mut after)?;
        }
        let plan = Plan::compute(Arc::clone(&before), Arc::new(after), Timestamp::now())?;
        let mut diff = plan.to_diff();
        self.show_cut(&plan, request.dry_run.then_some(caller), &mut diff);
        if !plan.changes_anything() {
            return Ok(Applied {
                diff,
                changed: false,
                deployed: (!request.dry_run).then(|| nothing_to_do(revision, &before)),
            });
        }
        if request.dry_run {
            return Ok(Applied {
                diff,
                changed: true,
                deployed: None,
            });
        }
        let warnings = self.guard_plan(&plan, Some(caller), request.force)?;
        let mut deployed = self.execute(&plan, &caller.author, &request.comment, false)?;
        deployed.warnings = warnings;
        Ok(Applied {
            diff,
            changed: true,
            deployed: Some(deployed),
        })
    }

    /// Carries a plan out: builds what is new, records it, puts it in force.
    fn execute(
        &self,
        plan: &Plan,
        author: &Author,
        comment: &str,
        clear_staged: bool,
    ) -> Result<Deployed, ApiError> {
        require_short(comment)?;
        self.require_zones_of_interfaces(&plan.before, &plan.after)?;
        let started = Instant::now();
        let mut fresh = BTreeMap::new();
        let mut gone = Vec::new();
        let prepared = self.prepare(plan, author, comment, &mut fresh, &mut gone);
        let revision = match prepared {
            Ok(revision) => revision,
            Err(error) => {
                for live in fresh.values() {
                    self.unpin(live.generation.number());
                }
                return Err(error);
            }
        };
        let build_ms = milliseconds(started);

        let started = Instant::now();
        let deploy = Deploy {
            revision,
            state: RevisionState::Deployed,
            previous: RevisionState::Superseded,
        };
        let put = self.put_in_force(Change {
            fresh,
            gone,
            deploy: Some((deploy, Arc::clone(&plan.after))),
            clear_staged,
        });
        if let Err(error) = put {
            self.forget(revision);
            return Err(error);
        }
        let deployed = Deployed {
            revision,
            changed: true,
            rules: plan.after.rules.len() as u64,
            entries: plan.entries_after(),
            build_ms,
            switch_ms: milliseconds(started),
            warnings: Vec::new(),
        };
        info!(
            revision,
            author = %author.name,
            uid = author.uid,
            rules = deployed.rules,
            entries = deployed.entries,
            build_ms,
            switch_ms = deployed.switch_ms,
            comment,
            "deployed"
        );
        self.audit(author, "deploy", &format!("revision {revision}: {comment}"));
        Ok(deployed)
    }

    /// Builds what is new into `fresh` and records it under a new, prepared revision.
    fn prepare(
        &self,
        plan: &Plan,
        author: &Author,
        comment: &str,
        fresh: &mut BTreeMap<ZoneName, LiveZone>,
        gone: &mut Vec<ZoneName>,
    ) -> Result<u64, ApiError> {
        let mut compiled = Vec::new();
        for (name, step) in plan.steps(&self.read()) {
            match step {
                ZoneStep::Keep => {}
                ZoneStep::Remove => gone.push(name.clone()),
                ZoneStep::Build(zone) => compiled.push((name, zone)),
            }
        }
        for (name, zone) in &compiled {
            fresh.insert((*name).clone(), self.build(zone)?);
        }
        let revision = self.store.insert_revision(&NewRevision {
            time: Timestamp::now(),
            author: author.clone(),
            comment: comment.to_owned(),
            ruleset: &to_stored(&plan.after),
            rules: plan.after.rules.len() as u64,
            entries: plan.entries_after(),
            state: RevisionState::Prepared,
        })?;
        for (name, zone) in compiled {
            if let Some(live) = fresh.get(name)
                && let Err(error) = self.record_built(name, live, zone, revision)
            {
                self.forget(revision);
                return Err(error);
            }
        }
        Ok(revision)
    }

    /// Forgets a revision that did not come into force. What stays is cleared at the next start.
    fn forget(&self, revision: u64) {
        let open = self.store.open_generations();
        // A generation that counted and is not folded still needs its row.
        let counted = open.is_ok_and(|open| open.iter().any(|built| built.revision == revision));
        if counted {
            return;
        }
        if let Err(error) = self.store.discard_prepared(revision) {
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

/// In an applied file the same name is the same rule.
fn take_identities(after: &mut Ruleset, before: &Ruleset) {
    let known: BTreeMap<_, _> = before
        .rules
        .iter()
        .map(|rule| (&rule.name, rule.id))
        .collect();
    for rule in &mut after.rules {
        if let Some(id) = known.get(&rule.name) {
            rule.id = *id;
        }
    }
}

fn nothing_to_do(revision: u64, deployed: &Ruleset) -> Deployed {
    Deployed {
        revision,
        changed: false,
        rules: deployed.rules.len() as u64,
        entries: 0,
        build_ms: 0,
        switch_ms: 0,
        warnings: Vec::new(),
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
