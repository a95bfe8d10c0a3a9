//! Staged edits after a change of the deployed revision: they are applied to the new one, or become
//! a conflict that shows both sides. No staged edit is ever lost.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{ConflictInfo, Diff, EntryChange, StagedEditInfo},
};
use ipblock_policy::{
    Rule, Ruleset,
    diff::diff,
    edit,
    patch::{Patch, PatchConflict},
};
use ipblock_store::StagedEdit;
use tracing::info;

use crate::{
    caller::Caller,
    changing::Changing,
    rulesets::{Snapshot, StagedSet, to_stored},
    state::Service,
};

/// Maximum of staged edits in an answer; the newest are omitted.
const MAX_LISTED_EDITS: usize = 1_000;

impl Service {
    /// Returns what deploying the staged edits would change, and their authors.
    pub fn diff(&self, caller: &Caller) -> Result<Diff, ApiError> {
        let Snapshot {
            revision,
            deployed,
            staged,
        } = self.rulesets();
        let Some(staged) = staged else {
            return Ok(self.no_difference());
        };
        let edits = listed(self.store.staged_edits()?);
        let mut conflicts = Vec::new();
        let (before, after) = if staged.base == revision {
            (deployed, staged.ruleset)
        } else {
            let base = Arc::new(self.revision_ruleset(staged.base)?);
            match Patch::between(&base, &staged.ruleset).apply(&deployed) {
                Ok(moved) => (deployed, Arc::new(moved)),
                Err(found) => {
                    conflicts = describe(&found, &base);
                    (base, staged.ruleset)
                }
            }
        };
        Ok(Diff {
            edits,
            conflicts,
            ..self.explain_plan(before, after, caller)?
        })
    }

    /// Returns the answer without staged edits.
    fn no_difference(&self) -> Diff {
        let entries = self.read().generations.entries();
        Diff {
            entries: EntryChange {
                before: entries,
                after: entries,
            },
            ..Diff::default()
        }
    }

    fn explain_plan(
        &self,
        before: Arc<Ruleset>,
        after: Arc<Ruleset>,
        caller: &Caller,
    ) -> Result<Diff, ApiError> {
        let plan = self.plan(before, after)?;
        let mut diff = plan.to_diff();
        self.show_cut(&plan, Some(caller), &mut diff);
        self.show_amount(&plan, None, &mut diff);
        Ok(diff)
    }

    /// Applies the staged edits to the deployed revision if that is not their base. Refuses what
    /// both sides changed differently, which stays staged. Unless forced, also refuses dangers that
    /// only both together cause, because no operator has confirmed them.
    pub(crate) fn rebase_staged(
        &self,
        changing: &Changing<'_>,
        force: bool,
    ) -> Result<(), ApiError> {
        let Snapshot {
            revision,
            deployed,
            staged,
        } = self.rulesets();
        let Some(staged) = staged.filter(|staged| staged.base != revision) else {
            return Ok(());
        };
        let base = self.revision_ruleset(staged.base)?;
        let moved = Patch::between(&base, &staged.ruleset)
            .apply(&deployed)
            .map_err(|conflicts| refusal(&describe(&conflicts, &base), staged.base, revision))?;
        let new_to_both = edit::require_no_new_danger(&staged.ruleset, &moved);
        if let (false, Err(error), Err(_)) = (
            force,
            edit::require_no_new_danger(&deployed, &moved),
            new_to_both,
        ) {
            let error = ApiError::from(error);
            let message = format!(
                "the edits were staged on revision {}, and on revision {revision}, which is \
                 deployed meanwhile, they are dangerous: {}",
                staged.base, error.message
            );
            return Err(ApiError { message, ..error });
        }
        self.store.rebase_staged(revision, &to_stored(&moved))?;
        info!(
            from = staged.base,
            to = revision,
            "staged edits carried over to the deployed revision"
        );
        let staged = StagedSet {
            ruleset: Arc::new(moved),
            base: revision,
            edits: staged.edits,
            undo: staged.undo,
        };
        let mut state = self.write();
        state.rulesets.stage(changing, staged, Vec::new());
        Ok(())
    }

    /// As [`Service::rebase_staged`], after a change of the revision: a later deploy of the edits
    /// reports a conflict.
    pub(crate) fn rebase_staged_if_possible(&self, changing: &Changing<'_>) {
        if let Err(error) = self.rebase_staged(changing, false) {
            info!(%error, "staged edits stay as they are");
        }
    }
}

/// Returns the edits, oldest first.
pub(crate) fn listed(edits: Vec<StagedEdit>) -> Vec<StagedEditInfo> {
    let listed = edits.into_iter().take(MAX_LISTED_EDITS);
    listed
        .map(|edit| StagedEditInfo {
            time: edit.time,
            author: edit.author.to_string(),
            summary: edit.summary,
        })
        .collect()
}

fn describe(conflicts: &[PatchConflict], base: &Ruleset) -> Vec<ConflictInfo> {
    conflicts
        .iter()
        .map(|conflict| {
            let sides = [&conflict.wanted, &conflict.found];
            let id = sides
                .iter()
                .find_map(|side| side.as_ref().map(|rule| rule.id));
            let before = base.rules.iter().find(|rule| Some(rule.id) == id);
            let is_rule = id.is_some();
            let side = |rule: &Option<Box<Rule>>| {
                if is_rule {
                    changes(before, rule.as_deref())
                } else {
                    Vec::new()
                }
            };
            ConflictInfo {
                subject: conflict.subject.clone(),
                problem: conflict.problem.clone(),
                staged: side(&conflict.wanted),
                deployed: side(&conflict.found),
            }
        })
        .collect()
}

/// Returns how one side changed a rule, one line per field.
fn changes(before: Option<&Rule>, after: Option<&Rule>) -> Vec<String> {
    let of = |rule: Option<&Rule>| Ruleset {
        rules: rule.cloned().into_iter().collect(),
        ..Ruleset::default()
    };
    if after.is_none() {
        return vec!["removed".to_owned()];
    }
    let changes = diff(&of(before), &of(after)).rules.into_iter();
    changes.flat_map(|change| change.detail).collect()
}

fn refusal(conflicts: &[ConflictInfo], from: u64, to: u64) -> ApiError {
    let mut lines = vec![format!(
        "the edits were staged on revision {from}, revision {to} is deployed meanwhile, and both \
         changed the same:"
    )];
    for conflict in conflicts {
        lines.push(format!("  {}: {}", conflict.subject, conflict.problem));
        let staged = conflict.staged.iter().map(|line| ("staged", line));
        let deployed = conflict.deployed.iter().map(|line| ("deployed", line));
        for (side, line) in staged.chain(deployed) {
            lines.push(format!("    {side}: {line}"));
        }
    }
    let message = lines.join("\n");
    ApiError::new(ErrorKind::Conflict, message).with_hint(
        "nothing is lost: `ipblock-ctl export --staged` shows what is staged; edit it until it \
         agrees with what is deployed, or `ipblock-ctl discard` it",
    )
}
