//! The alerts that were made, and the number of packets in them.

use std::{net::IpAddr, time::Duration};

use ipblock_policy::{Action, AlertKind};
use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::{
    OptionalExtension as _, Row, ToSql, Transaction,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};

use super::{
    Store, StoreError, TransactionError,
    value::{Stored, Word},
};

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Ascending number.
    pub id: u64,
    /// When the first packet arrived, or when the window ended.
    pub time: Timestamp,
    /// Whether it reports the first packet of a window or the others.
    pub kind: AlertKind,
    /// The zone that judged the packet.
    pub zone: String,
    /// The interface that received the packet.
    pub interface: String,
    /// Names of the rules, at least one.
    pub rules: Vec<String>,
    /// The action of the rules.
    pub action: Action,
    /// The source address.
    pub source: IpAddr,
    /// The destination address.
    pub destination: IpAddr,
    /// IP protocol number.
    pub protocol: u8,
    /// The destination port, if the packet has one.
    pub destination_port: Option<u16>,
    /// Number of packets that it reports.
    pub packets: u64,
}

impl Word for AlertKind {
    const WORDS: &'static [(Self, &'static str)] = &Self::WORDS;
}

impl Word for Action {
    const WORDS: &'static [(Self, &'static str)] = &Self::WORDS;
}

/// Packets in alerts, and packets that no alert can report any more, apart from those that the
/// kernel counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertTotals {
    /// Packets in alerts.
    pub reported: u64,
    /// Packets that the kernel announced in a form that could not be read.
    pub lost: u64,
    /// The part of both that came before the kernel's counts restarted; the kernel does not know
    /// it.
    pub before: u64,
}

/// Identifies the kernel's counts that totals belong to. Both restart together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEpoch {
    /// The boot.
    pub boot_id: String,
    /// The kernel's id of the map with the counts.
    pub map: u32,
}

impl AlertEpoch {
    /// Returns the text for the column `boot_id`: the boot and, if it is not 0, the number of
    /// packets before. Builds that do not know the second part restart the totals, as after a boot.
    fn text(&self, before: u64) -> String {
        match before {
            0 => self.boot_id.clone(),
            before => format!("{} {before}", self.boot_id),
        }
    }

    /// Returns the number of packets before, from the text in the column; `None` if the text
    /// belongs to other counts.
    fn before(&self, text: &str) -> Option<u64> {
        let rest = text.strip_prefix(&self.boot_id)?;
        match rest.strip_prefix(' ') {
            Some(before) => before.parse().ok(),
            None => rest.is_empty().then_some(0),
        }
    }
}

/// Selects the alerts to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// Omits alerts before this time.
    pub since: Option<Timestamp>,
    /// Only alerts of the rule with this name.
    pub rule: Option<String>,
    /// Only alerts of sources in one of these prefixes; if empty, of all sources.
    pub sources: Vec<IpNet>,
    /// Only alerts with a larger id, the oldest first to be listed; else the newest.
    pub after: Option<u64>,
    /// Maximum number of alerts.
    pub limit: u32,
}

/// How long alerts are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRetention {
    /// Maximum number; the oldest are deleted first.
    pub count: u64,
    /// Maximum age.
    pub time: Duration,
}

impl Store {
    /// Adds alerts, replaces the totals and deletes old alerts: all or nothing.
    pub fn add_alerts(
        &self,
        alerts: &[Alert],
        epoch: &AlertEpoch,
        totals: AlertTotals,
        retention: AlertRetention,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO alert VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?;
            for alert in alerts {
                insert.execute((
                    Stored(alert.id),
                    Stored(alert.time),
                    Stored(alert.kind),
                    &alert.zone,
                    &alert.interface,
                    serde_json::to_string(&alert.rules)
                        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?,
                    Stored(alert.action),
                    Stored(alert.source),
                    Stored(alert.destination),
                    alert.protocol,
                    alert.destination_port,
                    Stored(alert.packets),
                ))?;
            }
            transaction
                .prepare_cached("INSERT OR REPLACE INTO alert_total VALUES (1, ?1, ?2, ?3, ?4)")?
                .execute((
                    epoch.text(totals.before),
                    epoch.map,
                    Stored(totals.reported),
                    Stored(totals.lost),
                ))?;
            prune(transaction, alerts.len(), retention, now)
        })
    }

    /// Deletes alerts that are too old, even if no new ones come.
    pub fn prune_alerts(
        &self,
        retention: AlertRetention,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|transaction| prune(transaction, 0, retention, now))
    }

    /// Returns the totals of an epoch, which continue those of the previous one.
    pub fn alert_totals(&self, epoch: &AlertEpoch) -> Result<AlertTotals, StoreError> {
        self.read(|connection| {
            let row = connection
                .prepare_cached("SELECT boot_id, map, reported, lost FROM alert_total")?
                .query_row([], |row| {
                    let (text, map): (String, u32) = (row.get(0)?, row.get(1)?);
                    let (reported, lost): (Stored<u64>, Stored<u64>) = (row.get(2)?, row.get(3)?);
                    Ok((text, map, reported.0, lost.0))
                })
                .optional()?;
            let Some((text, map, reported, lost)) = row else {
                return Ok(AlertTotals::default());
            };
            let before = epoch.before(&text).filter(|_| map == epoch.map);
            Ok(AlertTotals {
                reported,
                lost,
                before: before.unwrap_or(reported.saturating_add(lost)),
            })
        })
    }

    /// Returns the largest id that was ever assigned, or 0.
    pub fn last_alert(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let last: Option<Stored<u64>> = connection
                .prepare_cached("SELECT max(seq) FROM sqlite_sequence WHERE name = 'alert'")?
                .query_row([], |row| row.get(0))?;
            Ok(last.map_or(0, |last| last.0))
        })
    }

    /// Returns the matching alerts, oldest first.
    pub fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let (conditions, mut values) = conditions(filter);
        let order = match filter.after {
            Some(_) => "ASC",
            None => "DESC",
        };
        values.push(Box::new(filter.limit));
        let limit = values.len();
        let query =
            format!("SELECT * FROM alert WHERE {conditions} ORDER BY id {order} LIMIT ?{limit}");
        let mut alerts = self.read(|connection| {
            let mut statement = connection.prepare(&query)?;
            let values = rusqlite::params_from_iter(&values);
            let rows = statement.query_map(values, read)?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?)
        })?;
        if filter.after.is_none() {
            alerts.reverse();
        }
        Ok(alerts)
    }

    /// Returns the id of the first among the newest matching alerts, up to the limit.
    pub fn first_of_newest(&self, filter: &AlertFilter) -> Result<Option<u64>, StoreError> {
        let (conditions, mut values) = conditions(filter);
        values.push(Box::new(filter.limit));
        let limit = values.len();
        let query = format!(
            "SELECT min(id) FROM (SELECT id FROM alert WHERE {conditions} ORDER BY id DESC LIMIT ?{limit})"
        );
        self.read(|connection| {
            let mut statement = connection.prepare(&query)?;
            let values = rusqlite::params_from_iter(&values);
            let first: Option<Stored<u64>> = statement.query_row(values, |row| row.get(0))?;
            Ok(first.map(|first| first.0))
        })
    }
}

/// Returns the `WHERE` clause of a filter, and its parameters.
fn conditions(filter: &AlertFilter) -> (String, Vec<Box<dyn ToSql>>) {
    let mut conditions = vec!["true".to_owned()];
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut place = |value: Box<dyn ToSql>| {
        values.push(value);
        format!("?{}", values.len())
    };
    if let Some(since) = filter.since {
        conditions.push(format!("time >= {}", place(Box::new(Stored(since)))));
    }
    if let Some(rule) = &filter.rule {
        let rule = place(Box::new(rule.clone()));
        let has = format!("EXISTS (SELECT 1 FROM json_each(rules) WHERE value = {rule})");
        conditions.push(has);
    }
    if !filter.sources.is_empty() {
        let within = filter.sources.iter().map(|prefix| {
            let first = place(Box::new(Stored(prefix.network())));
            let last = place(Box::new(Stored(prefix.broadcast())));
            let length = if prefix.addr().is_ipv4() { 4 } else { 16 };
            format!("length(source) = {length} AND source BETWEEN {first} AND {last}")
        });
        let within: Vec<_> = within.collect();
        conditions.push(format!("({})", within.join(" OR ")));
    }
    if let Some(after) = filter.after {
        conditions.push(format!("id > {}", place(Box::new(Stored(after)))));
    }
    (conditions.join(" AND "), values)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Alert> {
    let (id, time, kind): (Stored<u64>, Stored<Timestamp>, Stored<AlertKind>) =
        (row.get(0)?, row.get(1)?, row.get(2)?);
    let (action, source, destination): (Stored<Action>, Stored<IpAddr>, Stored<IpAddr>) =
        (row.get(6)?, row.get(7)?, row.get(8)?);
    let rules: String = row.get(5)?;
    let packets: Stored<u64> = row.get(11)?;
    Ok(Alert {
        id: id.0,
        time: time.0,
        kind: kind.0,
        zone: row.get(3)?,
        interface: row.get(4)?,
        rules: serde_json::from_str(&rules).map_err(FromSqlError::other)?,
        action: action.0,
        source: source.0,
        destination: destination.0,
        protocol: row.get(9)?,
        destination_port: row.get(10)?,
        packets: packets.0,
    })
}

/// Deletes alerts beyond the maximum age and number, after `added` ones were added. The cost
/// depends on the added and deleted alerts only, not on the kept ones.
fn prune(
    transaction: &Transaction<'_>,
    added: usize,
    retention: AlertRetention,
    now: Timestamp,
) -> Result<(), TransactionError> {
    let kept: Stored<u64> = transaction
        .prepare_cached("SELECT rows FROM alert_kept")?
        .query_row([], |row| row.get(0))?;
    let mut rows = kept.0 + added as u64;
    if let Ok(oldest) = now.saturating_sub(retention.time) {
        let too_old = transaction
            .prepare_cached("DELETE FROM alert WHERE time < ?1")?
            .execute([Stored(oldest)])?;
        rows = rows.saturating_sub(too_old as u64);
    }
    let excess = rows.saturating_sub(retention.count);
    if excess > 0 {
        let too_many = transaction
            .prepare_cached(
                "DELETE FROM alert WHERE id IN (SELECT id FROM alert ORDER BY id LIMIT ?1)",
            )?
            .execute([Stored(excess)])?;
        rows = rows.saturating_sub(too_many as u64);
    }
    if rows != kept.0 {
        transaction
            .prepare_cached("UPDATE alert_kept SET rows = ?1")?
            .execute([Stored(rows)])?;
    }
    Ok(())
}

/// Four or sixteen bytes in network byte order, which sort as addresses do.
impl ToSql for Stored<IpAddr> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
        .into())
    }
}

impl FromSql for Stored<IpAddr> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            return Ok(Self(IpAddr::from(octets)));
        }
        match <[u8; 16]>::try_from(bytes) {
            Ok(octets) => Ok(Self(IpAddr::from(octets))),
            Err(error) => Err(FromSqlError::other(error)),
        }
    }
}
