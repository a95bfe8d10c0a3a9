//! The audit trail: who did what, and when. Entries are added and expire, but never change.

use ipblock_policy::text::printable;
use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::Transaction;
use tracing::info;

use super::{Author, Limits, Store, StoreError, TransactionError, value::Stored};

/// One entry of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// The time.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
    /// The action in one word: `deploy`, `attach`, ...
    pub what: String,
    /// The details. At most 4 KiB are kept; `…` marks a cut.
    pub detail: String,
}

/// An entry of the audit trail about certain addresses, with the matching prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditMatch {
    /// The entry.
    pub entry: AuditEntry,
    /// Its prefixes that overlap the wanted ones, at most 10.
    pub prefixes: Vec<IpNet>,
}

/// Entries of the audit trail, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The matching entries.
    pub entries: Vec<AuditMatch>,
    /// The number of the last entry that was read; `None` if there was none.
    pub last: Option<i64>,
}

impl Store {
    /// Adds an entry. Deletes the oldest if there are too many.
    pub fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        self.write(|transaction| {
            record(transaction, entry, &self.limits)?;
            Ok(())
        })?;
        tell(entry);
        Ok(())
    }

    /// Returns the newest `limit` entries before entry `before` (`None`: of all), newest first.
    pub fn audit_page(&self, before: Option<i64>, limit: u32) -> Result<AuditPage, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, time, uid, author, what, detail FROM audit WHERE number < ?1
                 ORDER BY number DESC LIMIT ?2",
            )?;
            let before = before.unwrap_or(i64::MAX);
            let mut page = AuditPage::default();
            let mut rows = statement.query((before, limit))?;
            while let Some(row) = rows.next()? {
                let time: Stored<Timestamp> = row.get(1)?;
                let entry = AuditEntry {
                    time: time.0,
                    author: Author::from_columns(row, 2)?,
                    what: row.get(4)?,
                    detail: row.get(5)?,
                };
                page.last = Some(row.get(0)?);
                page.entries.push(AuditMatch {
                    entry,
                    prefixes: Vec::new(),
                });
            }
            Ok(page)
        })
    }

    /// Returns the newest `limit` entries, newest first.
    pub fn audit_list(&self, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let page = self.audit_page(None, limit)?;
        Ok(page.entries.into_iter().map(|found| found.entry).collect())
    }
}

/// Logs a recorded entry. Every entry is logged here, after its transaction.
pub(super) fn tell(entry: &AuditEntry) {
    info!(
        target: "audit",
        who = %entry.author,
        what = %entry.what,
        detail = %printable(&entry.detail),
        "{} by {}",
        entry.what,
        entry.author,
    );
}

/// Adds an entry in the transaction of the action that it describes, and returns its number.
pub(super) fn record(
    transaction: &Transaction<'_>,
    entry: &AuditEntry,
    limits: &Limits,
) -> Result<i64, TransactionError> {
    let number = transaction
        .prepare_cached(
            "INSERT INTO audit (time, uid, author, what, detail)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert((
            Stored(entry.time),
            entry.author.uid_column(),
            &entry.author.name,
            &entry.what,
            shortened(&entry.detail, limits.audit_detail),
        ))?;
    // Only from time to time, because it reads all kept entries.
    if number % i64::from(limits.audit_slack) == 0 {
        prune(transaction, limits)?;
    }
    Ok(number)
}

/// Kinds of entries that may come in large numbers, by action.
const STREAMS: [[&str; 2]; 2] = [["ban", "unban"], ["repair", ""]];

/// Deletes the oldest entries of each stream beyond the stream's limit, so that a stream never
/// displaces other entries. Then deletes the oldest of all entries.
fn prune(transaction: &Transaction<'_>, limits: &Limits) -> Result<(), TransactionError> {
    for [one, other] in STREAMS {
        transaction
            .prepare_cached(
                "DELETE FROM audit WHERE what IN (?2, ?3) AND number <= (
                     SELECT number FROM audit WHERE what IN (?2, ?3)
                     ORDER BY number DESC LIMIT 1 OFFSET ?1)",
            )?
            .execute((Stored(limits.audit_stream), one, other))?;
    }
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

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        sync::Mutex,
    };

    use super::*;

    fn logged(what: impl FnOnce()) -> String {
        // tracing caches for all threads whether someone listens to a line of code. With a single
        // listener it asks the thread that reaches the line first, which may be another test.
        let nothing = tracing_subscriber::fmt().with_writer(std::io::sink);
        let _ = tracing::subscriber::set_global_default(nothing.finish());
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .without_time()
            .with_writer(Mutex::new(File::create(file.path()).unwrap()))
            .finish();
        tracing::subscriber::with_default(log, what);
        fs::read_to_string(file.path()).unwrap()
    }

    fn entry(what: &str, detail: &str) -> AuditEntry {
        AuditEntry {
            time: "2026-10-01T12:00:00Z".parse().unwrap(),
            author: Author::user(1000, "ada"),
            what: what.to_owned(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn every_entry_is_one_line_of_the_log_once_it_is_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let text = logged(|| {
            store.audit(&entry("stage", "one\ntwo")).unwrap();
            store
                .change_bans([], &[], Some(&entry("ban", "three")))
                .unwrap();
            store.change_bans([], &[], None).unwrap();
        });
        let line = |what: &str, detail: &str| {
            serde_json::json!({
                "level": "INFO",
                "target": "audit",
                "message": format!("{what} by uid 1000 (ada)"),
                "who": "uid 1000 (ada)",
                "what": what,
                "detail": detail,
            })
        };
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines, [line("stage", "one\\ntwo"), line("ban", "three")]);
    }

    #[test]
    fn an_author_who_is_not_a_user_of_this_host_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let mut entry = entry("deploy", "");
        entry.author.uid = None;
        store.audit(&entry).unwrap();
        assert_eq!(store.audit_list(1).unwrap(), [entry]);
    }
}
