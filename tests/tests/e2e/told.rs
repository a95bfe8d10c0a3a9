//! Alerts in the daemon's list, and the counts of their packets.

use std::net::IpAddr;

use ipblock_api::{
    client::Client,
    types::{AlertInfo, AlertKind, AlertQuery, AlertStatus, TopInfo, TopQuery},
};
use ipblock_tests::{DEADLINE, Daemon, wait_for};
use tokio::runtime::{Builder, Runtime};

use crate::answers::status;

/// Queries the daemon without a process per query.
pub(crate) struct Asker {
    client: Client,
    runtime: Runtime,
}

impl Asker {
    pub(crate) fn new(daemon: &Daemon) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::new(daemon.socket()),
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Alerts that fit, oldest first.
    pub(crate) fn alerts(&self, query: &AlertQuery) -> anyhow::Result<Vec<AlertInfo>> {
        let query = AlertQuery {
            limit: Some(100_000),
            ..query.clone()
        };
        Ok(self.runtime.block_on(self.client.alerts(&query))?.alerts)
    }

    pub(crate) fn all_alerts(&self) -> anyhow::Result<Vec<AlertInfo>> {
        self.alerts(&AlertQuery::default())
    }

    /// Waits until there are `count` alerts, and returns them.
    pub(crate) fn wait_for_alerts(&self, number: usize) -> anyhow::Result<Vec<AlertInfo>> {
        let mut last = Vec::new();
        let found = wait_for(DEADLINE, &format!("{number} alerts"), || {
            last = self.all_alerts().ok()?;
            (last.len() >= number).then(|| last.clone())
        });
        found.map_err(|error| error.context(format!("alerts: {last:#?}")))
    }

    pub(crate) fn top(&self, query: &TopQuery) -> anyhow::Result<Vec<TopInfo>> {
        Ok(self.runtime.block_on(self.client.top(query))?)
    }
}

/// The predictable part of an alert: kind, source, rules and packets.
pub(crate) type Said = (AlertKind, IpAddr, Vec<String>, u64);

pub(crate) fn said(alert: &AlertInfo) -> Said {
    (alert.kind, alert.source, alert.rules.clone(), alert.packets)
}

pub(crate) fn first(source: &str, rules: &[&str]) -> Said {
    let rules = rules.iter().map(ToString::to_string).collect();
    (AlertKind::First, source.parse().unwrap(), rules, 1)
}

pub(crate) fn aggregate(source: &str, rules: &[&str], packets: u64) -> Said {
    let (_, source, rules, _) = first(source, rules);
    (AlertKind::Aggregate, source, rules, packets)
}

/// Returns seen, reported, suppressed and lost packets, and asserts their sum.
pub(crate) fn balance(daemon: &Daemon) -> anyhow::Result<[u64; 4]> {
    let AlertStatus {
        seen,
        reported,
        suppressed,
        lost,
        ..
    } = status(daemon)?.alerts;
    assert_eq!(seen, reported + suppressed + lost);
    Ok([seen, reported, suppressed, lost])
}

/// Waits until this is the balance.
pub(crate) fn wait_for_balance(daemon: &Daemon, expected: [u64; 4]) -> anyhow::Result<()> {
    let mut last = [0; 4];
    let found = wait_for(DEADLINE, &format!("{expected:?}"), || {
        last = balance(daemon).ok()?;
        (last == expected).then_some(())
    });
    found.map_err(|error| error.context(format!("seen, reported, suppressed, lost: {last:?}")))
}
