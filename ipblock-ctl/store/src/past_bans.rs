//! The bans that are gone: why an address was banned, until when, and who ended that.
//!
//! Kept for [`PAST_BAN_DAYS`] days, and at most [`PAST_BANS`] of them: about 15 MB, and 50 MB with the
//! longest reasons. A prefix is stored as a byte for its family, its address and its length, so
//! everything inside a prefix is a range of the index.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipblock_policy::Origin;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{
    Row, Transaction, params_from_iter,
    types::{FromSql, FromSqlError, FromSqlResult, Value, ValueRef},
};

use super::{Author, Ban, Store, StoreError, TransactionError, value::Stored};

/// How long a past ban is kept.
pub const PAST_BAN_DAYS: i64 = 30;

/// Maximum of past bans that are kept; the first that ended are deleted first.
pub const PAST_BANS: usize = 100_000;

const IPV4: u8 = 4;
const IPV6: u8 = 6;

/// A ban that a change removes.
#[derive(Clone, Copy, Debug)]
pub struct GoneBan<'a> {
    /// Its prefix.
    pub prefix: IpNet,
    /// Its particulars.
    pub ban: &'a Ban,
    /// When it ended.
    pub ended: Timestamp,
    /// Who ended it; `None` if its time was over.
    pub by: Option<&'a Author>,
}

/// A ban that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastBan {
    /// Its prefix.
    pub prefix: IpNet,
    /// The owner.
    pub origin: Origin,
    /// The reason.
    pub reason: String,
    /// When it was first made.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
    /// The end that it had; `None` if it was permanent.
    pub until: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// Who ended it; `None` if its time was over.
    pub by: Option<Author>,
}

impl Store {
    /// Returns the last `limit` bans that ended after `since` and covered all of `prefix` or a part of
    /// it, the last to end first.
    pub fn past_bans(
        &self,
        prefix: IpNet,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<PastBan>, StoreError> {
        self.read(|connection| {
            let wider = std::iter::successors(prefix.supernet(), IpNet::supernet);
            let wider: Vec<Value> = wider.map(|net| key(net).into()).collect();
            let places = vec!["?"; wider.len()].join(", ");
            let mut statement = connection.prepare(&format!(
                "SELECT prefix, origin, reason, time, uid, author, until, ended, ended_uid,
                        ended_author
                 FROM past_ban
                 WHERE ended > ?1 AND (prefix BETWEEN ?2 AND ?3 OR prefix IN ({places}))
                 ORDER BY ended DESC, number DESC LIMIT {limit}"
            ))?;
            let last = IpNet::from(prefix.broadcast());
            let range = [
                since.as_microsecond().into(),
                key(prefix).into(),
                key(last).into(),
            ];
            let wanted = range.into_iter().chain(wider);
            let rows = statement.query_map(params_from_iter(wanted), past_ban)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn past_ban(row: &Row<'_>) -> rusqlite::Result<PastBan> {
    let prefix: Key = row.get(0)?;
    let origin: Stored<Origin> = row.get(1)?;
    let time: Stored<Timestamp> = row.get(3)?;
    let until: Option<Stored<Timestamp>> = row.get(6)?;
    let ended: Stored<Timestamp> = row.get(7)?;
    let by: Option<u32> = row.get(8)?;
    Ok(PastBan {
        prefix: prefix.0,
        origin: origin.0,
        reason: row.get(2)?,
        time: time.0,
        author: Author::from_columns(row, 4)?,
        until: until.map(|until| until.0),
        ended: ended.0,
        by: by.map(|_| Author::from_columns(row, 8)).transpose()?,
    })
}

/// Records bans that are gone; of more than `limit` the last ones.
pub(super) fn record(
    transaction: &Transaction<'_>,
    gone: &[GoneBan<'_>],
    limit: usize,
) -> Result<(), TransactionError> {
    let kept = gone.get(gone.len().saturating_sub(limit)..).unwrap_or(gone);
    let Some(last) = kept.iter().map(|gone| gone.ended).max() else {
        return Ok(());
    };
    let mut insert = transaction.prepare_cached(
        "INSERT INTO past_ban (prefix, origin, reason, time, uid, author, until, ended, ended_uid,
             ended_author)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for gone in kept {
        insert.execute((
            key(gone.prefix),
            Stored(&gone.ban.origin),
            &gone.ban.reason,
            Stored(gone.ban.time),
            gone.ban.author.uid_column(),
            &gone.ban.author.name,
            gone.ban.end.as_ref().map(|end| Stored(end.wall)),
            Stored(gone.ended),
            gone.by.map(Author::uid_column),
            gone.by.map(|by| &by.name),
        ))?;
    }
    prune(transaction, last, limit)
}

/// Deletes the oldest rows beyond the limit, and those that ended too long before `last`.
fn prune(
    transaction: &Transaction<'_>,
    last: Timestamp,
    limit: usize,
) -> Result<(), TransactionError> {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    transaction
        .prepare_cached(
            "DELETE FROM past_ban WHERE number <= (SELECT max(number) FROM past_ban) - ?1",
        )?
        .execute([Stored(limit)])?;
    let oldest = last.saturating_sub(SignedDuration::from_hours(24 * PAST_BAN_DAYS));
    let Ok(oldest) = oldest else { return Ok(()) };
    // Rows are in the order in which bans ended, so this stops at the first one that stays.
    transaction
        .prepare_cached(
            "DELETE FROM past_ban WHERE number < coalesce(
                 (SELECT number FROM past_ban WHERE ended >= ?1 ORDER BY number LIMIT 1), 0)",
        )?
        .execute([Stored(oldest)])?;
    Ok(())
}

/// Deletes the newest rows: their bans are in force again.
pub(super) fn forget_newest(
    transaction: &Transaction<'_>,
    count: usize,
) -> Result<(), TransactionError> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    transaction
        .prepare_cached(
            "DELETE FROM past_ban WHERE number > (SELECT max(number) FROM past_ban) - ?1",
        )?
        .execute([Stored(count)])?;
    Ok(())
}

fn key(prefix: IpNet) -> Vec<u8> {
    let mut key = Vec::with_capacity(18);
    match prefix {
        IpNet::V4(net) => {
            key.push(IPV4);
            key.extend(net.network().octets());
        }
        IpNet::V6(net) => {
            key.push(IPV6);
            key.extend(net.network().octets());
        }
    }
    key.push(prefix.prefix_len());
    key
}

/// A prefix in the form of its column.
struct Key(IpNet);

impl FromSql for Key {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        let invalid = || FromSqlError::Other("not a prefix".into());
        let (length, rest) = bytes.split_last().ok_or_else(invalid)?;
        let (family, octets) = rest.split_first().ok_or_else(invalid)?;
        let address = match *family {
            IPV4 => <[u8; 4]>::try_from(octets).map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
            IPV6 => <[u8; 16]>::try_from(octets).map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
            _ => return Err(invalid()),
        };
        let address = address.map_err(FromSqlError::other)?;
        let prefix = IpNet::new(address, *length).map_err(FromSqlError::other)?;
        Ok(Self(prefix))
    }
}
