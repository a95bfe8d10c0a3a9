//! Follows the sources of deployed lists: each change of a source is a deploy of its own.
//!
//! If a source has no good content, or content that must not be deployed, its list stays unchanged;
//! `status` reports that until the source is good again. [`feed`] is the interface of a kind of
//! source, [`file`] reads files, [`followed`] is the state of a list that follows a source, and
//! [`edits`] reads sources in an edit or an applied ruleset.

mod edits;
mod feed;
mod file;
pub(super) mod followed;
mod reload;

use std::{sync::Arc, time::Duration};

use ipblock_api::{
    error::{ApiError, ErrorKind, Needs},
    types::Deployed,
};
use ipblock_fault::{Step, reach};
use ipblock_policy::{
    Hinted, List, ListElement, ListName, Ruleset, Source,
    diff::{ListDiff, diff_lists},
    edit, special,
};
use tracing::{info, warn};

pub(super) use self::followed::{Followed, last_read, problem, problems};
use self::{
    edits::keeps,
    feed::{Feed, Opened},
    file::FileFeed,
    followed::{Back, FollowedList, Look},
};
use super::{
    caller::Caller, changing::Changing, rulesets::Snapshot, settings::Settings, state::Service,
};
use crate::changes::{
    asked::Asked,
    deploy::nothing_to_do,
    execute::{Order, Target},
};

/// Delay before a refused content is tried again although its source has not changed.
const RETRY: Duration = Duration::from_mins(1);

impl Service {
    /// Checks the source of every deployed list and reads changed ones; with `all`, reads all of
    /// them. Called every second.
    ///
    /// While a revision awaits confirmation it checks none: a deploy would make the rollback
    /// impossible.
    pub(super) fn follow_lists(&self, all: bool) {
        if self.read().rulesets.confirmation().is_some() {
            return;
        }
        let deployed = Arc::clone(self.read().rulesets.deployed());
        let is_followed = |name: &ListName, known: &FollowedList| {
            let list = deployed.lists.get(name);
            list.is_some_and(|list| list.source == known.opened.source)
        };
        let all_followed = {
            let state = self.read();
            let mut followed = state.followed.iter();
            followed.all(|(name, known)| is_followed(name, known))
        };
        if !all_followed {
            let mut state = self.write();
            state
                .followed
                .retain(|name, known| is_followed(name, known));
        }
        for (name, list) in &deployed.lists {
            let Some(opened) = self.open(name, list) else {
                continue;
            };
            let seen = opened.feed.look().map_err(|error| error.to_string());
            if all || self.is_due(name, &opened, &seen) {
                self.reread(name, &opened, &seen);
            } else {
                self.compare(name, &opened);
            }
        }
    }

    /// Returns the source of a list with its feed, which is the existing one if the list follows it
    /// already; `None` for a list without a source.
    fn open(&self, name: &ListName, list: &List) -> Option<Opened> {
        let known = self
            .read()
            .followed
            .get(name)
            .map(|known| known.opened.clone());
        known
            .filter(|opened| opened.source == list.source)
            .or_else(|| open(&list.source, &self.settings))
    }

    /// Whether a source must be read. While it changes it is not read: a program that writes it in
    /// place may not be finished.
    fn is_due(&self, name: &ListName, opened: &Opened, seen: &Look) -> bool {
        let state = self.read();
        let revision = state.rulesets.revision();
        let Some(known) = state.followed.get(name) else {
            drop(state);
            let went_back = self.went_back();
            if went_back {
                self.take_as_read(name, opened, seen);
            }
            return !went_back;
        };
        let tried_long_ago = known.found.0.elapsed() >= RETRY || known.found.1 != revision;
        let rests = known.seen == *seen;
        let due = rests && (known.read != *seen || known.problem.is_some() && tried_long_ago);
        drop(state);
        if !rests && let Some(known) = self.write().followed.get_mut(name) {
            known.seen.clone_from(seen);
        }
        due
    }

    /// Whether the deployed revision is the result of a rollback: a start must not undo that by
    /// reading the sources again.
    fn went_back(&self) -> bool {
        let deployed = self.read().rulesets.revision();
        let newest = self
            .store
            .revisions()
            .unwrap_or_default()
            .into_iter()
            .next();
        newest.is_some_and(|newest| newest.number > deployed)
    }

    /// Follows a source from its present state on.
    fn take_as_read(&self, name: &ListName, opened: &Opened, seen: &Look) {
        let source = &opened.source;
        info!(list = %name, %source, "not read: a rollback stands; it is followed when it changes");
        let mut state = self.write();
        let known = FollowedList {
            back: Back::Unknown,
            last_read: None,
            ..FollowedList::read_as(opened, seen.clone(), state.rulesets.revision())
        };
        state.followed.insert(name.clone(), known);
    }

    /// Marks lists whose content a rollback has changed.
    pub(super) fn doubt_lists(&self, before: &Ruleset, after: &Ruleset) {
        let differs = |(name, list): &(&ListName, &List)| before.lists.get(*name) != Some(*list);
        let others: Vec<_> = after.lists.iter().filter(differs).collect();
        let mut state = self.write();
        for (name, list) in others {
            // A list with another source counts as new.
            if let Some(known) = state.followed.get_mut(name)
                && list.source == known.opened.source
            {
                known.back = Back::Unknown;
            }
        }
    }

    /// Checks whether a list from a rollback equals its source. An unreadable source counts as
    /// different.
    fn compare(&self, name: &ListName, opened: &Opened) {
        let (good, revision) = {
            let state = self.read();
            let back = state.followed.get(name).map(|known| &known.back);
            let Some((good, back)) = state.rulesets.deployed().lists.get(name).zip(back) else {
                return;
            };
            let revision = match back {
                Back::No => return,
                Back::Unknown => state.rulesets.revision(),
                Back::Holds(_, list) if list == good => return,
                Back::Holds(revision, _) => *revision,
            };
            (good.clone(), revision)
        };
        let read = opened.feed.fetch();
        let is_same = read.is_ok_and(|(_, elements)| holds_the_same(&good.elements, &elements));
        let mut state = self.write();
        // Otherwise another ruleset was deployed meanwhile, and the check is repeated.
        if state.rulesets.deployed().lists.get(name) == Some(&good)
            && let Some(known) = state.followed.get_mut(name)
        {
            known.back = if is_same {
                Back::No
            } else {
                Back::Holds(revision, good)
            };
            let says = known.says(name);
            drop(state);
            if let Some(says) = says {
                warn!("{says}");
            }
        }
    }

    /// Reads a list's source and deploys its content.
    fn reread(&self, name: &ListName, opened: &Opened, seen: &Look) {
        // A large one takes some time: other changes do not have to wait for it.
        let read = opened.feed.fetch();
        reach(Step::ListRead);
        let changing = &self.begin_change();
        // Another revision may have been deployed meanwhile. The content is still valid.
        let (before, is_on_trial) = {
            let state = self.read();
            (
                Arc::clone(state.rulesets.deployed()),
                state.rulesets.confirmation().is_some(),
            )
        };
        let good = before.lists.get(name);
        let Some(good) = good.filter(|list| list.source == opened.source) else {
            return;
        };
        // It is read after the confirmation or rollback.
        if is_on_trial {
            return;
        }
        let read = read.and_then(|(stamp, elements)| {
            self.require_not_shrunk(name, opened, good, &elements)?;
            Ok((stamp, elements))
        });
        let was_read = read.is_ok();
        let (read, outcome) = match read {
            Ok((stamp, elements)) => {
                let content = Content {
                    name,
                    good,
                    elements,
                };
                let deployed = self.deploy_list(changing, content, &before, None);
                let outcome =
                    deployed.map_err(|error| acceptable(error, name, opened).in_one_line());
                (Ok(stamp), outcome.map(drop))
            }
            Err(error) => (seen.clone(), Err(error.in_one_line())),
        };
        let problem = outcome.err().map(|why| keeps(name, good, &why));
        let mut state = self.write();
        let known = FollowedList::read_as(opened, read, state.rulesets.revision());
        let before = state.followed.get(name).and_then(|known| known.last_read);
        let known = FollowedList {
            last_read: if was_read { known.last_read } else { before },
            problem: problem.clone(),
            ..known
        };
        let before = state.followed.insert(name.clone(), known);
        drop(state);
        match (before.and_then(|known| known.says(name)), problem) {
            (before, Some(problem)) if before.as_ref() != Some(&problem) => warn!("{problem}"),
            (Some(_), None) => info!(list = %name, source = %good.source, "it is followed again"),
            _ => {}
        }
    }

    /// Accepts the present content of a deployed list's source once, although it has shrunk or
    /// newly drops a large amount. Other guards apply.
    pub fn accept_list(&self, name: &str, caller: &Caller) -> Result<Deployed, ApiError> {
        let changing = &self.begin_change();
        let Snapshot {
            revision,
            deployed: before,
            ..
        } = self.rulesets();
        let parsed: Option<ListName> = name.parse().ok();
        let found = parsed.and_then(|name| before.lists.get_key_value(&name));
        let (name, good) = found.ok_or_else(|| edit::no_such_list(name, &before))?;
        let Some(opened) = self.open(name, good) else {
            let message = format!("list `{name}` is kept by hand: it has no source to accept");
            return Err(ApiError::new(ErrorKind::Conflict, message)
                .with_hint("`ipblock-ctl list list` names the sources of lists"));
        };
        let fetched = opened.feed.fetch();
        let (stamp, elements) = fetched.map_err(|error| error.of_list(name))?;
        let content = Content {
            name,
            good,
            elements,
        };
        let deployed = self.deploy_list(changing, content, &before, Some(caller))?;
        let mut state = self.write();
        let known = FollowedList::read_as(&opened, Ok(stamp), state.rulesets.revision());
        state.followed.insert(name.clone(), known);
        drop(state);
        self.audit(
            &caller.author,
            "list-accept",
            &format!("list {name}, {}", good.source),
        );
        Ok(deployed.unwrap_or_else(|| nothing_to_do(revision, &before)))
    }

    /// Deploys new content of one list, without the staged edits. `accepted_by` is the operator who
    /// accepts it although it newly drops a large amount.
    fn deploy_list(
        &self,
        changing: &Changing<'_>,
        content: Content<'_>,
        before: &Arc<Ruleset>,
        accepted_by: Option<&Caller>,
    ) -> Result<Option<Deployed>, ApiError> {
        let Content {
            name,
            good,
            elements,
        } = content;
        if holds_the_same(&good.elements, &elements) {
            return Ok(None);
        }
        let source = &good.source;
        let list = List {
            source: source.clone(),
            elements: elements.into(),
        };
        let comment = match diff_lists(good, &list) {
            ListDiff { more: 0, fewer: 0 } => format!("list {name}: other notes ({source})"),
            counts => format!("list {name}: {} ({source})", counts.in_words()),
        };
        self.require_confirmed()?;
        let mut after = Ruleset::clone(before);
        after.lists.insert(name.clone(), list);
        edit::require_no_new_danger(before, &after)?;
        let plan = self.plan(Arc::clone(before), Arc::new(after))?;
        for warning in special::new_warnings(before, &plan.after) {
            warn!("{warning}");
        }
        let deployed = self.execute(
            changing,
            &Order {
                plan: &plan,
                target: Target::New {
                    comment: &comment,
                    confirm_within: None,
                },
                // Without an operator, what would lock out or newly drop a large amount is refused,
                // and the list stays unchanged.
                caller: accepted_by,
                asked: Asked {
                    wide: accepted_by.is_some(),
                    force: false,
                },
                clear_staged: false,
            },
        )?;
        self.rebase_staged_if_possible(changing);
        Ok(Some(deployed))
    }
}

/// The present content of a list's source.
struct Content<'a> {
    name: &'a ListName,
    /// The present content of the list.
    good: &'a List,
    elements: Vec<ListElement>,
}

/// Adds how the operator can accept the content, if that is possible.
fn acceptable(error: ApiError, name: &ListName, opened: &Opened) -> ApiError {
    let Opened { source, kind, .. } = opened;
    match error.needs {
        Some(Needs::Wide) => {
            error.with_hint(format!("if that is right: ipblock-ctl list accept {name}"))
        }
        // A refusal that `list accept` does not override.
        None if error.kind == ErrorKind::Conflict => error.with_hint(format!(
            "take it out of the {kind}; if it is right: ipblock-ctl list set {name} {} --deploy \
             --force",
            source.flags()
        )),
        Some(Needs::All) | None => error,
    }
}

/// Whether two lists have the same prefixes with the same notes, in any order.
fn holds_the_same(old: &[ListElement], new: &[ListElement]) -> bool {
    fn sorted(list: &[ListElement]) -> Vec<&ListElement> {
        let mut elements: Vec<_> = list.iter().collect();
        elements.sort_unstable_by_key(|element| (element.prefix, &element.note));
        elements
    }
    old == new || old.len() == new.len() && sorted(old) == sorted(new)
}

/// Returns the feed that reads a source; `None` for a list without a source. Only this function
/// knows the kinds of feeds.
fn open(source: &Source, settings: &Settings) -> Option<Opened> {
    let feed: Arc<dyn Feed> = match source {
        Source::Hand => return None,
        Source::File(file, options) => Arc::new(FileFeed::new(&settings.lists_dir, file, options)),
    };
    Some(Opened {
        source: source.clone(),
        kind: source.kind()?,
        feed,
    })
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document;

    use super::*;

    fn list(elements: &str) -> Vec<ListElement> {
        let text = format!("[list.feed]\nmatch = [{elements}]");
        let ruleset = document::parse(&text, "rules.toml", false).unwrap();
        let list = ruleset.lists.into_values().next().unwrap();
        list.elements.to_vec()
    }

    #[test]
    fn another_order_is_no_other_content_and_another_note_is() {
        let noted = "{ at = \"192.0.2.1\", note = \"a\" }";
        let first = list(&format!("{noted}, \"192.0.2.2\""));
        assert!(holds_the_same(
            &first,
            &list(&format!("\"192.0.2.2\", {noted}"))
        ));
        assert!(!holds_the_same(
            &first,
            &list("\"192.0.2.1\", \"192.0.2.2\"")
        ));
        assert!(!holds_the_same(&first, &list(noted)));
    }
}
