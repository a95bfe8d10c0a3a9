//! Earlier revisions and rollback: on request, or for lack of a confirmation.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{
        Applied, AuditInfo, AuditQuery, Confirmed, Deployed, HistoryEntry,
        RevisionState as ApiState, RollbackRequest,
    },
};
use ipblock_datapath::clock::Now;
use ipblock_policy::{Ruleset, address::parse_prefixes};
use ipblock_store::{AuditMatch, Author, Confirmation, Revision, RevisionState};
use serde::Serialize;
use tracing::{error, info};

use crate::{
    answers::{Array, Refusal, Sink},
    caller::Caller,
    changes::{
        asked::Asked,
        deploy::nothing_to_do,
        execute::{Order, Target},
        plan::Plan,
    },
    changing::Changing,
    connections::Room,
    end_times,
    rulesets::{Snapshot, stored_ruleset},
    state::Service,
};

/// Memory of a thousand revisions in bytes, including their comments.
const HISTORY_ROOM: usize = 2 << 20;
/// Entries of the audit trail per read: a detail may have 4 KiB.
const AUDIT_PAGE: u32 = 64;

/// Returns the answer about a revision, unless it is still being deployed.
pub(crate) fn history_entry(revision: Revision) -> Option<HistoryEntry> {
    Some(HistoryEntry {
        revision: revision.number,
        time: revision.time,
        author: revision.author.to_string(),
        comment: revision.comment,
        rules: revision.rules,
        entries: revision.entries,
        state: match revision.state {
            RevisionState::Prepared => return None,
            RevisionState::Deployed => ApiState::Deployed,
            RevisionState::AwaitingConfirmation => ApiState::AwaitingConfirmation,
            RevisionState::Superseded => ApiState::Superseded,
            RevisionState::RolledBack => ApiState::RolledBack,
        },
    })
}

impl Service {
    /// Returns every kept revision, newest first.
    pub(crate) fn history(&self, room: &mut Room) -> Result<Vec<HistoryEntry>, Refusal> {
        room.need(HISTORY_ROOM)?;
        // Not in the middle of a switch, when links and store differ.
        let _state = self.read();
        let revisions = self.store.revisions()?.into_iter();
        let entries = revisions.filter_map(history_entry);
        let entries: Vec<_> = entries.collect();
        room.keep(entries.len() * HISTORY_ROOM / 1_000);
        Ok(entries)
    }

    /// Returns the newest entries of the audit trail, newest first, read page by page: all, or
    /// those with an address.
    pub(crate) fn audit_trail(
        self: &Arc<Self>,
        query: &AuditQuery,
    ) -> Result<impl Serialize + use<>, ApiError> {
        let wanted = query.address.as_deref().map(parse_prefixes).transpose()?;
        let (service, limit) = (Arc::clone(self), query.limit);
        Ok(Array::new(move |sink: Sink<'_, AuditInfo>| {
            let (mut before, mut left) = (None, limit);
            while left > 0 {
                let page = match &wanted {
                    None => service.store.audit_page(before, left.min(AUDIT_PAGE))?,
                    Some(wanted) => service.store.audit_about(wanted, before, AUDIT_PAGE)?,
                };
                let Some(last) = page.last else { break };
                before = Some(last);
                for AuditMatch { entry, prefixes } in page.entries.into_iter().take(left as usize) {
                    left -= 1;
                    let shown = AuditInfo {
                        time: entry.time,
                        author: entry.author.to_string(),
                        what: entry.what,
                        detail: entry.detail,
                        prefixes,
                    };
                    if sink(shown).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        }))
    }

    /// Puts the ruleset of an earlier revision in force again, or returns what that would change.
    pub fn rollback(
        &self,
        request: &RollbackRequest,
        caller: &Caller,
    ) -> Result<Applied, ApiError> {
        let changing = &self.begin_change();
        let Snapshot {
            revision: current,
            deployed: before,
            ..
        } = self.rulesets();
        let after = Arc::new(self.revision_ruleset(request.revision)?);
        let plan = self.plan(Arc::clone(&before), after)?;
        let mut diff = plan.to_diff();
        self.show_cut(&plan, Some(caller).filter(|_| request.dry_run), &mut diff);
        if request.revision == current {
            return Ok(Applied {
                diff,
                changed: false,
                deployed: (!request.dry_run).then(|| nothing_to_do(current, &before)),
                restored: None,
            });
        }
        let asked = Asked {
            wide: request.wide,
            force: request.force,
        };
        let deployed = if request.dry_run {
            self.show_amount(&plan, None, &mut diff);
            None
        } else {
            Some(self.go_back(changing, &plan, request.revision, Some(caller), asked)?)
        };
        Ok(Applied {
            diff,
            changed: true,
            deployed,
            restored: None,
        })
    }

    fn go_back(
        &self,
        changing: &Changing<'_>,
        plan: &Plan,
        revision: u64,
        caller: Option<&Caller>,
        asked: Asked,
    ) -> Result<Deployed, ApiError> {
        let deployed = self.execute(
            changing,
            &Order {
                plan,
                target: Target::Back(revision),
                caller,
                asked,
                clear_staged: false,
            },
        )?;
        self.doubt_lists(&plan.before, &plan.after);
        self.rebase_staged_if_possible(changing);
        Ok(deployed)
    }

    /// Confirms the deployed revision.
    pub fn confirm(&self, author: &Author) -> Result<Confirmed, ApiError> {
        let changing = &self.begin_change();
        let (trial, revision) = {
            let rulesets = &self.read().rulesets;
            (rulesets.confirmation().cloned(), rulesets.revision())
        };
        let Some(trial) = trial else {
            let message = format!("nothing awaits confirmation: revision {revision} is deployed");
            return Err(ApiError::new(ErrorKind::Conflict, message).with_hint(
                "`ipblock-ctl history` tells what became of a revision that was not confirmed in \
                 time",
            ));
        };
        self.store.confirm(trial.revision)?;
        self.write().rulesets.confirm(changing);
        info!(revision, author = %author.name, uid = author.uid, "confirmed");
        self.audit(author, "confirm", &format!("revision {revision}"));
        Ok(Confirmed {
            revision,
            confirmed: true,
        })
    }

    /// Refuses a deploy while another one awaits confirmation, because the target of the rollback
    /// would be ambiguous.
    pub(crate) fn require_confirmed(&self) -> Result<(), ApiError> {
        let state = self.read();
        let Some(trial) = state.rulesets.confirmation() else {
            return Ok(());
        };
        let message = format!(
            "revision {} awaits confirmation until {:.0}",
            trial.revision,
            end_times::displayed(&trial.trial.end, &Now::read())
        );
        let hint = format!(
            "`ipblock-ctl confirm` keeps it, `ipblock-ctl rollback {}` goes back now",
            trial.trial.previous
        );
        Err(ApiError::new(ErrorKind::Conflict, message).with_hint(hint))
    }

    /// Rolls the deployed revision back if its confirmation deadline is over. Called every second;
    /// repeats what fails.
    pub fn roll_back_unconfirmed(&self) {
        let is_over = |trial: &Confirmation| {
            let now = Now::read();
            end_times::deadline_ns(&trial.trial.end, &now) <= now.boot_ns
        };
        if !self.read().rulesets.confirmation().is_some_and(is_over) {
            return;
        }
        let changing = &self.begin_change();
        // It may have been confirmed during the wait.
        let Some(trial) = self.read().rulesets.confirmation().cloned().filter(is_over) else {
            return;
        };
        if let Err(error) = self.go_back_unconfirmed(changing, &trial) {
            let problem = format!(
                "revision {} was not confirmed, and going back to revision {} failed: {error}",
                trial.revision, trial.trial.previous
            );
            let mut state = self.write();
            if state.rulesets.keep_trial_problem(changing, &problem) {
                error!("{problem}");
            }
        }
    }

    fn go_back_unconfirmed(
        &self,
        changing: &Changing<'_>,
        trial: &Confirmation,
    ) -> Result<(), ApiError> {
        let previous = trial.trial.previous;
        info!(
            revision = trial.revision,
            previous, "not confirmed in time: going back"
        );
        let before = Arc::clone(self.read().rulesets.deployed());
        let after = Arc::new(self.revision_ruleset(previous)?);
        let plan = self.plan(before, after)?;
        // The warnings were shown before that revision was deployed, and no operator can be asked now.
        let asked = Asked {
            wide: true,
            force: true,
        };
        self.go_back(changing, &plan, previous, None, asked)?;
        Ok(())
    }

    /// Returns the ruleset of a kept revision; revision 0 is the empty one.
    pub(crate) fn revision_ruleset(&self, revision: u64) -> Result<Ruleset, ApiError> {
        stored_ruleset(&self.store, revision)
    }
}
