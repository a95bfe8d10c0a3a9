//! The service and what it holds in memory. What a room holds only that room changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ipblock_api::error::ApiError;
use ipblock_datapath::{PanicOff, PinDirectory, PinLock, SharedMapIds, SharedPins};
use ipblock_store::Store;
use tokio::sync::watch;

use super::{
    alerts::AlertDesk,
    attach::interfaces::Interfaces,
    bans::live::LiveBans,
    changing::Changing,
    connections::places::Places,
    drift::report::Drift,
    feeds::followed::Followed,
    generations::Generations,
    guard::sources::Sources,
    metrics::record::Record,
    rulesets::{Rulesets, Snapshot},
    settings::Settings,
};
use crate::changes::compile_cache::CompileCache;

/// The daemon's service: everything that a request can ask for is a method of it.
pub struct Service {
    pub(super) settings: Settings,
    pub(super) pins: PinDirectory,
    pub(super) _pin_lock: Option<PinLock>,
    pub(super) store: Store,
    /// Whom a change must not cut off.
    pub(super) guard: Sources,
    /// See [`super::changing::Changing`].
    pub(super) change: Mutex<()>,
    /// Held for writing only while a change is put in force, so that reading never waits for a
    /// build, and never sees half a switch.
    pub(super) state: SharedState,
    /// Which maps every generation's program has to use.
    pub(super) shared_maps: SharedMapIds,
    /// Where they are pinned.
    pub(super) shared_pins: SharedPins,
    /// Taken after `state` where both are needed, and never held while anything is built: a ban
    /// waits for no deploy. What may newly drop an address is judged and comes into force while this
    /// is held (decision 0017).
    pub(super) bans: Mutex<LiveBans>,
    /// Rulesets as they were compiled last. Held while one is compiled, and nothing else is taken
    /// meanwhile.
    pub(super) compile_cache: Mutex<CompileCache>,
    pub(super) alerts: AlertDesk,
    /// Whether all dropping was called off.
    pub(super) panic_off: PanicOff,
    /// Whether requests that wait for something should end: the daemon stops.
    pub(super) is_stopping: watch::Sender<bool>,
    /// What this process has done, for metrics.
    pub(super) record: Record,
    /// Connections to the socket.
    pub(super) places: Arc<Places>,
}

/// What is in force, and what is being edited.
pub(super) struct State {
    pub(super) rulesets: Rulesets,
    pub(super) generations: Generations,
    pub(super) interfaces: Interfaces,
    /// Deployed lists that follow a source.
    pub(super) followed: Followed,
    /// Where the kernel is not as it should be.
    pub(super) drift: Drift,
    /// Why metrics are not served although they are to be.
    pub(super) metrics_problem: Option<String>,
}

impl Service {
    /// Waits for whatever changes something just now; nothing else changes while this is held.
    pub(super) fn begin_change(&self) -> Changing<'_> {
        Changing::begin(&self.change, Some(self))
    }

    /// The change that a start is: until it is over the state is not yet what it should be.
    pub(super) fn begin_start(&self) -> Changing<'_> {
        Changing::begin(&self.change, None)
    }

    pub(super) fn bans(&self) -> MutexGuard<'_, LiveBans> {
        self.bans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write()
    }

    /// What is deployed and what is staged at this moment.
    pub(super) fn rulesets(&self) -> Snapshot {
        self.read().rulesets.snapshot()
    }
}

/// The state, which one writes or many read. A panic of one of them, which is a defect, does not end
/// the others.
pub(super) struct SharedState(RwLock<State>);

impl SharedState {
    pub(super) fn new(state: State) -> Self {
        Self(RwLock::new(state))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the store has; nothing of the kernel yet.
    pub(super) fn load(store: &Store) -> Result<Self, ApiError> {
        Ok(Self {
            rulesets: Rulesets::load(store)?,
            generations: Generations::load(store)?,
            interfaces: Interfaces::default(),
            followed: Followed::default(),
            drift: Drift::default(),
            metrics_problem: None,
        })
    }
}
