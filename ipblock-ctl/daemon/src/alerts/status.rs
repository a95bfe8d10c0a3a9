//! What `status` says of alerts.

use ipblock_api::{error::ApiError, types::AlertStatus};

use crate::state::Service;

impl Service {
    /// What became of packets that hit rules that alert.
    pub(crate) fn alert_status(&self) -> Result<AlertStatus, ApiError> {
        let config = &self.settings.alerts;
        let alerts = self.alerts();
        let totals = alerts.totals;
        // After the totals: what they tell of the kernel has counted before.
        let counts = alerts.tables.counts()?;
        let seen = totals.before + counts.announced + counts.held + counts.lost;
        let lost = counts.lost + totals.lost;
        Ok(AlertStatus {
            seen,
            reported: totals.reported,
            suppressed: seen.saturating_sub(totals.reported + lost),
            lost,
            window: config.window.as_secs(),
            rate: config.rate,
            sinks: self.sinks.status(),
        })
    }
}
