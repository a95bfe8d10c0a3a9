//! The deployed revision that goes back by itself unless somebody confirms it: at most one.

use rusqlite::{OptionalExtension as _, Transaction};

use super::{End, Failure, Store, StoreError, value::Stored};

/// What becomes of a revision that is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The revision that comes back; 0: none was deployed before.
    pub previous: u64,
    /// When. A duration: it stands on the boot clock too.
    pub end: End,
}

/// A revision on trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The revision that has to be confirmed.
    pub revision: u64,
    /// What becomes of it otherwise.
    pub trial: Trial,
}

impl Store {
    /// What awaits confirmation. Also one whose deploy was interrupted; it is forgotten with it.
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

/// Puts a revision on trial, in place of what was.
pub(super) fn record(
    transaction: &Transaction<'_>,
    revision: u64,
    trial: &Trial,
) -> Result<(), Failure> {
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

/// Ends the trial of a revision, whatever became of it.
pub(super) fn forget(transaction: &Transaction<'_>, revision: u64) -> Result<(), Failure> {
    transaction
        .prepare_cached("DELETE FROM confirmation WHERE revision = ?1")?
        .execute([Stored(revision)])?;
    Ok(())
}

/// Ends whatever trial there is.
pub(super) fn forget_any(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.execute("DELETE FROM confirmation", [])?;
    Ok(())
}
