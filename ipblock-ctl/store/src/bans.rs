//! Bans that have not been removed.
//!
//! Those of origin `manual` have a table of their own, the one that older builds know.

use std::{collections::HashSet, sync::Arc};

use ipblock_policy::Origin;
use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use super::{
    AuditEntry, Author, Ban, End, GoneBan, Store, StoreError, TransactionError, audit,
    audit_prefixes, ban_counts, past_bans, schema, value::Stored,
};

/// A row to change.
#[derive(Clone, Copy, Debug)]
pub enum BanRow<'a> {
    /// The ban of a prefix by its origin.
    Put(IpNet, &'a Ban),
    /// The prefix has no ban of this origin.
    Remove(IpNet, &'a Origin),
}

impl BanRow<'_> {
    const fn prefix(&self) -> IpNet {
        match self {
            Self::Put(prefix, _) | Self::Remove(prefix, _) => *prefix,
        }
    }
}

impl Store {
    /// Returns every ban, unordered. Bans with the same particulars share them.
    pub fn bans(&self) -> Result<Vec<(IpNet, Arc<Ban>)>, StoreError> {
        self.read(|connection| {
            let mut known = HashSet::<Arc<Ban>>::new();
            let mut statement = connection.prepare_cached(
                "SELECT prefix, ends, boot_id, boot_deadline, reason, time, uid, author, 'manual'
                 FROM ban
                 UNION ALL
                 SELECT prefix, ends, boot_id, boot_deadline, reason, time, uid, author, origin
                 FROM owned_ban",
            )?;
            let rows = statement.query_map([], |row| {
                let prefix: Stored<IpNet> = row.get(0)?;
                let time: Stored<Timestamp> = row.get(5)?;
                let origin: Stored<Origin> = row.get(8)?;
                let ban = Ban {
                    origin: origin.0,
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

    /// Executes changes in their order, and records the bans that are gone, and the author with all
    /// prefixes: all or nothing.
    pub fn change_bans<'a>(
        &self,
        changes: impl IntoIterator<Item = BanRow<'a>>,
        gone: &[GoneBan<'_>],
        audit: Option<&AuditEntry>,
    ) -> Result<(), StoreError> {
        self.change(changes, audit, |transaction| {
            past_bans::record(transaction, gone, self.limits.past_bans)
        })
    }

    /// Executes changes that undo the last ones, which recorded this number of bans as gone.
    pub fn undo_ban_changes<'a>(
        &self,
        changes: impl IntoIterator<Item = BanRow<'a>>,
        gone: usize,
        audit: Option<&AuditEntry>,
    ) -> Result<(), StoreError> {
        self.change(changes, audit, |transaction| {
            past_bans::forget_newest(transaction, gone.min(self.limits.past_bans))
        })
    }

    fn change<'a>(
        &self,
        changes: impl IntoIterator<Item = BanRow<'a>>,
        audit: Option<&AuditEntry>,
        note_gone: impl FnOnce(&Transaction<'_>) -> Result<(), TransactionError>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut prefixes = Vec::new();
            let changes = changes.into_iter().inspect(|row| {
                if audit.is_some() {
                    prefixes.push(row.prefix());
                }
            });
            write_rows(transaction, changes)?;
            note_gone(transaction)?;
            if let Some(entry) = audit {
                let number = audit::record(transaction, entry, &self.limits)?;
                // Several owners of a prefix follow each other.
                prefixes.dedup();
                audit_prefixes::record(transaction, number, &prefixes, &self.limits)?;
            }
            Ok(())
        })?;
        audit.map(audit::tell);
        Ok(())
    }
}

fn write_rows<'a>(
    transaction: &Transaction<'_>,
    rows: impl Iterator<Item = BanRow<'a>>,
) -> rusqlite::Result<()> {
    let mut put = transaction
        .prepare_cached("INSERT OR REPLACE INTO ban VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    let mut remove = transaction.prepare_cached("DELETE FROM ban WHERE prefix = ?1")?;
    let mut put_owned = transaction.prepare_cached(
        "INSERT OR REPLACE INTO owned_ban VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut remove_owned =
        transaction.prepare_cached("DELETE FROM owned_ban WHERE prefix = ?1 AND origin = ?2")?;
    let mut has_owned = false;
    let mut removed = Vec::new();
    for row in rows {
        let prefix = row.prefix().to_string();
        let ban = match row {
            BanRow::Put(_, ban) => ban,
            BanRow::Remove(_, origin) if origin.is_manual() => {
                remove.execute([&prefix])?;
                removed.push(prefix);
                continue;
            }
            BanRow::Remove(_, origin) => {
                remove_owned.execute((&prefix, Stored(origin)))?;
                removed.push(prefix);
                continue;
            }
        };
        let boot = ban.end.as_ref().and_then(|end| end.boot.as_ref());
        let statement = if ban.origin.is_manual() {
            &mut put
        } else {
            has_owned = true;
            put_owned.raw_bind_parameter(9, Stored(&ban.origin))?;
            &mut put_owned
        };
        statement.raw_bind_parameter(1, prefix)?;
        statement.raw_bind_parameter(2, ban.end.as_ref().map(|end| Stored(end.wall)))?;
        statement.raw_bind_parameter(3, boot.map(|boot| &boot.boot_id))?;
        statement.raw_bind_parameter(4, boot.map(|boot| Stored(boot.deadline_ns)))?;
        statement.raw_bind_parameter(5, &ban.reason)?;
        statement.raw_bind_parameter(6, Stored(ban.time))?;
        statement.raw_bind_parameter(7, ban.author.uid_column())?;
        statement.raw_bind_parameter(8, &ban.author.name)?;
        statement.raw_execute()?;
    }
    ban_counts::forget(transaction, removed)?;
    if has_owned {
        schema::mark_owned_bans(transaction)?;
    }
    Ok(())
}

/// Rejects a prefix that is not in the store's form: it would be banned, but `unban` could not find
/// it.
pub(super) fn require_canonical(connection: &Connection) -> Result<(), TransactionError> {
    let mut statement =
        connection.prepare("SELECT prefix FROM ban UNION ALL SELECT prefix FROM owned_ban")?;
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
