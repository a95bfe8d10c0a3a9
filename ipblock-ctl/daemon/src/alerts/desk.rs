//! What is known of alerts, and where they go. Only this folder changes it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ipblock_api::types::AlertStatus;
use ipblock_common::{AlertSettings, limits};
use ipblock_datapath::{AlertEvents, AlertTables, DatapathError, HitTable, clock};
use ipblock_store::{AlertEpoch, AlertTotals, Store};
use tokio::sync::watch;

use super::episodes::Episodes;
use crate::start::error::StartError;
use crate::{settings::AlertsConfig, sinks::Sinks};

/// What alerts need: the engine that decides when there is one, what the kernel announces, who hits,
/// and where alerts go.
pub(crate) struct AlertDesk {
    /// Taken after `state` where both are needed, and never held while anything is written to disk.
    engine: Mutex<Alerts>,
    /// Taken by the thread that reads them.
    pub(super) events: Mutex<Option<AlertEvents>>,
    /// Who hits.
    pub(super) hits: HitTable,
    /// Where alerts go.
    pub(super) sinks: Sinks,
    pub(super) config: AlertsConfig,
}

/// What is known of packets that hit rules that alert.
pub(super) struct Alerts {
    pub(super) tables: AlertTables,
    pub(super) episodes: Episodes,
    pub(super) epoch: AlertEpoch,
    pub(super) totals: AlertTotals,
    /// The id of the newest alert.
    pub(super) last: watch::Sender<u64>,
}

impl AlertDesk {
    /// Counts on where the store left off; the kernel goes by this configuration from now on.
    pub(crate) fn open(
        tables: AlertTables,
        events: AlertEvents,
        hits: HitTable,
        store: &Store,
        config: &AlertsConfig,
    ) -> Result<Self, StartError> {
        // The running filter goes by it at once.
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

    /// Begins every window anew: rules are others from now on, also those of one number.
    pub(crate) fn forget_sources(&self) {
        self.engine().episodes.clear();
    }

    /// The id of the newest alert.
    pub(super) fn last(&self) -> u64 {
        *self.engine().last.borrow()
    }

    /// Reports the id of the newest alert, again and again.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.engine().last.subscribe()
    }

    /// Where alerts go.
    pub(crate) fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    /// What became of packets that hit rules that alert.
    pub(crate) fn status(&self) -> Result<AlertStatus, DatapathError> {
        let engine = self.engine();
        let totals = engine.totals;
        // After the totals: what they say the kernel has counted before.
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
        // Nothing can fail any more: the filter and this process go by the same window.
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
