//! Alerts: from what the kernel announces to what people are told.

use ipblock_common::AlertSettings;

use super::{settings::AlertsConfig, state::Service};
use crate::{
    api::{error::ApiError, types::AlertStatus},
    datapath::{AlertTables, DatapathError},
};

/// What is known of packets that hit rules that alert.
pub(super) struct Alerts {
    tables: AlertTables,
}

impl Alerts {
    /// Nothing told yet; the kernel goes by this configuration from now on.
    pub(super) fn new(
        mut tables: AlertTables,
        config: &AlertsConfig,
    ) -> Result<Self, DatapathError> {
        tables.set(AlertSettings {
            window: u64::try_from(config.window.as_nanos()).unwrap_or(u64::MAX),
            rate: config.rate,
        })?;
        Ok(Self { tables })
    }
}

impl Service {
    /// What became of packets that hit rules that alert.
    pub(super) fn alert_status(&self) -> Result<AlertStatus, ApiError> {
        let alerts = self.alerts();
        let counts = alerts.tables.counts()?;
        Ok(AlertStatus {
            seen: counts.announced + counts.held + counts.lost,
            reported: 0,
            suppressed: 0,
            lost: counts.lost,
            window: self.settings.alerts.window.as_secs(),
            rate: self.settings.alerts.rate,
            sinks: Vec::new(),
        })
    }
}
