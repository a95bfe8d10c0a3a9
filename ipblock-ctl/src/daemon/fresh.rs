//! A generation on its way into force.

use std::collections::BTreeMap;

use tracing::warn;

use super::state::{LiveZone, Service};
use crate::{
    api::error::ApiError,
    datapath::PinDirectory,
    policy::{ZoneName, compile::CompiledZone},
    store::Store,
};

/// A zone's generation that is built and pinned, and not in force. Dropped, it is gone again: its pins,
/// and what the store has recorded of it.
pub(super) struct Fresh<'a> {
    /// `None` once it is put in force.
    live: Option<LiveZone>,
    undo: Undo<'a>,
}

enum Undo<'a> {
    /// It is an interrupted change's, which is finished or tried again.
    Never,
    Unpin(&'a PinDirectory),
    UnpinAndForget(&'a PinDirectory, &'a Store),
}

impl<'a> Fresh<'a> {
    /// One that was just built.
    pub(super) fn built(live: LiveZone, pins: &'a PinDirectory) -> Self {
        Self {
            live: Some(live),
            undo: Undo::Unpin(pins),
        }
    }

    /// One that another process has built and recorded.
    pub(super) fn adopted(live: LiveZone) -> Self {
        Self {
            live: Some(live),
            undo: Undo::Never,
        }
    }

    /// Records it, so that whoever finds it on a link knows what it counts.
    pub(super) fn record(
        &mut self,
        service: &'a Service,
        name: &ZoneName,
        zone: &CompiledZone,
        revision: u64,
    ) -> Result<(), ApiError> {
        if let Some(live) = &self.live {
            service
                .store
                .record_built(&live.record(name, zone, revision))?;
        }
        self.undo = Undo::UnpinAndForget(&service.pins, &service.store);
        Ok(())
    }

    /// Its number.
    pub(super) fn number(&self) -> Option<u64> {
        let live = self.live.as_ref();
        live.map(|live| live.generation.number())
    }

    /// The generation, which is about to be put in force and undoes itself no more.
    pub(super) fn put_in_force(mut self) -> Option<LiveZone> {
        self.live.take()
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        let Some(live) = self.live.take() else { return };
        let number = live.generation.number();
        let (pins, store) = match self.undo {
            Undo::Never => return,
            Undo::Unpin(pins) => (pins, None),
            Undo::UnpinAndForget(pins, store) => (pins, Some(store)),
        };
        unpin(pins, number);
        if let Some(Err(error)) = store.map(|store| store.discard_built(number)) {
            warn!(generation = number, %error, "a generation that was not put in force stays recorded");
        }
    }
}

/// The generations of a change, about to be put in force.
pub(super) fn put_in_force(fresh: BTreeMap<ZoneName, Fresh<'_>>) -> BTreeMap<ZoneName, LiveZone> {
    let live = fresh.into_iter();
    live.filter_map(|(name, fresh)| Some((name, fresh.put_in_force()?)))
        .collect()
}

/// Lets a generation's pins go. One that stays is removed at the next start.
pub(super) fn unpin(pins: &PinDirectory, generation: u64) {
    if let Err(error) = pins.remove_generation(generation) {
        warn!(generation, %error, "pins of an old generation stay");
    }
}
