//! Following the files of deployed lists: a change of one is a deploy of its own.
//!
//! A file that gives no good content, or content that must not be deployed, leaves its list as it
//! is; `status` says so until the file is good again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{
    execute::{Order, Target},
    lists::{self, Stamp, keeps},
    state::Service,
};
use crate::{
    api::error::ApiError,
    policy::{
        List, ListElement, ListFile, ListName, Ruleset,
        diff::{ListDiff, diff_lists},
        edit,
    },
};

/// How soon what was refused is tried again, although its file has not changed.
const RETRY: Duration = Duration::from_mins(1);

/// The state of a file, or why it cannot be opened.
type Look = Result<Stamp, String>;

/// What is known of a deployed list's file.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    file: ListFile,
    /// At the last look.
    seen: Look,
    /// At the last reading.
    read: Look,
    /// Why its list is not what it says.
    problem: Option<String>,
    /// When that was found, and the revision that it was found with.
    found: (Instant, u64),
}

/// Feeds by the list that they fill.
pub(super) type Feeds = BTreeMap<ListName, Feed>;

/// What `status` says of feeds.
pub(super) fn problems(feeds: &Feeds) -> impl Iterator<Item = String> {
    feeds.values().filter_map(|feed| feed.problem.clone())
}

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
            let seen = lists::stamp(&self.settings.lists_dir, file);
            let seen = seen.map_err(|error| error.to_string());
            if all || self.is_due(name, file, &seen) {
                // Another deploy may come in between; then what was read is read again.
                while !self.reread(name, file, &seen) {}
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
        let found = (Instant::now(), state.revision);
        let feed = Feed {
            file: file.clone(),
            seen: seen.clone(),
            read: seen.clone(),
            problem: None,
            found,
        };
        state.feeds.insert(name.clone(), feed);
    }

    /// Reads a list's file and deploys what it says. False: meanwhile something else was deployed.
    fn reread(&self, name: &ListName, file: &ListFile, seen: &Look) -> bool {
        let before = Arc::clone(&self.read().deployed);
        let good = before.lists.get(name);
        let Some(good) = good.filter(|list| list.file.as_ref() == Some(file)) else {
            return true;
        };
        // A large file takes a while: other changes need not wait for that.
        let read = self.read_list(name, file, good, false);
        let _change = self.begin_change();
        if !Arc::ptr_eq(&before, &self.read().deployed) {
            return false;
        }
        let (read, outcome) = match read {
            Ok((stamp, elements)) => {
                let deployed = self.deploy_list(name, file, &before, good, elements);
                (Ok(stamp), deployed.map_err(|error| one_line(&error)))
            }
            Err(error) => (seen.clone(), Err(error.in_one_line())),
        };
        let problem = outcome.err().map(|why| keeps(name, good, &why));
        let mut state = self.write();
        let found = (Instant::now(), state.revision);
        let feed = Feed {
            file: file.clone(),
            seen: read.clone(),
            read,
            problem: problem.clone(),
            found,
        };
        let known = state.feeds.insert(name.clone(), feed);
        drop(state);
        match (known.and_then(|feed| feed.problem), problem) {
            (before, Some(problem)) if before.as_ref() != Some(&problem) => warn!("{problem}"),
            (Some(_), None) => info!(list = %name, %file, "the file is followed again"),
            _ => {}
        }
        true
    }

    /// Deploys other content of a list, and nothing else: what is staged stays staged.
    fn deploy_list(
        &self,
        name: &ListName,
        file: &ListFile,
        before: &Arc<Ruleset>,
        good: &List,
        elements: Vec<ListElement>,
    ) -> Result<(), ApiError> {
        let list = List {
            file: Some(file.clone()),
            elements: elements.into(),
        };
        if holds_the_same(good, &list) {
            return Ok(());
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
        self.execute(&Order {
            plan: &plan,
            target: Target::New {
                comment: &comment,
                confirm_within: None,
            },
            // Nobody asked: what would lock out is refused, and the list stays as it is.
            caller: None,
            force: false,
            clear_staged: false,
        })?;
        self.rebase_staged_if_possible();
        Ok(())
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
    match &error.hint {
        Some(hint) => format!("{} ({})", error.message, hint.replace('\n', "; ")),
        None => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::document;

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
        let error = ApiError::new(crate::api::error::ErrorKind::Conflict, "it would lock out");
        let shown = one_line(&error.with_hint("do this\nor that"));
        assert_eq!(shown, "it would lock out (do this; or that)");
    }
}
