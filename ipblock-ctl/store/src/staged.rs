//! The staged ruleset, at most one, and the edits that led to it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction};
use serde_json::Value;

use super::{Author, Store, StoreError, StoredRuleset, TransactionError, rulesets, value::Stored};

/// The staged ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The revision that the edits are based on; 0 before the first deploy.
    pub base: u64,
    /// Number of edits.
    pub edits: u64,
    /// The ruleset with all of them applied.
    pub ruleset: StoredRuleset,
}

/// One staged edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedEdit {
    /// When it was made.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
    /// A description, in lines.
    pub summary: Vec<String>,
    /// The edit itself.
    pub edit: Value,
}

impl Store {
    /// Returns the staged ruleset.
    pub fn staged(&self) -> Result<Option<Staged>, StoreError> {
        self.read(|connection| {
            let row = connection
                .prepare_cached("SELECT base, edits, ruleset FROM staged")?
                .query_row([], |row| {
                    let base: Stored<u64> = row.get(0)?;
                    let edits: Stored<u64> = row.get(1)?;
                    Ok((base.0, edits.0, row.get::<_, i64>(2)?))
                })
                .optional()?;
            let Some((base, edits, ruleset)) = row else {
                return Ok(None);
            };
            Ok(Some(Staged {
                base,
                edits,
                ruleset: rulesets::load(connection, ruleset)?,
            }))
        })
    }

    /// Returns the staged edits, in order.
    pub fn staged_edits(&self) -> Result<Vec<StagedEdit>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT time, uid, author, summary, edit FROM staged_edit ORDER BY number",
            )?;
            let rows = statement.query_map([], |row| {
                let time: Stored<Timestamp> = row.get(0)?;
                let summary: String = row.get(3)?;
                let author = Author::from_columns(row, 1)?;
                Ok((time.0, author, summary, row.get::<_, String>(4)?))
            })?;
            rows.map(|row| {
                let (time, author, summary, edit) = row?;
                let edit = serde_json::from_str(&edit).map_err(|error| {
                    TransactionError::Damaged(format!("a staged edit: {error}"))
                })?;
                Ok(StagedEdit {
                    time,
                    author,
                    summary: summary.lines().map(str::to_owned).collect(),
                    edit,
                })
            })
            .collect()
        })
    }

    /// Stages `ruleset`, which is the previous staged one (or revision `base`) with `edits`
    /// applied.
    ///
    /// Fails if the staged edits have another base, or if there are too many edits.
    pub fn stage(
        &self,
        base: u64,
        ruleset: &StoredRuleset,
        edits: &[StagedEdit],
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let before = transaction
                .prepare_cached("SELECT base, edits, edit_bytes, ruleset FROM staged")?
                .query_row([], |row| {
                    let base: Stored<u64> = row.get(0)?;
                    let edits: Stored<u64> = row.get(1)?;
                    let bytes: Stored<u64> = row.get(2)?;
                    Ok((base.0, edits.0, bytes.0, row.get::<_, i64>(3)?))
                })
                .optional()?;
            let (mut count, mut bytes) = (0, 0);
            if let Some((staged, edits, edit_bytes, _)) = before {
                if staged != base {
                    return Err(StoreError::StagedBase {
                        staged,
                        given: base,
                    }
                    .into());
                }
                (count, bytes) = (edits, edit_bytes);
            }
            for edit in edits {
                count += 1;
                bytes += append(transaction, edit)?;
            }
            if count > self.limits.staged_edits || bytes > self.limits.staged_bytes {
                return Err(StoreError::TooMuchStaged {
                    edits: count,
                    bytes,
                }
                .into());
            }
            let after = rulesets::save(transaction, ruleset)?;
            transaction.execute(
                "INSERT OR REPLACE INTO staged VALUES (1, ?1, ?2, ?3, ?4)",
                (Stored(base), Stored(count), Stored(bytes), after),
            )?;
            match before {
                Some((.., ruleset)) if ruleset != after => rulesets::release(transaction, ruleset),
                _ => Ok(()),
            }
        })
    }

    /// Changes the base of the staged edits to revision `base`, with `ruleset` as the result.
    pub fn rebase_staged(&self, base: u64, ruleset: &StoredRuleset) -> Result<(), StoreError> {
        self.write(|transaction| {
            let before: Option<i64> = transaction
                .prepare_cached("SELECT ruleset FROM staged")?
                .query_row([], |row| row.get(0))
                .optional()?;
            let Some(before) = before else {
                return Ok(());
            };
            let after = rulesets::save(transaction, ruleset)?;
            transaction.execute(
                "UPDATE staged SET base = ?1, ruleset = ?2",
                (Stored(base), after),
            )?;
            if before == after {
                return Ok(());
            }
            rulesets::release(transaction, before)
        })
    }

    /// Replaces the staged ruleset by one without the edits at `removed`, which are positions in
    /// [`Store::staged_edits`]. Returns the number of edits that are left.
    pub fn restage(
        &self,
        base: u64,
        ruleset: &StoredRuleset,
        removed: &[usize],
    ) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let before = self::ruleset(transaction)?;
            let numbers: Vec<i64> = transaction
                .prepare_cached("SELECT number FROM staged_edit ORDER BY number")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut delete =
                transaction.prepare_cached("DELETE FROM staged_edit WHERE number = ?1")?;
            for number in removed.iter().filter_map(|place| numbers.get(*place)) {
                delete.execute([number])?;
            }
            let after = rulesets::save(transaction, ruleset)?;
            transaction.execute(
                "UPDATE staged SET base = ?1, ruleset = ?2,
                    edits = (SELECT count(*) FROM staged_edit),
                    edit_bytes = (SELECT coalesce(sum(length(CAST(summary AS BLOB))
                        + length(CAST(edit AS BLOB)) + length(CAST(author AS BLOB))), 0)
                        FROM staged_edit)",
                (Stored(base), after),
            )?;
            if before != after {
                rulesets::release(transaction, before)?;
            }
            let left: Stored<u64> =
                transaction.query_row("SELECT edits FROM staged", [], |row| row.get(0))?;
            Ok(left.0)
        })
    }

    /// Discards the staged ruleset. Returns whether there was one.
    pub fn clear_staged(&self) -> Result<bool, StoreError> {
        self.write(clear)
    }
}

/// Returns the size of the edit in bytes.
fn append(transaction: &Transaction<'_>, edit: &StagedEdit) -> Result<u64, TransactionError> {
    let summary = edit.summary.join("\n");
    let json = edit.edit.to_string();
    let size = summary.len() + json.len() + edit.author.name.len();
    transaction
        .prepare_cached(
            "INSERT INTO staged_edit (time, uid, author, summary, edit)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            Stored(edit.time),
            edit.author.uid_column(),
            &edit.author.name,
            summary,
            json,
        ))?;
    Ok(u64::try_from(size).unwrap_or(u64::MAX))
}

/// Returns the row of the staged ruleset.
pub(super) fn ruleset(transaction: &Transaction<'_>) -> Result<i64, TransactionError> {
    let staged = transaction.query_row("SELECT ruleset FROM staged", [], |row| row.get(0));
    Ok(staged?)
}

pub(super) fn clear(transaction: &Transaction<'_>) -> Result<bool, TransactionError> {
    transaction.execute("DELETE FROM staged_edit", [])?;
    let ruleset = transaction
        .prepare_cached("DELETE FROM staged RETURNING ruleset")?
        .query_row([], |row| row.get(0))
        .optional()?;
    match ruleset {
        Some(ruleset) => rulesets::release(transaction, ruleset).map(|()| true),
        None => Ok(false),
    }
}
