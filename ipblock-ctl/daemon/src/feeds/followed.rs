//! The state of deployed lists that follow a source.

use std::{collections::BTreeMap, time::Instant};

use ipblock_policy::{List, ListName};
use jiff::Timestamp;

use super::feed::{Opened, Stamp};

/// The state of a source, or why it cannot be reached.
pub(super) type Look = Result<Stamp, String>;

/// The state of a deployed list that follows a source.
#[derive(Clone, Debug)]
pub(crate) struct FollowedList {
    pub(super) opened: Opened,
    /// At the last check.
    pub(super) seen: Look,
    /// At the last read.
    pub(super) read: Look,
    /// When its content was read last; `None` if it was not since the start.
    pub(super) last_read: Option<Timestamp>,
    /// Why the list differs from its source.
    pub(super) problem: Option<String>,
    /// When that was found, and the revision at that time.
    pub(super) found: (Instant, u64),
    pub(super) back: Back,
}

/// The effect of a rollback on a followed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// None: it equals its source.
    No,
    /// It is from another revision; whether it equals its source is not known yet.
    Unknown,
    /// It is from this revision, after a rollback, and differs from its source.
    Holds(u64, List),
}

impl FollowedList {
    /// Returns a list that was read in this state, or counts as read.
    pub(super) fn read_as(opened: &Opened, read: Look, revision: u64) -> Self {
        Self {
            opened: opened.clone(),
            seen: read.clone(),
            read,
            last_read: Some(Timestamp::now()),
            problem: None,
            found: (Instant::now(), revision),
            back: Back::No,
        }
    }

    /// Returns why it differs from its source.
    pub(super) fn says(&self, list: &ListName) -> Option<String> {
        let Back::Holds(revision, _) = self.back else {
            return self.problem.clone();
        };
        let Opened { source, kind, .. } = &self.opened;
        Some(format!(
            "list {list} is not read: a rollback put revision {revision} back, and {source} holds \
             something else; it is read when the {kind} changes (now: ipblock-ctl list accept \
             {list})"
        ))
    }
}

/// The deployed lists that follow a source.
pub(crate) type Followed = BTreeMap<ListName, FollowedList>;

/// Returns the problems for `status`.
pub(crate) fn problems(followed: &Followed) -> impl Iterator<Item = String> {
    followed.iter().filter_map(|(name, list)| list.says(name))
}

/// Returns the problem of one list.
pub(crate) fn problem(followed: &Followed, name: &ListName) -> Option<String> {
    followed.get(name)?.says(name)
}

/// Returns when the source of a list was read last.
pub(crate) fn last_read(followed: &Followed, name: &ListName) -> Option<Timestamp> {
    followed.get(name)?.last_read
}
