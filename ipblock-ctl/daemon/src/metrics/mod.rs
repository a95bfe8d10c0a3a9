//! The Prometheus page: counters and states at the moment of the scrape.
//!
//! Nothing is kept between scrapes, and there is no registry. Labels are names of rules, zones,
//! interfaces and sinks, never addresses. docs/metrics.md lists the families.

mod family;
mod listen;
mod page;
pub(super) mod record;

#[cfg(test)]
mod shipped;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{extract::State, response::IntoResponse};
use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{Counters, InterfaceStatus, Status},
};
use ipblock_datapath::Interface;
use jiff::Timestamp;

use super::{answers::answer_text, connections::Traffic, state::Service};

pub(super) use listen::{Scrapes, serve, unavailable};
use record::LastDeploy;
pub(super) use record::Record;

/// The text format that every Prometheus supports.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything on one page, from one reading of the kernel's counters.
struct Snapshot {
    status: Status,
    counters: Counters,
    /// Every interface with its zone, even if the zone is not deployed.
    interfaces: Vec<(String, InterfaceStatus)>,
    last_deploy: Option<LastDeploy>,
    started: Timestamp,
    /// Repairs of drift, by kind.
    repairs: Vec<(&'static str, u64)>,
    connections: Traffic,
    /// Bans in force, by origin.
    bans: Vec<(String, u64)>,
}

/// Memory of a page in bytes per rule: series, and their text.
const RULE_ROOM: usize = 4 << 10;

/// `GET /metrics` on the unix socket.
pub(super) async fn on_socket(State(service): State<Arc<Service>>) -> impl IntoResponse {
    answer_text(FORMAT, service, |service, room| {
        room.need(service.rule_count() * RULE_ROOM)?;
        Ok(service.metrics_page()?)
    })
    .await
}

impl Service {
    /// Returns the present page.
    pub(super) fn metrics_page(&self) -> Result<String, ApiError> {
        page::page(&self.snapshot()?).map_err(|error| {
            let message = format!("the metrics page could not be written: {error}");
            ApiError::new(ErrorKind::Failed, message)
        })
    }

    fn snapshot(&self) -> Result<Snapshot, ApiError> {
        let state = self.read();
        let counts = state.generations.counts()?;
        let present = Interface::list();
        let interfaces = state.shown_interfaces(present.as_deref()).into_iter();
        Ok(Snapshot {
            status: self.status_from(&state, &counts)?,
            counters: state.counters_from(&counts),
            interfaces: interfaces
                .map(|(zone, interface)| (zone.to_string(), interface))
                .collect(),
            last_deploy: self.record.last_deploy(),
            started: self.record.started(),
            bans: self.bans().count_by_origin(),
            repairs: state
                .drift
                .repairs()
                .map(|(part, count)| (part.name(), count))
                .collect(),
            connections: self.places.traffic(),
        })
    }
}
