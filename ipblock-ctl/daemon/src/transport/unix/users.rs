//! Users and groups in the system's user database.
//!
//! The database may be a directory on another host that does not answer. So each lookup has its own
//! thread. There is one lookup per user at a time, for all of their connections, so many
//! connections keep at most one processor busy.

use std::{
    collections::{HashMap, hash_map::Entry},
    panic::catch_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use ipblock_api::routes::Right;
use nix::unistd::{Group, Uid, User};
use tokio::sync::watch;
use tracing::{error, warn};

use crate::{
    person::Name,
    principal::{CHANGE_GROUP, VIEW_GROUP},
};

/// The database's entries about a user and the relevant groups.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// The user's name.
    pub(super) name: Arc<str>,
    change: Option<u32>,
    view: Option<u32>,
}

impl Listed {
    /// Looks up everything again: groups may be created while the daemon runs. Takes as long as the
    /// database.
    pub(crate) fn look_up(uid: u32) -> Self {
        Self {
            name: name_of(uid),
            change: group_id(CHANGE_GROUP),
            view: group_id(VIEW_GROUP),
        }
    }

    /// Returns the right that the groups give.
    pub(super) fn right_of(&self, groups: &[u32]) -> Option<Right> {
        let is_in = |group: Option<u32>| group.is_some_and(|id| groups.contains(&id));
        if is_in(self.change) {
            Some(Right::Change)
        } else {
            is_in(self.view).then_some(Right::View)
        }
    }
}

/// Returns the user's name; empty if the database has none.
pub(super) fn name_of(uid: u32) -> Arc<str> {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map(|user| user.name).unwrap_or_default().into()
}

fn group_id(name: &str) -> Option<u32> {
    let group = Group::from_name(name).ok()??;
    Some(group.gid.as_raw())
}

/// The result of a lookup, when it is finished.
type Said = watch::Receiver<Option<Listed>>;

/// A lookup in progress: its result, and the name in it.
#[derive(Clone)]
struct Asked {
    listed: Said,
    name: Name,
}

/// Lookups in progress.
#[derive(Clone)]
pub(super) struct Users {
    look_up: fn(u32) -> Listed,
    asked: Arc<Mutex<HashMap<u32, Asked>>>,
}

impl Users {
    /// Returns an empty table; each lookup will call this function on its thread.
    pub(super) fn new(look_up: fn(u32) -> Listed) -> Self {
        Self {
            look_up,
            asked: Arc::default(),
        }
    }

    /// Returns the database's entries about this user; `None` if it cannot be queried.
    pub(super) async fn look_up(&self, uid: u32) -> Option<Listed> {
        let mut said = self.ask(uid)?.listed;
        let listed = said.wait_for(Option::is_some).await.ok()?;
        listed.clone()
    }

    /// Starts to look up a user's name; `None` if the database cannot be queried.
    pub(super) fn look_up_name(&self, uid: u32) -> Option<Name> {
        Some(self.ask(uid)?.name)
    }

    /// Joins the lookup of this user that is in progress, or starts one.
    fn ask(&self, uid: u32) -> Option<Asked> {
        let mut asked = self.asked();
        let first = match asked.entry(uid) {
            Entry::Occupied(others) => return Some(others.get().clone()),
            Entry::Vacant(first) => first,
        };
        let (say, listed) = watch::channel(None);
        let (say_name, name) = watch::channel(None);
        let users = self.clone();
        // Not a thread of the runtime, which waits for its own threads when it ends.
        let started = thread::Builder::new()
            .name("lookup".to_owned())
            .spawn(move || {
                let listed = catch_unwind(|| (users.look_up)(uid));
                // Before the result is sent: a later connection may belong to a user with new
                // groups.
                users.asked().remove(&uid);
                if let Ok(listed) = listed {
                    say_name.send_replace(Some(Arc::clone(&listed.name)));
                    say.send_replace(Some(listed));
                } else {
                    // The connections that wait for it are closed.
                    error!(uid, "looking up a user failed: a defect in ipblockd");
                }
            });
        match started {
            Ok(_) => Some(first.insert(Asked { listed, name }).clone()),
            Err(error) => {
                warn!(%error, uid, "a connection was closed: no thread to look up its user");
                None
            }
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u32, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_lookup_is_tried_again() {
        let users = Users::new(|_| panic!("the database is broken"));
        for _ in 0..2 {
            assert!(users.look_up(7).await.is_none());
            assert!(users.asked().is_empty());
        }
    }

    #[test]
    fn a_right_comes_with_a_group_and_the_greater_one_counts() {
        let listed = |change, view| Listed {
            name: Arc::default(),
            change,
            view,
        };
        let both = listed(Some(7), Some(8));
        assert_eq!(both.right_of(&[1, 7]), Some(Right::Change));
        assert_eq!(both.right_of(&[8, 7]), Some(Right::Change));
        assert_eq!(both.right_of(&[8, 1]), Some(Right::View));
        assert_eq!(both.right_of(&[1, 2]), None);
        assert_eq!(listed(None, None).right_of(&[7, 8]), None);
    }
}
