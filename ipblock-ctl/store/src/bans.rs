//! Bans that have not been removed.

use std::{collections::HashSet, sync::Arc};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::{
    Connection,
    types::{FromSql, FromSqlError, FromSqlResult, ValueRef},
};

use super::{
    AuditEntry, Author, End, Store, StoreError, TransactionError, audit, audit_prefixes,
    value::Stored,
};

/// The particulars of a ban without its prefix. Bans of one request share them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ban {
    /// The end; `None` if it never ends.
    pub end: Option<End>,
    /// The reason, as the operator wrote it.
    pub reason: String,
    /// When it was first made.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
}

impl FromSql for Stored<IpNet> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let prefix = value.as_str()?.parse::<IpNet>();
        prefix.map(Self).map_err(FromSqlError::other)
    }
}

impl Store {
    /// Returns every ban, unordered. Bans with the same particulars share them.
    pub fn bans(&self) -> Result<Vec<(IpNet, Arc<Ban>)>, StoreError> {
        self.read(|connection| {
            let mut known = HashSet::<Arc<Ban>>::new();
            let mut statement = connection.prepare_cached(
                "SELECT prefix, ends, boot_id, boot_deadline, reason, time, uid, author FROM ban",
            )?;
            let rows = statement.query_map([], |row| {
                let prefix: Stored<IpNet> = row.get(0)?;
                let time: Stored<Timestamp> = row.get(5)?;
                let ban = Ban {
                    end: End::from_columns(row, 1)?,
                    reason: row.get(4)?,
                    time: time.0,
                    author: Author::from_columns(row, 6)?,
                };
                Ok((prefix.0, ban))
            })?;
            let mut bans = Vec::new();
            for row in rows {
                let (prefix, ban) = row?;
                let shared = known.get(&ban).map(Arc::clone);
                let shared = shared.unwrap_or_else(|| {
                    let shared = Arc::new(ban);
                    known.insert(Arc::clone(&shared));
                    shared
                });
                bans.push((prefix, shared));
            }
            Ok(bans)
        })
    }

    /// Executes changes in their order, and records their author and all their prefixes: all or
    /// nothing.
    pub fn change_bans<'a>(
        &self,
        changes: impl IntoIterator<Item = (IpNet, Option<&'a Ban>)>,
        audit: Option<&AuditEntry>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT OR REPLACE INTO ban VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            let mut remove = transaction.prepare_cached("DELETE FROM ban WHERE prefix = ?1")?;
            let mut prefixes = Vec::new();
            for (prefix, ban) in changes {
                if audit.is_some() {
                    prefixes.push(prefix);
                }
                let prefix = prefix.to_string();
                let Some(ban) = ban else {
                    remove.execute([prefix])?;
                    continue;
                };
                let boot = ban.end.as_ref().and_then(|end| end.boot.as_ref());
                put.execute((
                    prefix,
                    ban.end.as_ref().map(|end| Stored(end.wall)),
                    boot.map(|boot| &boot.boot_id),
                    boot.map(|boot| Stored(boot.deadline_ns)),
                    &ban.reason,
                    Stored(ban.time),
                    ban.author.uid_column(),
                    &ban.author.name,
                ))?;
            }
            if let Some(entry) = audit {
                let number = audit::record(transaction, entry, &self.limits)?;
                audit_prefixes::record(transaction, number, &prefixes, &self.limits)?;
            }
            Ok(())
        })?;
        audit.map(audit::tell);
        Ok(())
    }
}

/// Rejects a prefix that is not in the store's form: it would be banned, but `unban` could not find
/// it.
pub(super) fn require_canonical(connection: &Connection) -> Result<(), TransactionError> {
    let mut statement = connection.prepare("SELECT prefix FROM ban")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let is_canonical = text
            .parse::<IpNet>()
            .is_ok_and(|prefix| prefix.trunc().to_string() == text);
        if !is_canonical {
            return Err(TransactionError::Damaged(format!(
                "`{text}` is not a prefix of a ban"
            )));
        }
    }
    Ok(())
}
