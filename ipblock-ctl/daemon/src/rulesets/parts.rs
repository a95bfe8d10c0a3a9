//! The staged edits of some rules, without the others: a part that is deployed or discarded.
//!
//! A part has only rules. An edit of a list that a rule uses is not taken along: if the part cannot
//! be applied without it, it is refused.

use std::{collections::BTreeSet, sync::Arc};

use ipblock_api::{
    error::{ApiError, ErrorKind, Needs},
    types::{DeployRequest, Staged},
};
use ipblock_policy::{
    At, ListName, RuleId, RuleName, Ruleset, edit,
    patch::{Patch, PatchConflict},
    text::counted,
};
use ipblock_store::{Author, StagedEdit};
use tracing::warn;

use crate::{
    changing::Changing,
    rulesets::{StagedSet, edited_rules::rules_of_edits, staging::staged_now},
    state::Service,
};

/// Maximum of edits that a refusal shows.
const MAX_SHOWN: usize = 20;

/// A part of the staged edits.
pub(crate) struct Part {
    /// The names that were asked for.
    names: Vec<String>,
    /// The changes of its rules, and the others.
    these: Patch,
    others: Patch,
    /// Positions of edits that are about one of its rules.
    touching: Vec<usize>,
    /// Positions of edits that are only about its rules.
    only: Vec<usize>,
}

impl Service {
    /// Returns the part of what is staged on `base` that changes these rules.
    pub(crate) fn part(
        &self,
        staged: &StagedSet,
        base: &Ruleset,
        names: &[String],
    ) -> Result<Part, ApiError> {
        let ids = identities(staged, base, names)?;
        let whole = Patch::between(base, &staged.ruleset);
        for (name, id) in names.iter().zip(&ids) {
            if !whole.changes_rule(*id) {
                let message = format!("no staged edit changes rule `{name}`");
                return Err(ApiError::new(ErrorKind::Invalid, message)
                    .with_hint("`ipblock-ctl diff` shows what is staged"));
            }
        }
        let edits = self.store.staged_edits()?;
        let rules = rules_of_edits(edits.iter().map(|edit| &edit.edit), base, &staged.ruleset);
        let (mut touching, mut only) = (Vec::new(), Vec::new());
        for (place, rules) in rules.iter().enumerate() {
            let is_about = |id: &RuleId| ids.contains(id);
            if rules.iter().any(is_about) {
                touching.push(place);
                if rules.iter().all(is_about) {
                    only.push(place);
                }
            }
        }
        let (these, others) = whole.split(&ids);
        Ok(Part {
            names: names.to_vec(),
            these,
            others,
            touching,
            only,
        })
    }

    /// Refuses to deploy edits that others staged, unless the request has them all.
    pub(crate) fn require_own(
        &self,
        request: &DeployRequest,
        part: Option<&Part>,
        author: &Author,
    ) -> Result<(), ApiError> {
        let edits = self.store.staged_edits()?;
        let total = edits.len() as u64;
        if request.all && request.staged.is_none_or(|expected| expected == total) {
            return Ok(());
        }
        let is_deployed = |place| part.is_none_or(|part| part.touching.contains(&place));
        let others: Vec<_> = edits
            .iter()
            .enumerate()
            .filter(|(place, edit)| is_deployed(*place) && edit.author != *author)
            .map(|(_, edit)| edit)
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let message = others_in_words(&others);
        let refusal = ApiError::new(ErrorKind::Conflict, message).with_hint(
            "`ipblock-ctl deploy --all` deploys them, too, as does --with-others after --deploy; \
             `ipblock-ctl deploy RULE` deploys the edits of one rule",
        );
        Err(ApiError {
            staged: Some(total),
            ..refusal.needing(Needs::All)
        })
    }

    /// Discards the edits of some rules; their names have commas between them.
    pub(super) fn discard_rules(
        &self,
        changing: &Changing<'_>,
        staged: &StagedSet,
        names: &str,
        author: &Author,
    ) -> Result<Staged, ApiError> {
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let base = self.revision_ruleset(staged.base)?;
        let part = self.part(staged, &base, &names)?;
        let rest = part.others.apply(&base).map_err(|conflicts| {
            let what = "the other staged edits need them";
            part.refusal("discarded", what, &conflicts)
        })?;
        let said = format!("discarded the edits of {}", part.subject());
        let left = if rest == base {
            self.drop_staged(changing, author, &part.subject())?;
            0
        } else {
            let rest = StagedSet {
                ruleset: Arc::new(rest),
                undo: None,
                ..staged.clone()
            };
            let left = self.keep_staged(changing, rest, part.removed(staged))?;
            self.audit(author, "discard", &part.subject());
            left
        };
        Ok(staged_now(left, staged.base, &said))
    }

    /// Keeps the other edits staged after the part was deployed. Returns their number.
    pub(crate) fn keep_others(&self, changing: &Changing<'_>, part: &Part) -> u64 {
        let kept = self.rebase_staged(changing, true).and_then(|()| {
            let (rest, is_deployed) = {
                let rulesets = &self.read().rulesets;
                let Some(rest) = rulesets.staged().cloned() else {
                    return Ok(0);
                };
                let is_deployed = rulesets.is_as_deployed(&rest.ruleset);
                (rest, is_deployed)
            };
            if is_deployed {
                self.forget_staged(changing)?;
                return Ok(0);
            }
            let removed = part.removed(&rest);
            let rest = StagedSet { undo: None, ..rest };
            self.keep_staged(changing, rest, removed)
        });
        kept.unwrap_or_else(|error| {
            // Nothing is lost: a later deploy finds that these edits change nothing any more.
            warn!(%error, "edits that were deployed are still listed as staged");
            self.read().rulesets.staged_edits()
        })
    }
}

impl Part {
    /// Returns the deployed ruleset with only the changes of this part.
    pub(crate) fn after(&self, before: &Ruleset) -> Result<Ruleset, ApiError> {
        self.these.apply(before).map_err(|conflicts| {
            let what = "they need other staged edits";
            self.refusal("deployed alone", what, &conflicts)
        })
    }

    /// Refuses a danger that the whole of what is staged does not have.
    pub(crate) fn require_no_new_danger(
        before: &Ruleset,
        after: &Ruleset,
        staged: &Ruleset,
    ) -> Result<(), ApiError> {
        match edit::require_no_new_danger(before, after) {
            Err(error) if edit::require_no_new_danger(before, staged).is_ok() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Warns of staged edits of lists that the rules use: these stay staged.
    pub(crate) fn warnings(&self, after: &Ruleset) -> Vec<String> {
        let names = |name: &RuleName| self.names.iter().any(|wanted| *wanted == name.as_str());
        let mut used: BTreeSet<&ListName> = BTreeSet::new();
        for rule in after.rules.iter().filter(|rule| names(&rule.name)) {
            for element in rule.matches.iter().chain(rule.except.iter()) {
                if let At::List(list) = &element.at {
                    used.insert(list);
                }
            }
        }
        used.into_iter()
            .filter(|list| self.others.changes_list(list))
            .map(|list| format!("the staged edits of list @{list} stay staged"))
            .collect()
    }

    /// Returns the edits of this part among all edits.
    pub(crate) fn edits(&self, all: Vec<StagedEdit>) -> Vec<StagedEdit> {
        all.into_iter()
            .enumerate()
            .filter_map(|(place, edit)| self.touching.contains(&place).then_some(edit))
            .collect()
    }

    /// Returns the positions of edits that go with this part. At least one stays for what stays.
    fn removed(&self, staged: &StagedSet) -> &[usize] {
        if (self.only.len() as u64) < staged.edits {
            &self.only
        } else {
            &[]
        }
    }

    fn subject(&self) -> String {
        let names: Vec<_> = self.names.iter().map(|name| format!("`{name}`")).collect();
        match names.as_slice() {
            [one] => format!("rule {one}"),
            names => format!("rules {}", names.join(", ")),
        }
    }

    fn refusal(&self, done: &str, why: &str, conflicts: &[PatchConflict]) -> ApiError {
        let mut lines = vec![format!(
            "the edits of {} cannot be {done}: {why}:",
            self.subject()
        )];
        let conflicts = conflicts.iter();
        lines.extend(conflicts.map(|it| format!("  {}: {}", it.subject, it.problem)));
        ApiError::new(ErrorKind::Conflict, lines.join("\n")).with_hint(
            "name the other rules, too, or take everything: `ipblock-ctl deploy`, `ipblock-ctl \
             discard`",
        )
    }
}

/// Returns the identities of rules by their staged names, or those before.
fn identities(
    staged: &StagedSet,
    base: &Ruleset,
    names: &[String],
) -> Result<Vec<RuleId>, ApiError> {
    let find = |name: &String| {
        let parsed: Option<RuleName> = name.parse().ok();
        let rule = parsed.and_then(|name| staged.ruleset.rule(&name).or_else(|| base.rule(&name)));
        rule.map(|rule| rule.id).ok_or_else(|| {
            let known = staged.ruleset.rules.iter().chain(&base.rules);
            ApiError::from(edit::no_such_rule(
                name,
                known.map(|rule| rule.name.as_str()),
            ))
        })
    };
    names.iter().map(find).collect()
}

fn others_in_words(others: &[&StagedEdit]) -> String {
    let mut lines = vec![match others {
        [_] => "a staged edit of somebody else would be deployed, too:".to_owned(),
        others => format!(
            "{} of others would be deployed, too:",
            counted(others.len() as u64, "staged edit", "staged edits")
        ),
    }];
    for edit in others.iter().take(MAX_SHOWN) {
        let summary = edit.summary.join("; ");
        lines.push(format!("  {}, {:.0}: {summary}", edit.author, edit.time));
    }
    if others.len() > MAX_SHOWN {
        lines.push(format!("  and {} more", others.len() - MAX_SHOWN));
    }
    lines.join("\n")
}
