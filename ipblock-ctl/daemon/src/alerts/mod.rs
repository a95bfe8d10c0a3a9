//! Alerts: from what the kernel announces to what people are told.
//!
//! `episodes` decides when there is an alert, `book` knows what the kernel's classes stand for, `pump`
//! carries alerts to the sinks and the store, `query` answers requests.

pub(super) mod book;
mod classes;
mod episodes;
mod pump;
pub(super) mod query;
mod status;
mod top;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_common::{AlertSettings, limits};
use tokio::sync::watch;

pub(super) use self::book::{Book, known_rules};
use ipblock_datapath::{AlertTables, clock};
use ipblock_store::{AlertEpoch, AlertTotals, Store};

use self::episodes::Episodes;
use super::{settings::AlertsConfig, start_error::StartError};

/// What is known of packets that hit rules that alert.
pub(super) struct Alerts {
    tables: AlertTables,
    episodes: Episodes,
    epoch: AlertEpoch,
    totals: AlertTotals,
    /// The id of the newest alert.
    last: watch::Sender<u64>,
}

impl Alerts {
    /// Counts on where the store left off; the kernel goes by this configuration from now on.
    pub(super) fn new(
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

    /// Begins every window anew: rules are others from now on, also those of one number.
    pub(super) fn forget_sources(&mut self) {
        self.episodes.clear();
    }
}

/// The address in a kernel's key or event.
fn address(family: u32, bytes: [u8; 16]) -> IpAddr {
    match (family, bytes) {
        (4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(bytes).into(),
    }
}
