//! Deploy: fetch the new ruleset, compute the plan, execute it.

use std::{collections::BTreeMap, sync::Arc};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{Applied, ApplyRequest, DeployRequest, Deployed},
};
use ipblock_policy::{Ruleset, document, special};

use crate::{
    caller::Caller,
    changes::{
        asked::Asked,
        execute::{Order, Target},
        plan::Plan,
    },
    rulesets::{Snapshot, parts::Part, rebase::listed},
    state::Service,
};

impl Service {
    /// Deploys the staged edits.
    pub fn deploy(&self, request: &DeployRequest, caller: &Caller) -> Result<Deployed, ApiError> {
        let changing = &self.begin_change();
        self.require_confirmed()?;
        self.rebase_staged(changing, request.force)?;
        let Snapshot {
            revision,
            deployed: before,
            staged,
        } = self.rulesets();
        let Some(staged) = staged else {
            return Ok(nothing_to_do(revision, &before));
        };
        let part = match request.rules.as_slice() {
            [] => None,
            rules => Some(self.part(&staged, &before, rules)?),
        };
        self.require_own(request, part.as_ref(), &caller.author)?;
        let after = match &part {
            None => staged.ruleset,
            Some(part) => {
                let after = Arc::new(part.after(&before)?);
                if !request.force {
                    Part::require_no_new_danger(&before, &after, &staged.ruleset)?;
                }
                after
            }
        };
        let plan = self.plan(Arc::clone(&before), after)?;
        let mut special = special::new_warnings(&plan.before, &plan.after);
        if part.is_none() && !plan.changes_anything() {
            self.forget_staged(changing)?;
            return Ok(nothing_to_do(revision, &before));
        }
        let mut edits = self.store.staged_edits()?;
        let deployed = self.execute(
            changing,
            &Order {
                clear_staged: part.is_none(),
                ..order(&plan, request, caller)
            },
        )?;
        let mut still_staged = None;
        if let Some(part) = &part {
            special.extend(part.warnings(&plan.after));
            edits = part.edits(edits);
            still_staged = Some(self.keep_others(changing, part));
        }
        // `apply` and `rollback` show a diff, which has the same warning.
        special.extend(deployed.warnings);
        Ok(Deployed {
            edits: listed(edits),
            still_staged,
            warnings: special,
            ..deployed
        })
    }

    /// Deploys a ruleset file, or returns what that would change.
    pub fn apply(&self, request: &ApplyRequest, caller: &Caller) -> Result<Applied, ApiError> {
        let changing = &self.begin_change();
        if !request.dry_run {
            self.require_confirmed()?;
        }
        let Snapshot {
            revision,
            deployed: before,
            staged,
        } = self.rulesets();
        if staged.is_some() && !request.dry_run {
            return Err(
                ApiError::new(ErrorKind::Conflict, "other edits are staged").with_hint(
                    "`ipblock-ctl diff` shows them; `ipblock-ctl deploy` or `ipblock-ctl discard` \
                     them first",
                ),
            );
        }
        let read = document::parse_after(
            &request.ruleset,
            &request.file,
            request.deploy.force,
            &before,
        )?;
        let (mut after, origin) = (read.ruleset, read.origin);
        let kept = self.read_applied_lists(&mut after, &before, request.deploy.force)?;
        take_identities(&mut after, &before);
        // A dry run uses no identities.
        if !request.dry_run {
            self.identify(&mut after)?;
        }
        let plan = self.plan(Arc::clone(&before), Arc::new(after))?;
        let mut diff = plan.to_diff();
        self.show_cut(&plan, request.dry_run.then_some(caller), &mut diff);
        diff.warnings.extend(kept);
        if !plan.changes_anything() {
            return Ok(Applied {
                diff,
                changed: false,
                deployed: (!request.dry_run).then(|| nothing_to_do(revision, &before)),
                restored: None,
            });
        }
        if request.dry_run {
            diff.warnings.extend(self.unsound(&plan, origin.as_ref())?);
            self.show_amount(&plan, None, &mut diff);
            return Ok(Applied {
                diff,
                changed: true,
                deployed: None,
                restored: None,
            });
        }
        // First the checks that no option overrides.
        self.require_zones_of_interfaces(&plan.before, &plan.after)?;
        let mut forced = self.require_sound(&plan, origin.as_ref(), request.deploy.force)?;
        let mut deployed = self.execute(changing, &order(&plan, &request.deploy, caller))?;
        forced.append(&mut deployed.warnings);
        deployed.warnings = forced;
        Ok(Applied {
            diff,
            changed: true,
            deployed: Some(deployed),
            restored: None,
        })
    }
}

/// Returns the order that the request gives. Staged edits stay.
fn order<'a>(plan: &'a Plan, request: &'a DeployRequest, caller: &'a Caller) -> Order<'a> {
    Order {
        plan,
        target: Target::New {
            comment: &request.comment,
            confirm_within: request.confirm_within,
        },
        caller: Some(caller),
        asked: Asked {
            wide: request.wide,
            force: request.force,
        },
        clear_staged: false,
    }
}

/// In an applied file the same name means the same rule.
pub(crate) fn take_identities(after: &mut Ruleset, before: &Ruleset) {
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

/// Returns the answer if nothing has to change.
pub(crate) fn nothing_to_do(revision: u64, deployed: &Ruleset) -> Deployed {
    Deployed {
        revision,
        changed: false,
        rules: deployed.rules.len() as u64,
        entries: 0,
        build_ms: 0,
        switch_ms: 0,
        confirm_deadline: None,
        edits: Vec::new(),
        still_staged: None,
        warnings: Vec::new(),
    }
}
