//! Following the files of deployed lists: a change of one is a deploy of its own.
//!
//! A file that gives no good content, or content that must not be deployed, leaves its list as it
//! is; `status` says so until the file is good again.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    execute::{Order, Target},
    lists::{self, Stamp, keeps},
    plan::Plan,
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
const RETRY: Duration = Duration::from_secs(60);

/// What is known of a deployed list's file.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    file: ListFile,
    /// At the last look; none: it could not be opened.
    seen: Option<Stamp>,
    /// At the last reading.
    read: Option<Stamp>,
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
        if !self.read().feeds.is_empty() {
            let kept = |name: &ListName, feed: &mut Feed| files.get(name) == Some(&feed.file);
            self.write().feeds.retain(kept);
        }
        for (name, file) in files {
            let seen = lists::stamp(&self.settings.lists_dir, &file).ok();
            if all || self.is_due(&name, seen) {
                self.reread(&name, &file, seen);
            }
        }
    }

    /// Whether a file has to be read. One that changes is left alone until it rests: who writes it
    /// in place may not be done.
    fn is_due(&self, name: &ListName, seen: Option<Stamp>) -> bool {
        let state = self.read();
        let revision = state.revision;
        let Some(feed) = state.feeds.get(name) else {
            return true;
        };
        let tried_long_ago = feed.found.0.elapsed() >= RETRY || feed.found.1 != revision;
        let rests = feed.seen == seen;
        let due = rests && (feed.read != seen || feed.problem.is_some() && tried_long_ago);
        drop(state);
        if !rests && let Some(feed) = self.write().feeds.get_mut(name) {
            feed.seen = seen;
        }
        due
    }

    /// Reads a list's file and deploys what it says.
    fn reread(&self, name: &ListName, file: &ListFile, seen: Option<Stamp>) {
        let _change = self.begin_change();
        let before = Arc::clone(&self.read().deployed);
        let Some(good) = before.lists.get(name) else {
            return;
        };
        if good.file.as_ref() != Some(file) {
            return;
        }
        let (read, outcome) = match self.read_list(name, file, good, false) {
            Ok((stamp, elements)) => {
                let deployed = self.deploy_list(name, file, &before, good, elements);
                (Some(stamp), deployed.map_err(|error| one_line(&error)))
            }
            Err(error) => (seen, Err(error.in_one_line())),
        };
        let problem = outcome.err().map(|why| keeps(name, good, &why));
        let mut state = self.write();
        let found = (Instant::now(), state.revision);
        let feed = Feed {
            file: file.clone(),
            seen: read,
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
            elements,
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
        let plan = Plan::compute(Arc::clone(before), Arc::new(after), Timestamp::now())?;
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
