//! What is known of deployed lists that follow a source.

use std::{collections::BTreeMap, time::Instant};

use ipblock_policy::{List, ListName};

use super::feed::{Opened, Stamp};

/// The state of a source, or why it cannot be reached.
pub(super) type Look = Result<Stamp, String>;

/// What is known of a deployed list that follows a source.
#[derive(Clone, Debug)]
pub(crate) struct FollowedList {
    pub(super) opened: Opened,
    /// At the last look.
    pub(super) seen: Look,
    /// At the last reading.
    pub(super) read: Look,
    /// Why the list is not what its source says.
    pub(super) problem: Option<String>,
    /// When that was found, and the revision that it was found with.
    pub(super) found: (Instant, u64),
    pub(super) back: Back,
}

/// What a rollback has made of a followed list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// Nothing: it is what its source says.
    No,
    /// It is of another revision; whether its source says the same is not known yet.
    Unknown,
    /// It is what this revision has, which was put back, and not what its source says.
    Holds(u64, List),
}

impl FollowedList {
    /// One that was read, or taken as read, in this state.
    pub(super) fn read_as(opened: &Opened, read: Look, revision: u64) -> Self {
        Self {
            opened: opened.clone(),
            seen: read.clone(),
            read,
            problem: None,
            found: (Instant::now(), revision),
            back: Back::No,
        }
    }

    /// Why it is not what its source says.
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

/// What `status` says of them.
pub(crate) fn problems(followed: &Followed) -> impl Iterator<Item = String> {
    followed.iter().filter_map(|(name, list)| list.says(name))
}

/// What is to be said of one of them.
pub(crate) fn problem(followed: &Followed, name: &ListName) -> Option<String> {
    followed.get(name)?.says(name)
}
