//! What the process remembers of itself for metrics: when it started, and the last deploy.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ipblock_api::types::Deployed;
use ipblock_store::{Store, StoreError};
use jiff::Timestamp;

/// Written once for each deploy.
pub(crate) struct Record {
    started: Timestamp,
    last_deploy: Mutex<Option<LastDeploy>>,
}

/// The deploy or rollback that put the deployed revision in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LastDeploy {
    /// When.
    pub(super) time: Timestamp,
    /// How long building and switching took; none when another process did it.
    pub(super) took: Option<Duration>,
}

impl Record {
    /// As the process starts. Of the last deploy the store knows when its revision was made.
    pub(crate) fn begin(store: &Store) -> Result<Self, StoreError> {
        let last_deploy = store.deployed_revision()?.map(|revision| LastDeploy {
            time: revision.time,
            took: None,
        });
        Ok(Self {
            started: Timestamp::now(),
            last_deploy: Mutex::new(last_deploy),
        })
    }

    /// A revision has been put in force: a new one, or one that came back.
    pub(crate) fn deployed(&self, store: &Store, is_new: bool, deployed: &Deployed) {
        // The time that the next process will read from the store, or its start would look like one
        // more deploy. A revision that came back is older than its coming back.
        let revision = || store.revision(deployed.revision).ok().flatten();
        let made = if is_new { revision() } else { None };
        let last = LastDeploy {
            time: made.map_or_else(Timestamp::now, |revision| revision.time),
            took: Some(Duration::from_millis(
                deployed.build_ms.saturating_add(deployed.switch_ms),
            )),
        };
        *self
            .last_deploy
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    pub(super) const fn started(&self) -> Timestamp {
        self.started
    }

    pub(super) fn last_deploy(&self) -> Option<LastDeploy> {
        *self
            .last_deploy
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
