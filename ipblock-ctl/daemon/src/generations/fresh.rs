//! A generation that is not in force yet.

use std::collections::BTreeMap;

use ipblock_api::error::ApiError;
use ipblock_policy::{ZoneName, compile::CompiledZone};
use ipblock_store::Store;
use tracing::warn;

use crate::generations::LiveZone;
use crate::state::Service;

/// A zone's generation that is built and pinned, and not in force. A drop removes its pins and its
/// records in the store.
pub(crate) struct Fresh<'a> {
    /// `None` after it was put in force.
    live: Option<LiveZone>,
    /// The service that undoes it; `None` for one of an interrupted change, which is finished or
    /// tried again.
    undone_by: Option<&'a Service>,
}

impl<'a> Fresh<'a> {
    /// Returns one that was just built.
    pub(crate) fn built(live: LiveZone, service: &'a Service) -> Self {
        Self {
            live: Some(live),
            undone_by: Some(service),
        }
    }

    /// Returns one that another process has built and recorded.
    pub(crate) fn adopted(live: LiveZone) -> Self {
        Self {
            live: Some(live),
            undone_by: None,
        }
    }

    /// Records it, so that a daemon that finds it on a link knows what it counts.
    pub(crate) fn record(
        &self,
        store: &Store,
        name: &ZoneName,
        zone: &CompiledZone,
        revision: u64,
    ) -> Result<(), ApiError> {
        if let Some(live) = &self.live {
            store.record_built(&live.record(name, zone, revision))?;
        }
        Ok(())
    }

    /// Returns its number.
    pub(crate) fn number(&self) -> Option<u64> {
        let live = self.live.as_ref();
        live.map(|live| live.generation.number())
    }

    /// Returns the generation, which is put in force now and no longer undoes itself.
    pub(crate) fn put_in_force(mut self) -> Option<LiveZone> {
        self.live.take()
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        let (Some(live), Some(service)) = (self.live.take(), self.undone_by) else {
            return;
        };
        let number = live.generation.number();
        service.unpin(number);
        if let Err(error) = service.store.discard_built(number) {
            warn!(generation = number, %error, "a generation that was not put in force stays recorded");
        }
    }
}

/// Returns the generations of a change, which are put in force now.
pub(crate) fn put_in_force(fresh: BTreeMap<ZoneName, Fresh<'_>>) -> BTreeMap<ZoneName, LiveZone> {
    let live = fresh.into_iter();
    live.filter_map(|(name, fresh)| Some((name, fresh.put_in_force()?)))
        .collect()
}
