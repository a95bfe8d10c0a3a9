//! Checks whether a ruleset file is what the operator expects: complete, and made from the deployed
//! revision.

use std::{fmt::Write as _, sync::Arc};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_policy::{
    Ruleset,
    document::{Origin, Printed},
    edit::{Edit, Import},
    shrink::{is_shrunk, too_much_goes},
    text::counted,
};

use crate::{answers::RulesetToml, changes::plan::Plan, state::Service};

/// Maximum of revisions in a refusal; it gives the number of the others.
const NAMED: usize = 10;

const FORCE: &str = "pass --force if that is meant";

impl Service {
    /// Refuses an applied file that removes too much or was made from a revision other than the
    /// deployed one. Returns warnings about what was forced.
    pub(crate) fn require_sound(
        &self,
        plan: &Plan,
        origin: Option<&Origin>,
        force: bool,
    ) -> Result<Vec<String>, ApiError> {
        let doubts = self.doubts(plan, origin)?;
        if force {
            let forced = doubts.into_iter();
            let in_one_line = |what: String| what.replace("\n  ", "; ");
            return Ok(forced
                .map(|(what, _)| format!("forced: {}", in_one_line(what)))
                .collect());
        }
        match doubts.into_iter().next() {
            None => Ok(Vec::new()),
            Some((what, hint)) => Err(ApiError::new(ErrorKind::Conflict, what).with_hint(hint)),
        }
    }

    /// Returns what [`Service::require_sound`] would refuse, one line each.
    pub(crate) fn unsound(
        &self,
        plan: &Plan,
        origin: Option<&Origin>,
    ) -> Result<Vec<String>, ApiError> {
        let doubts = self.doubts(plan, origin)?.into_iter();
        let lines = doubts.map(|(what, _)| {
            let what = what.replace("\n ", ";");
            format!("refused without --force: {what}")
        });
        Ok(lines.collect())
    }

    /// Returns the doubts about an applied file, and what to do instead.
    fn doubts(
        &self,
        plan: &Plan,
        origin: Option<&Origin>,
    ) -> Result<Vec<(String, &'static str)>, ApiError> {
        let mut doubts = Vec::new();
        if let Some(origin) = origin
            && let Some(doubt) = self.outdated(origin, &plan.before)?
        {
            let hint = "export again and carry your changes over, or pass --force to undo what came \
                        in between; a file that is kept elsewhere needs no `revision` line";
            doubts.push((doubt, hint));
        }
        let entries = (plan.entries_before(), plan.entries_after());
        if let Some(doubt) = too_much_goes(&plan.before, &plan.after, entries) {
            doubts.push((doubt, FORCE));
        }
        Ok(doubts)
    }

    /// Describes what a file from a revision other than the deployed one would undo.
    fn outdated(&self, origin: &Origin, deployed: &Ruleset) -> Result<Option<String>, ApiError> {
        let current = self.read().rulesets.revision();
        let deployed = Origin::new(current, &self.store.store_id(), &Printed(deployed));
        if origin.may_replace(&deployed) {
            return Ok(None);
        }
        let base = origin.revision;
        let mut message = format!(
            "the file was made from revision {base}, and revision {current} is deployed meanwhile"
        );
        let revisions = self.store.revisions()?;
        let mut between: Vec<_> = revisions
            .iter()
            .filter(|revision| revision.number > base && revision.number <= current)
            .collect();
        // They are sorted newest first here.
        let more = between.len().saturating_sub(NAMED);
        between.truncate(NAMED);
        for revision in between {
            let comment = match revision.comment.as_str() {
                "" => String::new(),
                comment => format!(": {comment}"),
            };
            let (number, author, time) = (revision.number, &revision.author, revision.time);
            let _ = write!(
                message,
                "\n  revision {number} by {author}, {time:.0}{comment}"
            );
        }
        if more > 0 {
            let _ = write!(message, "\n  and {more} more");
        }
        Ok(Some(message))
    }

    /// Returns a ruleset as a file with its revision; `base` is the ruleset of that revision.
    pub(crate) fn exported(
        &self,
        ruleset: Arc<Ruleset>,
        revision: u64,
        base: &Ruleset,
    ) -> RulesetToml {
        let origin = Origin::new(revision, &self.store.store_id(), &Printed(base));
        RulesetToml(ruleset, origin)
    }

    /// Refuses an import that removes much more than it adds: `before` is the previous content,
    /// `after` the ruleset with the import.
    pub(crate) fn require_most_kept(
        &self,
        before: &Held<'_>,
        after: &Ruleset,
    ) -> Result<(), ApiError> {
        let Held { into, before } = *before;
        let now = held(after, into);
        let max_shrink = self.settings.max_shrink;
        if !is_shrunk(before, now, max_shrink) {
            return Ok(());
        }
        let message = format!(
            "{into} would shrink from {} to {now}, by more than {} %",
            counted(before, "prefix", "prefixes"),
            max_shrink * 100.0
        );
        Err(ApiError::new(ErrorKind::Conflict, message).with_hint(FORCE))
    }
}

/// The previous content of an import's target.
pub(crate) struct Held<'a> {
    into: &'a str,
    before: usize,
}

impl<'a> Held<'a> {
    /// Returns it if an edit replaces it.
    pub(crate) fn by_replaced(edit: &'a Edit, ruleset: &Ruleset) -> Option<Self> {
        match edit {
            Edit::Import(Import {
                into,
                replace: true,
                ..
            }) => Some(Self {
                into,
                before: held(ruleset, into),
            }),
            _ => None,
        }
    }
}

/// Returns the number of prefixes in the target of an import.
fn held(ruleset: &Ruleset, into: &str) -> usize {
    if let Some(list) = into.strip_prefix('@') {
        let list = list.parse().ok().and_then(|name| ruleset.lists.get(&name));
        list.map_or(0, |list| list.elements.len())
    } else {
        let rule = into.parse().ok().and_then(|name| ruleset.rule(&name));
        rule.map_or(0, |rule| rule.matches.len())
    }
}
