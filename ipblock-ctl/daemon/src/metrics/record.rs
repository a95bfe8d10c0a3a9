//! The process's own data for metrics: its start, and the last deploy.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ipblock_api::types::Deployed;
use ipblock_store::{Store, StoreError};
use jiff::Timestamp;

/// Written once per deploy.
pub(crate) struct Record {
    started: Timestamp,
    last_deploy: Mutex<Option<LastDeploy>>,
}

/// The deploy or rollback that put the deployed revision in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LastDeploy {
    /// The time.
    pub(super) time: Timestamp,
    /// Duration of building and switching; `None` if another process did it.
    pub(super) took: Option<Duration>,
}

impl Record {
    /// Returns the record at the start of the process. For the last deploy the store has the time
    /// of its revision.
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

    /// Records that a revision was put in force: a new one, or one from a rollback.
    pub(crate) fn deployed(&self, store: &Store, is_new: bool, deployed: &Deployed) {
        // The time that the next process reads from the store, otherwise its start would look like
        // another deploy. After a rollback, the revision is older than the rollback.
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
