//! The audit trail: who did what, when. Entries are added and grow old, never changed.

use jiff::Timestamp;
use rusqlite::Transaction;

use super::{Author, Failure, Limits, Store, StoreError, value::Stored};

/// One entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub time: Timestamp,
    /// Who.
    pub author: Author,
    /// What, in one word: `deploy`, `attach`, ...
    pub what: String,
    /// With what; at most 4 KiB are kept, and `…` marks what was cut.
    pub detail: String,
}

impl Store {
    /// Adds an entry; the oldest goes when there are too many.
    pub fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.write(|transaction| record(transaction, entry, &self.limits))
    }

    /// The newest `limit` entries, newest first.
    pub fn audit_list(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT time, uid, author, what, detail FROM audit ORDER BY number DESC LIMIT ?1",
            )?;
            let rows = statement.query_map([limit], |row| {
                let time: Stored<Timestamp> = row.get(0)?;
                Ok(AuditEntry {
                    time: time.0,
                    author: Author {
                        uid: row.get(1)?,
                        name: row.get(2)?,
                    },
                    what: row.get(3)?,
                    detail: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

/// Adds an entry as part of what it tells of.
pub(super) fn record(
    transaction: &Transaction<'_>,
    entry: &AuditEntry,
    limits: &Limits,
) -> Result<(), Failure> {
    let number = transaction
        .prepare_cached(
            "INSERT INTO audit (time, uid, author, what, detail)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert((
            Stored(entry.time),
            entry.author.uid,
            &entry.author.name,
            &entry.what,
            shortened(&entry.detail, limits.audit_detail),
        ))?;
    // Now and then only: it walks over all that is kept.
    if number % i64::from(limits.audit_slack) == 0 {
        prune(transaction, limits)?;
    }
    Ok(())
}

/// Deletes the oldest bans beyond their own limit, so that a stream of them displaces nothing else,
/// and then the oldest of all entries.
fn prune(transaction: &Transaction<'_>, limits: &Limits) -> Result<(), Failure> {
    transaction
        .prepare_cached(
            "DELETE FROM audit WHERE what IN ('ban', 'unban') AND number <= (
                 SELECT number FROM audit WHERE what IN ('ban', 'unban')
                 ORDER BY number DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([Stored(limits.audit_bans)])?;
    transaction
        .prepare_cached(
            "DELETE FROM audit WHERE number <= (
                 SELECT number FROM audit ORDER BY number DESC LIMIT 1 OFFSET ?1)",
        )?
        .execute([Stored(limits.audit_entries)])?;
    Ok(())
}

fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let (kept, _) = text.split_at(text.floor_char_boundary(bytes));
    format!("{kept}…")
}
