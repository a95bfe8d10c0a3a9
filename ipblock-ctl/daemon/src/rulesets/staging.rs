//! The staged set: edits before their deploy.

use std::{collections::HashSet, sync::Arc};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{DiscardQuery, EditRequest, RuleText, RulesetText, Staged, Which},
};
use ipblock_datapath::clock::Now;
use ipblock_policy::{RuleId, RuleName, Ruleset, edit, text::counted};
use ipblock_store::{AuditEntry, Author, StagedEdit};
use jiff::Timestamp;
use tracing::{error, info, warn};

use crate::{
    answers::{RuleToml, RulesetToml},
    changes::applied::Held,
    changing::Changing,
    end_times,
    rulesets::{Snapshot, StagedSet, Undo, rule_durations, stored_edit::stored_edit, to_stored},
    state::Service,
};

impl Service {
    /// Stages edits, all or none. They are on disk when this returns.
    pub fn stage(&self, request: &EditRequest, author: &Author) -> Result<Staged, ApiError> {
        if request.edits.is_empty() {
            return Err(ApiError::new(ErrorKind::Invalid, "a request without edits")
                .with_hint("docs/api.md lists the edits"));
        }
        let changing = &self.begin_change();
        let before = self.rulesets();
        let (edited, base, count) = match &before.staged {
            Some(staged) => (&staged.ruleset, staged.base, staged.edits),
            None => (&before.deployed, before.revision, 0),
        };
        let mut ruleset = Ruleset::clone(edited);
        let mut clocks = Now::read();
        // Ends are relative to this time: whole milliseconds are readable, and the store keeps them
        // exactly.
        clocks.wall = end_times::to_millisecond(clocks.wall);
        let now = clocks.wall;
        let mut done = Vec::new();
        let mut edits = Vec::new();
        for edit in &request.edits {
            let replaced = Held::by_replaced(edit, &ruleset).filter(|_| !request.force);
            let summary = edit::apply(&mut ruleset, edit, now, request.force)?;
            if let Some(replaced) = replaced {
                self.require_most_kept(&replaced, &ruleset)?;
            }
            edits.push(StagedEdit {
                time: now,
                author: author.clone(),
                summary: summary.clone(),
                edit: stored_edit(edit)
                    .map_err(|error| ApiError::new(ErrorKind::Failed, error.to_string()))?,
            });
            done.extend(summary);
        }
        let read = self.read_unread_lists(&mut ruleset)?;
        if !read.is_empty() && !request.force {
            edit::require_no_new_danger(edited, &ruleset)?;
        }
        done.extend(read);
        self.identify(&mut ruleset)?;
        if **edited == ruleset {
            done.push("nothing changes, so nothing was staged".to_owned());
            return Ok(Staged {
                staged: count,
                base,
                done,
                undo: None,
            });
        }
        if self.read().rulesets.is_as_deployed(&ruleset) {
            self.drop_staged(changing, author, "undo what was staged")?;
            done.push("nothing is staged any more: the ruleset is as it is deployed".to_owned());
            return Ok(Staged {
                staged: 0,
                base,
                done,
                undo: None,
            });
        }
        self.require_zones_of_interfaces(edited, &ruleset)?;
        // A ruleset that cannot be compiled is refused now, not at the deploy.
        let ruleset = Arc::new(ruleset);
        self.zones_of(&ruleset, now)?;
        let durations = rule_durations::given(&request.edits, &ruleset, &clocks);
        if !durations.is_empty() {
            self.store.set_rule_durations(durations.iter().cloned())?;
        }
        if let Err(error) = self.store.stage(base, &to_stored(&ruleset), &edits) {
            if let Err(error) = self.store.forget_unused_durations() {
                warn!(%error, "ends of rules that were not staged stay in the store");
            }
            return Err(error.into());
        }
        let staged = count + edits.len() as u64;
        let undo = Undo::to(before.staged.clone());
        let number = undo.number;
        self.write().rulesets.stage(
            changing,
            StagedSet {
                ruleset: Arc::clone(&ruleset),
                base,
                edits: staged,
                undo: Some(Arc::new(undo)),
            },
            durations,
        );
        let kept: HashSet<RuleId> = ruleset.rules.iter().map(|rule| rule.id).collect();
        if edited.rules.iter().any(|rule| !kept.contains(&rule.id)) {
            self.reload_durations(changing);
        }
        for line in &done {
            info!(author = %author.name, uid = author.uid, "staged: {line}");
        }
        self.audit(author, "stage", &done.join("\n"));
        Ok(Staged {
            staged,
            base,
            done,
            undo: Some(number),
        })
    }

    /// Discards all that is staged, or what the query names.
    pub fn discard(&self, query: &DiscardQuery, author: &Author) -> Result<Staged, ApiError> {
        let changing = &self.begin_change();
        let Snapshot {
            revision, staged, ..
        } = self.rulesets();
        let Some(staged) = staged else {
            return Ok(staged_now(0, revision, "nothing was staged"));
        };
        match query {
            DiscardQuery {
                undo: Some(number), ..
            } => self.undo(changing, &staged, *number, author),
            DiscardQuery {
                rules: Some(names), ..
            } => self.discard_rules(changing, &staged, names, author),
            DiscardQuery { .. } => {
                let edits = counted(staged.edits, "edit", "edits");
                self.drop_staged(changing, author, &edits)?;
                Ok(staged_now(0, revision, &format!("discarded {edits}")))
            }
        }
    }

    /// Discards what a request staged, if it was the last one.
    fn undo(
        &self,
        changing: &Changing<'_>,
        staged: &StagedSet,
        number: u64,
        author: &Author,
    ) -> Result<Staged, ApiError> {
        let Some(undo) = staged.undo.as_ref().filter(|undo| undo.number == number) else {
            let said = "other edits were staged since, so nothing was discarded";
            return Ok(staged_now(staged.edits, staged.base, said));
        };
        let Some(before) = &undo.before else {
            let edits = counted(staged.edits, "edit", "edits");
            self.drop_staged(changing, author, &edits)?;
            return Ok(staged_now(0, staged.base, &format!("discarded {edits}")));
        };
        let place = |edits| usize::try_from(edits).unwrap_or(usize::MAX);
        let removed: Vec<_> = (place(before.edits)..place(staged.edits)).collect();
        let edits = counted(removed.len() as u64, "edit", "edits");
        self.keep_staged(changing, before.clone(), &removed)?;
        self.audit(author, "discard", &edits);
        Ok(staged_now(
            before.edits,
            before.base,
            &format!("discarded {edits}"),
        ))
    }

    /// Stages this ruleset in place of the staged one, without the edits at these positions.
    pub(super) fn keep_staged(
        &self,
        changing: &Changing<'_>,
        staged: StagedSet,
        removed: &[usize],
    ) -> Result<u64, ApiError> {
        let left = self
            .store
            .restage(staged.base, &to_stored(&staged.ruleset), removed)?;
        let staged = StagedSet {
            edits: left,
            ..staged
        };
        let mut state = self.write();
        state.rulesets.stage(changing, staged, Vec::new());
        drop(state);
        self.reload_durations(changing);
        Ok(left)
    }

    /// Discards the staged set, and records it in the audit trail.
    pub(super) fn drop_staged(
        &self,
        changing: &Changing<'_>,
        author: &Author,
        detail: &str,
    ) -> Result<(), ApiError> {
        self.forget_staged(changing)?;
        info!(author = %author.name, uid = author.uid, detail, "discarded what was staged");
        self.audit(author, "discard", detail);
        Ok(())
    }

    /// Forgets the staged set.
    pub(crate) fn forget_staged(&self, changing: &Changing<'_>) -> Result<(), ApiError> {
        self.store.clear_staged()?;
        self.write().rulesets.unstage(changing);
        self.reload_durations(changing);
        Ok(())
    }

    /// Returns the deployed or the staged ruleset as TOML with its revision.
    pub(crate) fn ruleset(&self, which: Which) -> Result<RulesetText<RulesetToml>, ApiError> {
        let Snapshot {
            revision,
            deployed,
            staged,
        } = self.rulesets();
        let (ruleset, base, revision) = match (which, staged) {
            (Which::Staged, Some(staged)) => {
                let base = (staged.base == revision).then_some(deployed);
                (staged.ruleset, base, staged.base)
            }
            _ => (Arc::clone(&deployed), Some(deployed), revision),
        };
        let base = match base {
            Some(base) => base,
            None => Arc::new(self.revision_ruleset(revision)?),
        };
        Ok(RulesetText {
            revision,
            ruleset: self.exported(ruleset, revision, &base),
        })
    }

    /// Returns one rule, including staged edits, for `rule edit`.
    pub(crate) fn rule_text(&self, name: &str) -> Result<RuleText<RuleToml>, ApiError> {
        let state = self.read();
        let rule = name
            .parse::<RuleName>()
            .ok()
            .and_then(|name| state.rulesets.edited().rule(&name));
        let text = rule.map(|rule| RuleText {
            toml: RuleToml(rule.clone()),
        });
        text.ok_or_else(|| {
            let rules = state.rulesets.edited().rules.iter();
            edit::no_such_rule(name, rules.map(|rule| rule.name.as_str())).into()
        })
    }

    /// Adds an entry to the audit trail. If that fails, the action is not undone.
    pub(crate) fn audit(&self, author: &Author, what: &str, detail: &str) {
        let kept = self.store.audit(&AuditEntry {
            time: Timestamp::now(),
            author: author.clone(),
            what: what.to_owned(),
            detail: detail.to_owned(),
        });
        if let Err(error) = kept {
            error!(uid = author.uid, what, detail, %error, "missing from the audit trail");
        }
    }
}

/// Returns the answer after a discard.
pub(super) fn staged_now(staged: u64, base: u64, done: &str) -> Staged {
    Staged {
        staged,
        base,
        done: vec![done.to_owned()],
        undo: None,
    }
}
