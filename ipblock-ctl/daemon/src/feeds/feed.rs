//! What is known of a deployed list's file.

use std::{collections::BTreeMap, time::Instant};

use ipblock_policy::{List, ListFile, ListName};

use super::file::Stamp;

/// The state of a file, or why it cannot be opened.
pub(super) type Look = Result<Stamp, String>;

/// What is known of a deployed list's file.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(super) file: ListFile,
    /// At the last look.
    pub(super) seen: Look,
    /// At the last reading.
    pub(super) read: Look,
    /// Why its list is not what it says.
    pub(super) problem: Option<String>,
    /// When that was found, and the revision that it was found with.
    pub(super) found: (Instant, u64),
    pub(super) back: Back,
}

/// What a rollback has made of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// Nothing: its list is what the file says.
    No,
    /// Its list is of another revision; whether the file says the same is not known yet.
    Unknown,
    /// Its list is what this revision has, which was put back, and not what the file says.
    Holds(u64, List),
}

impl Feed {
    /// One that was read, or taken as read, in this state.
    pub(super) fn read_as(file: &ListFile, read: Look, revision: u64) -> Self {
        Self {
            file: file.clone(),
            seen: read.clone(),
            read,
            problem: None,
            found: (Instant::now(), revision),
            back: Back::No,
        }
    }

    /// Why its list is not what the file says.
    pub(super) fn says(&self, list: &ListName) -> Option<String> {
        let Back::Holds(revision, _) = self.back else {
            return self.problem.clone();
        };
        let file = &self.file;
        Some(format!(
            "list {list} is not read: a rollback put revision {revision} back, and {file} holds \
             something else; it is read when the file changes (now: ipblock-ctl list accept \
             {list})"
        ))
    }
}

/// Feeds by the list that they fill.
pub(crate) type Feeds = BTreeMap<ListName, Feed>;

/// What `status` says of feeds.
pub(crate) fn problems(feeds: &Feeds) -> impl Iterator<Item = String> {
    feeds.iter().filter_map(|(list, feed)| feed.says(list))
}

/// What is to be said of the feed that fills a list.
pub(crate) fn problem(feeds: &Feeds, list: &ListName) -> Option<String> {
    feeds.get(list)?.says(list)
}
