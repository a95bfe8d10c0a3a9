//! The deployed revision that is rolled back unless an operator confirms it: at most one.

use rusqlite::{OptionalExtension as _, Transaction};

use super::{End, Store, StoreError, TransactionError, value::Stored};

/// The rollback of an unconfirmed revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The revision to roll back to; 0 if none was deployed before.
    pub previous: u64,
    /// The time of the rollback. It is a duration, so it has an end on the boot clock too.
    pub end: End,
}

/// A revision on trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The revision that has to be confirmed.
    pub revision: u64,
    /// The rollback if it is not confirmed.
    pub trial: Trial,
}

impl Store {
    /// Returns the revision on trial. This may be one whose deploy was interrupted; the trial is
    /// forgotten together with it.
    pub fn confirmation(&self) -> Result<Option<Confirmation>, StoreError> {
        self.read(|connection| {
            let found = connection
                .prepare_cached(
                    "SELECT deadline, boot_id, boot_deadline, revision, previous FROM confirmation",
                )?
                .query_row([], |row| {
                    let revision: Stored<u64> = row.get(3)?;
                    let previous: Stored<u64> = row.get(4)?;
                    Ok((End::from_columns(row, 0)?, revision.0, previous.0))
                })
                .optional()?;
            Ok(found.and_then(|(end, revision, previous)| {
                let trial = Trial {
                    previous,
                    end: end?,
                };
                Some(Confirmation { revision, trial })
            }))
        })
    }
}

/// Puts a revision on trial, in place of any other.
pub(super) fn record(
    transaction: &Transaction<'_>,
    revision: u64,
    trial: &Trial,
) -> Result<(), TransactionError> {
    let boot = trial.end.boot.as_ref();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO confirmation VALUES (1, ?1, ?2, ?3, ?4, ?5)")?
        .execute((
            Stored(revision),
            Stored(trial.previous),
            Stored(trial.end.wall),
            boot.map_or("", |boot| &boot.boot_id),
            Stored(boot.map_or(0, |boot| boot.deadline_ns)),
        ))?;
    Ok(())
}

/// Ends the trial of a revision, whatever its result.
pub(super) fn forget(transaction: &Transaction<'_>, revision: u64) -> Result<(), TransactionError> {
    transaction
        .prepare_cached("DELETE FROM confirmation WHERE revision = ?1")?
        .execute([Stored(revision)])?;
    Ok(())
}

/// Ends any trial.
pub(super) fn forget_any(transaction: &Transaction<'_>) -> Result<(), TransactionError> {
    transaction.execute("DELETE FROM confirmation", [])?;
    Ok(())
}
