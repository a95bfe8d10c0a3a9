//! Following the files of deployed lists: a change of one is a deploy of its own.
//!
//! A file that gives no good content, or content that must not be deployed, leaves its list as it
//! is; `status` says so until the file is good again. [`file`] reads one, [`feed`] is what is known of it,
//! [`edits`] reads those that an edit or an applied ruleset names.

mod edits;
pub(super) mod feed;
mod file;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tracing::{info, warn};

pub(super) use self::feed::{Feeds, problem, problems};
use ipblock_api::{
    error::{ApiError, ErrorKind, Needs},
    types::Deployed,
};
use ipblock_fault::{Step, reach};
use ipblock_policy::{
    Hinted, List, ListElement, ListFile, ListName, Ruleset,
    diff::{ListDiff, diff_lists},
    edit, special,
};

use self::{
    edits::keeps,
    feed::{Back, Feed, Look},
};
use super::{
    asked::Asked,
    changing::Changing,
    deploy::nothing_to_do,
    execute::{Order, Target},
    guard::Caller,
    state::Service,
};

/// How soon what was refused is tried again, although its file has not changed.
const RETRY: Duration = Duration::from_mins(1);

impl Service {
    /// Looks at the file of every deployed list and reads those that changed; `all` reads them
    /// without looking. Called every second.
    ///
    /// While a revision awaits confirmation it looks at none: a deploy would take the way back.
    pub(super) fn follow_lists(&self, all: bool) {
        if self.read().confirmation.is_some() {
            return;
        }
        let files: BTreeMap<ListName, ListFile> = {
            let lists = Arc::clone(&self.read().deployed);
            let files = lists.lists.iter();
            files
                .filter_map(|(name, list)| Some((name.clone(), list.file.clone()?)))
                .collect()
        };
        let is_followed = |name: &ListName, feed: &Feed| files.get(name) == Some(&feed.file);
        let all_followed = {
            let state = self.read();
            state
                .feeds
                .iter()
                .all(|(name, feed)| is_followed(name, feed))
        };
        if !all_followed {
            let mut state = self.write();
            state.feeds.retain(|name, feed| is_followed(name, feed));
        }
        for (name, file) in &files {
            let seen = file::stamp(&self.settings.lists_dir, file);
            let seen = seen.map_err(|error| error.to_string());
            if all || self.is_due(name, file, &seen) {
                self.reread(name, file, &seen);
            } else {
                self.compare(name, file);
            }
        }
    }

    /// Whether a file has to be read. One that changes is left alone until it rests: who writes it
    /// in place may not be done.
    fn is_due(&self, name: &ListName, file: &ListFile, seen: &Look) -> bool {
        let state = self.read();
        let revision = state.revision;
        let Some(feed) = state.feeds.get(name) else {
            drop(state);
            let went_back = self.went_back();
            if went_back {
                self.take_as_read(name, file, seen);
            }
            return !went_back;
        };
        let tried_long_ago = feed.found.0.elapsed() >= RETRY || feed.found.1 != revision;
        let rests = feed.seen == *seen;
        let due = rests && (feed.read != *seen || feed.problem.is_some() && tried_long_ago);
        drop(state);
        if !rests && let Some(feed) = self.write().feeds.get_mut(name) {
            feed.seen.clone_from(seen);
        }
        due
    }

    /// Whether somebody went back to the deployed revision: a start must not undo that by reading
    /// again what they went back from.
    fn went_back(&self) -> bool {
        let deployed = self.read().revision;
        let newest = self
            .store
            .revisions()
            .unwrap_or_default()
            .into_iter()
            .next();
        newest.is_some_and(|newest| newest.number > deployed)
    }

    /// Follows a file from how it is now on.
    fn take_as_read(&self, name: &ListName, file: &ListFile, seen: &Look) {
        info!(list = %name, %file, "not read: a rollback stands; it is followed when it changes");
        let mut state = self.write();
        let feed = Feed::read_as(file, seen.clone(), state.revision);
        let back = Back::Unknown;
        state.feeds.insert(name.clone(), Feed { back, ..feed });
    }

    /// Notes which lists a rollback has made other than what was read last.
    pub(super) fn doubt_lists(&self, before: &Ruleset, after: &Ruleset) {
        let differs = |(name, list): &(&ListName, &List)| before.lists.get(*name) != Some(*list);
        let others: Vec<_> = after.lists.iter().filter(differs).collect();
        let mut state = self.write();
        for (name, list) in others {
            // One whose file is another is looked at as one that is new.
            if let Some(feed) = state.feeds.get_mut(name)
                && list.file.as_ref() == Some(&feed.file)
            {
                feed.back = Back::Unknown;
            }
        }
    }

    /// Finds out whether a list that came with a rollback is what its file says. What cannot be read
    /// counts as something else.
    fn compare(&self, name: &ListName, file: &ListFile) {
        let (good, revision) = {
            let state = self.read();
            let back = state.feeds.get(name).map(|feed| &feed.back);
            let Some((good, back)) = state.deployed.lists.get(name).zip(back) else {
                return;
            };
            let revision = match back {
                Back::No => return,
                Back::Unknown => state.revision,
                Back::Holds(_, list) if list == good => return,
                Back::Holds(revision, _) => *revision,
            };
            (good.clone(), revision)
        };
        let read = file::read(&self.settings.lists_dir, file);
        let is_same = read.is_ok_and(|(_, elements)| {
            let list = List {
                file: Some(file.clone()),
                elements: elements.into(),
            };
            holds_the_same(&good, &list)
        });
        let mut state = self.write();
        // Otherwise something else was deployed meanwhile, and it is asked again.
        if state.deployed.lists.get(name) == Some(&good)
            && let Some(feed) = state.feeds.get_mut(name)
        {
            feed.back = if is_same {
                Back::No
            } else {
                Back::Holds(revision, good)
            };
            let says = feed.says(name);
            drop(state);
            if let Some(says) = says {
                warn!("{says}");
            }
        }
    }

    /// Reads a list's file and deploys what it says.
    fn reread(&self, name: &ListName, file: &ListFile, seen: &Look) {
        // A large file takes a while: other changes need not wait for that.
        let read = file::read(&self.settings.lists_dir, file);
        reach(Step::ListRead);
        let changing = &self.begin_change();
        // What is deployed may be another revision than a moment ago. What was read is still that.
        let (before, is_on_trial) = {
            let state = self.read();
            (Arc::clone(&state.deployed), state.confirmation.is_some())
        };
        let good = before.lists.get(name);
        let Some(good) = good.filter(|list| list.file.as_ref() == Some(file)) else {
            return;
        };
        // It is read once that is confirmed or taken back.
        if is_on_trial {
            return;
        }
        let read = read.and_then(|(stamp, elements)| {
            self.require_not_shrunk(name, file, good, &elements)?;
            Ok((stamp, elements))
        });
        let (read, outcome) = match read {
            Ok((stamp, elements)) => {
                let feed = Content {
                    name,
                    file,
                    good,
                    elements,
                };
                let deployed = self.deploy_list(changing, feed, &before, None);
                let outcome = deployed.map_err(|error| one_line(&acceptable(error, name, file)));
                (Ok(stamp), outcome.map(drop))
            }
            Err(error) => (seen.clone(), Err(error.in_one_line())),
        };
        let problem = outcome.err().map(|why| keeps(name, good, &why));
        let mut state = self.write();
        let feed = Feed {
            problem: problem.clone(),
            ..Feed::read_as(file, read, state.revision)
        };
        let known = state.feeds.insert(name.clone(), feed);
        drop(state);
        match (known.and_then(|feed| feed.says(name)), problem) {
            (before, Some(problem)) if before.as_ref() != Some(&problem) => warn!("{problem}"),
            (Some(_), None) => info!(list = %name, %file, "the file is followed again"),
            _ => {}
        }
    }

    /// Takes what a deployed list's file says now, once, although it has shrunk or newly drops much.
    /// Other guards stay.
    pub fn accept_list(&self, name: &str, caller: &Caller) -> Result<Deployed, ApiError> {
        let changing = &self.begin_change();
        let (before, revision) = {
            let state = self.read();
            (Arc::clone(&state.deployed), state.revision)
        };
        let parsed: Option<ListName> = name.parse().ok();
        let found = parsed.and_then(|name| before.lists.get_key_value(&name));
        let (name, good) = found.ok_or_else(|| edit::no_such_list(name, &before))?;
        let Some(file) = &good.file else {
            let message = format!("list `{name}` is kept by hand: it has no file to accept");
            return Err(ApiError::new(ErrorKind::Conflict, message)
                .with_hint("`ipblock-ctl list list` names the files of lists"));
        };
        let (stamp, elements) = self
            .read_list(name, file, good, true)
            .map_err(|error| error.of_list(name))?;
        let feed = Content {
            name,
            file,
            good,
            elements,
        };
        let deployed = self.deploy_list(changing, feed, &before, Some(caller))?;
        let mut state = self.write();
        let feed = Feed::read_as(file, Ok(stamp), state.revision);
        state.feeds.insert(name.clone(), feed);
        drop(state);
        self.audit(
            &caller.author,
            "list-accept",
            &format!("list {name}, {file}"),
        );
        Ok(deployed.unwrap_or_else(|| nothing_to_do(revision, &before)))
    }

    /// Deploys other content of a list, and nothing else: what is staged stays staged. `accepted_by`
    /// is the operator who takes it although it newly drops much.
    fn deploy_list(
        &self,
        changing: &Changing<'_>,
        content: Content<'_>,
        before: &Arc<Ruleset>,
        accepted_by: Option<&Caller>,
    ) -> Result<Option<Deployed>, ApiError> {
        let Content {
            name,
            file,
            good,
            elements,
        } = content;
        let list = List {
            file: Some(file.clone()),
            elements: elements.into(),
        };
        if holds_the_same(good, &list) {
            return Ok(None);
        }
        let comment = match diff_lists(good, &list) {
            ListDiff { more: 0, fewer: 0 } => format!("list {name}: other notes ({file})"),
            counts => format!("list {name}: {} ({file})", counts.in_words()),
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
                // Where no operator asked, what would lock out or newly drops much is refused, and the list
                // stays as it is.
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

/// What a list's file says now.
struct Content<'a> {
    name: &'a ListName,
    file: &'a ListFile,
    /// What the list holds.
    good: &'a List,
    elements: Vec<ListElement>,
}

/// The same error; where the operator may take the content as it is, it says how.
fn acceptable(error: ApiError, name: &ListName, file: &ListFile) -> ApiError {
    match error.needs {
        Some(Needs::Wide) => {
            error.with_hint(format!("if that is right: ipblock-ctl list accept {name}"))
        }
        // What `list accept` does not lift.
        None if error.kind == ErrorKind::Conflict => error.with_hint(format!(
            "take it out of the file; if it is right: ipblock-ctl list set {name} --file {file} \
             --deploy --force"
        )),
        None => error,
    }
}

/// Whether two lists hold the same prefixes with the same notes, in whatever order.
fn holds_the_same(old: &List, new: &List) -> bool {
    if old.elements == new.elements {
        return true;
    }
    let sorted = |list: &List| {
        let mut elements: Vec<_> = list.elements.iter().collect();
        elements.sort_unstable_by_key(|element| (element.prefix, &element.note));
        elements.into_iter().cloned().collect::<Vec<_>>()
    };
    old.elements.len() == new.elements.len() && sorted(old) == sorted(new)
}

fn one_line(error: &ApiError) -> String {
    let joined = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.join("; ")
    };
    let message = joined(&error.message);
    match &error.hint {
        Some(hint) => format!("{message} ({})", joined(hint)),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::document;

    use super::*;

    fn list(elements: &str) -> List {
        let text = format!("[list.feed]\nmatch = [{elements}]");
        let ruleset = document::parse(&text, "rules.toml", false).unwrap();
        ruleset.lists.into_values().next().unwrap()
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

    #[test]
    fn a_refusal_is_one_line_in_status() {
        let error = ApiError::new(ErrorKind::Conflict, "it would\n  lock out");
        let shown = one_line(&error.with_hint("do this\nor that"));
        assert_eq!(shown, "it would; lock out (do this; or that)");
    }
}
