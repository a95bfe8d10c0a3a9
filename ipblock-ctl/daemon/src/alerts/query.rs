//! `GET /v1/alerts`: past alerts, and new ones.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{AlertInfo, AlertQuery, Alerts},
};
use ipblock_policy::address::parse_prefixes;
use ipblock_store::{Alert, AlertFilter};
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use tokio::{sync::watch, time::timeout};

use crate::{
    answers::{Array, Sink},
    state::Service,
};

/// Default number of alerts in one answer.
const DEFAULT_LIMIT: u32 = 1_000;
/// Maximum of alerts in one answer.
const MAX_LIMIT: u32 = 100_000;
/// Alerts per read: each may contain hundreds of rules.
const PAGE: u32 = 128;
/// Maximum of prefixes of a source; a range becomes minimal prefixes.
const MAX_SOURCES: usize = 256;
/// Maximum wait in seconds.
const MAX_WAIT: u64 = 30;

impl Service {
    /// Returns whether an alert matches now, and the id of the newest of all.
    pub(crate) fn has_alerts(&self, query: &AlertQuery) -> Result<(bool, u64), ApiError> {
        // Read before the list: at worst, an alert in between is also in the next answer.
        let last = self.alerts.last();
        let filter = AlertFilter {
            limit: 1,
            ..filter(query)?
        };
        Ok((!self.store.alerts(&filter)?.is_empty(), last))
    }

    /// Returns the present matching alerts, page by page.
    pub(crate) fn list_alerts(
        self: &Arc<Self>,
        query: &AlertQuery,
    ) -> Result<impl Serialize + use<>, ApiError> {
        // Read before the list: at worst, an alert in between is also in the next answer.
        let last = self.alerts.last();
        let mut filter = filter(query)?;
        let follows = filter.after.is_some();
        if !follows {
            // The newest are found backwards, and shown from the first of them on.
            let first = self.store.first_of_newest(&filter)?;
            filter.after = Some(first.map_or(last, |first| first.saturating_sub(1)));
        }
        let service = Arc::clone(self);
        let told = Rc::new(Cell::new(last));
        let newest = Rc::clone(&told);
        let alerts = Array::new(move |sink: Sink<'_, AlertInfo>| {
            let mut page = filter.clone();
            let mut left = filter.limit;
            while left > 0 {
                page.limit = left.min(PAGE);
                let alerts = service.store.alerts(&page)?;
                let Some(end) = alerts.last().map(|alert| alert.id) else {
                    break;
                };
                page.after = Some(end);
                left -= u32::try_from(alerts.len()).unwrap_or(left);
                // A full answer may omit some that come before the last.
                let is_full = follows && left == 0;
                newest.set(if is_full { end } else { last.max(end) });
                for alert in alerts {
                    if sink(alert_info(alert)).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        Ok(Alerts {
            alerts,
            last: Late(told),
        })
    }
}

fn filter(query: &AlertQuery) -> Result<AlertFilter, ApiError> {
    Ok(AlertFilter {
        since: query.since,
        rule: query.rule.clone(),
        sources: sources(query)?,
        after: query.after,
        limit: query.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT),
    })
}

/// A number that is known only after the preceding part is written.
struct Late(Rc<Cell<u64>>);

impl Serialize for Late {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.get())
    }
}

/// Returns how long a query waits for an alert.
pub(crate) fn wait_of(query: &AlertQuery) -> Duration {
    match (query.after, query.wait) {
        (Some(_), Some(wait)) => Duration::from_secs(wait.min(MAX_WAIT)),
        _ => Duration::ZERO,
    }
}

/// Waits until there is an alert after `after`. Returns false on a timeout or if the daemon stops.
pub(crate) async fn comes(
    last: &mut watch::Receiver<u64>,
    is_stopping: &mut watch::Receiver<bool>,
    after: u64,
    at_most: Duration,
) -> bool {
    tokio::select! {
        newer = timeout(at_most, last.wait_for(|last| *last > after)) => matches!(newer, Ok(Ok(_))),
        _ = is_stopping.wait_for(|is_stopping| *is_stopping) => false,
    }
}

fn sources(query: &AlertQuery) -> Result<Vec<IpNet>, ApiError> {
    let Some(text) = &query.source else {
        return Ok(Vec::new());
    };
    let sources = parse_prefixes(text)?;
    if sources.len() > MAX_SOURCES {
        let message = format!("`{text}` is more than {MAX_SOURCES} prefixes");
        return Err(ApiError::new(ErrorKind::Invalid, message).with_hint("ask for a prefix"));
    }
    Ok(sources)
}

/// Converts an alert to its API type.
pub(super) fn alert_info(alert: Alert) -> AlertInfo {
    AlertInfo {
        id: alert.id,
        time: alert.time,
        kind: alert.kind,
        zone: alert.zone,
        interface: alert.interface,
        rule: alert.rules.first().cloned().unwrap_or_default(),
        rules: alert.rules,
        action: alert.action,
        source: alert.source,
        destination: alert.destination,
        protocol: protocol_name(alert.protocol),
        destination_port: alert.destination_port,
        packets: alert.packets,
    }
}

/// Returns the lower-case name in IANA's list of protocol numbers, or the number of an uncommon
/// one.
fn protocol_name(number: u8) -> String {
    let name = match number {
        1 => "icmp",
        2 => "igmp",
        4 => "ipv4",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        58 => "ipv6-icmp",
        59 => "ipv6-nonxt",
        88 => "eigrp",
        89 => "ospfigp",
        103 => "pim",
        112 => "vrrp",
        115 => "l2tp",
        132 => "sctp",
        136 => "udplite",
        other => return other.to_string(),
    };
    name.to_owned()
}
