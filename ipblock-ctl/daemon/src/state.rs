//! The service and its state in memory. Each room changes only its own state.

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

/// The daemon's service: every request is one of its methods.
pub struct Service {
    pub(super) settings: Settings,
    pub(super) pins: PinDirectory,
    pub(super) _pin_lock: Option<PinLock>,
    pub(super) store: Store,
    /// The sources of protected addresses.
    pub(super) guard: Sources,
    /// See [`super::changing::Changing`].
    pub(super) change: Mutex<()>,
    /// Locked for writing only while a change is put in force, so a reader never waits for a build,
    /// and never sees half a switch.
    pub(super) state: SharedState,
    /// The maps that every generation's program must use.
    pub(super) shared_maps: SharedMapIds,
    /// Their pins.
    pub(super) shared_pins: SharedPins,
    /// Taken after `state` if both are needed, and never held during a build: a ban waits for no
    /// deploy. What may newly drop an address is judged and put in force while this is locked
    /// (decision 0017).
    pub(super) bans: Mutex<LiveBans>,
    /// Cache of compiled rulesets. Locked during a compilation, and no other lock is taken
    /// meanwhile.
    pub(super) compile_cache: Mutex<CompileCache>,
    pub(super) alerts: AlertDesk,
    /// Whether all dropping is disabled.
    pub(super) panic_off: PanicOff,
    /// Whether waiting requests should end, because the daemon stops.
    pub(super) is_stopping: watch::Sender<bool>,
    /// The process's own data, for metrics.
    pub(super) record: Record,
    /// Connections to the socket.
    pub(super) places: Arc<Places>,
}

/// What is in force, and what is staged.
pub(super) struct State {
    pub(super) rulesets: Rulesets,
    pub(super) generations: Generations,
    pub(super) interfaces: Interfaces,
    /// Deployed lists that follow a source.
    pub(super) followed: Followed,
    /// Differences between the kernel and the intended state.
    pub(super) drift: Drift,
    /// Why metrics are not served although they are configured.
    pub(super) metrics_problem: Option<String>,
}

impl Service {
    /// Waits for the present change; nothing else changes while the result lives.
    pub(super) fn begin_change(&self) -> Changing<'_> {
        Changing::begin(&self.change, Some(self))
    }

    /// Starts the change of a start: the state is not consistent until it is done.
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

    /// Returns the present deployed and staged rulesets.
    pub(super) fn rulesets(&self) -> Snapshot {
        self.read().rulesets.snapshot()
    }
}

/// The state, with one writer or many readers. A panic of one of them, which is a bug, does not
/// affect the others.
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
    /// Returns the state in the store, without the kernel's.
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
