//! The state of alerts, and their sinks. Only this folder changes it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ipblock_api::types::AlertStatus;
use ipblock_common::{AlertSettings, limits};
use ipblock_datapath::{AlertEvents, AlertTables, DatapathError, HitTable, clock};
use ipblock_store::{AlertEpoch, AlertTotals, Store};
use tokio::sync::watch;

use super::episodes::Episodes;
use crate::start::error::StartError;
use crate::{settings::AlertsConfig, sinks::Sinks};

/// The parts of alerts: the engine that decides when to alert, the kernel's announcements, hits per
/// source, and the sinks.
pub(crate) struct AlertDesk {
    /// Taken after `state` if both are needed, and never held during a write to disk.
    engine: Mutex<Alerts>,
    /// Taken by the thread that reads them.
    pub(super) events: Mutex<Option<AlertEvents>>,
    /// Hits per source.
    pub(super) hits: HitTable,
    /// The sinks.
    pub(super) sinks: Sinks,
    pub(super) config: AlertsConfig,
}

/// The state of packets that hit alerting rules.
pub(super) struct Alerts {
    pub(super) tables: AlertTables,
    pub(super) episodes: Episodes,
    pub(super) epoch: AlertEpoch,
    pub(super) totals: AlertTotals,
    /// The id of the newest alert.
    pub(super) last: watch::Sender<u64>,
}

impl AlertDesk {
    /// Continues the counts of the store, and applies this configuration to the kernel.
    pub(crate) fn open(
        tables: AlertTables,
        events: AlertEvents,
        hits: HitTable,
        store: &Store,
        config: &AlertsConfig,
    ) -> Result<Self, StartError> {
        // The running filter uses it at once.
        let engine = Alerts::new(tables, store, config)?;
        Ok(Self {
            engine: Mutex::new(engine),
            events: Mutex::new(Some(events)),
            hits,
            sinks: Sinks::start(&config.sinks),
            config: config.clone(),
        })
    }

    pub(super) fn engine(&self) -> MutexGuard<'_, Alerts> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Restarts every window: the rules have changed, perhaps with the same numbers.
    pub(crate) fn forget_sources(&self) {
        self.engine().episodes.clear();
    }

    /// The id of the newest alert.
    pub(super) fn last(&self) -> u64 {
        *self.engine().last.borrow()
    }

    /// Returns a channel with the id of the newest alert.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.engine().last.subscribe()
    }

    /// Returns the sinks.
    pub(crate) fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    /// Returns what happened to packets that hit alerting rules.
    pub(crate) fn status(&self) -> Result<AlertStatus, DatapathError> {
        let engine = self.engine();
        let totals = engine.totals;
        // Read after the totals, which contain what the kernel had counted before.
        let counts = engine.tables.counts()?;
        let seen = totals.before + counts.announced + counts.held + counts.lost;
        let lost = counts.lost + totals.lost;
        Ok(AlertStatus {
            seen,
            reported: totals.reported,
            suppressed: seen.saturating_sub(totals.reported + lost),
            lost,
            window: self.config.window.as_secs(),
            rate: self.config.rate,
            sinks: self.sinks.status(),
        })
    }
}

impl Alerts {
    fn new(
        mut tables: AlertTables,
        store: &Store,
        config: &AlertsConfig,
    ) -> Result<Self, StartError> {
        let window = u64::try_from(config.window.as_nanos()).unwrap_or(u64::MAX);
        let epoch = AlertEpoch {
            boot_id: clock::boot_id().to_owned(),
            map: tables.id(),
        };
        let totals = store.alert_totals(&epoch)?;
        let last = store.last_alert()?;
        // No error is possible after this: the filter and this process use the same window.
        tables.set(AlertSettings {
            window,
            rate: config.rate,
        })?;
        Ok(Self {
            episodes: Episodes::new(window, limits::ALERT_WINDOWS as usize),
            totals,
            last: watch::Sender::new(last),
            epoch,
            tables,
        })
    }
}
