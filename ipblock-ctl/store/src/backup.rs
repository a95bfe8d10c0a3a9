//! Backup of the whole store to one file, and restore.

use std::path::Path;

use ipblock_policy::text::printable;
use rusqlite::{ErrorCode, Transaction};

use super::{
    GenerationState, NewGeneration, Store, StoreError, TransactionError, generations, schema,
};

/// Tables that a restore replaces, each after the tables that it refers to. The others stay:
/// generations and interfaces belong to one machine, the audit trail, past bans and alerts describe
/// this machine, and its pins contain the identity of the store.
pub(super) const TABLES: [&str; 14] = [
    "piece",
    "ruleset",
    "ruleset_piece",
    "ruleset_rule",
    "revision",
    "staged",
    "staged_edit",
    "base_rule",
    "base_total",
    "ban",
    "owned_ban",
    "ban_count",
    "confirmation",
    "rule_duration",
];

impl Store {
    /// Writes the whole store into a new database file at `path`, which must not exist.
    pub fn back_up(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_string_lossy();
        self.read(|connection| {
            connection.execute("VACUUM INTO ?1", [path])?;
            Ok(())
        })
    }

    /// Copies a backup into a new store of this build in the directory `dir`. Rejects one with
    /// which a daemon could not start or continue. The backup is an opened store, so it was checked
    /// and brought up to date.
    pub fn accept(backup: Self, dir: &Path) -> Result<Self, StoreError> {
        let accepted = Self::open(dir)?;
        let taken = accepted.replace_with(backup, &[], || Ok::<_, StoreError>(()));
        taken.map_err(as_damage)?;
        accepted.require_sound().map_err(as_damage)?;
        Ok(accepted)
    }

    /// Replaces the content of this store with that of an accepted backup, records the generations
    /// that were compiled from it, and calls `put_in_force`. All of this is one transaction.
    /// After an error the caller must restore what is in force.
    ///
    /// The counts of this store's generations are not added to the base: the backup has no counts
    /// for their rules. Unpin them after this has returned.
    pub fn replace_with<E: From<StoreError>>(
        &self,
        backup: Self,
        live: &[NewGeneration<'_>],
        put_in_force: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        for generation in backup.open_generations()? {
            if !backup.discard_built(generation.number)? {
                backup.fold_checkpoint(generation.number)?;
            }
        }
        for revision in backup.prepared_revisions()? {
            backup.discard_prepared(revision.number)?;
        }
        let path = backup.path.to_string_lossy().into_owned();
        // Closed, because an open one keeps its database locked.
        drop(backup);
        self.read(|connection| {
            connection.execute("ATTACH ?1 AS backup", [path])?;
            Ok(())
        })?;
        let mut refused = None;
        let replaced = self.write(|transaction| {
            replace(transaction)?;
            for new in live {
                generations::record(transaction, new, GenerationState::Live)?;
            }
            put_in_force().map_err(|error| {
                refused = Some(error);
                TransactionError::Damaged("what was restored is not in force".to_owned())
            })
        });
        // The replacement is committed, even if the copy cannot be detached.
        let detached = self.read(|connection| Ok(connection.execute("DETACH backup", [])?));
        drop(detached);
        match refused {
            Some(error) => Err(error),
            None => Ok(replaced?),
        }
    }
}

/// Data that does not fit the tables of this build means a damaged backup; a full disk does not.
fn as_damage(error: StoreError) -> StoreError {
    match error {
        StoreError::Sqlite { path, source }
            if !matches!(
                source.sqlite_error_code(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory)
            ) =>
        {
            StoreError::Corrupt {
                path,
                detail: printable(&source.to_string()).into_owned(),
            }
        }
        error => error,
    }
}

fn replace(transaction: &Transaction<'_>) -> Result<(), TransactionError> {
    transaction.execute_batch(
        "DELETE FROM checkpoint_rule;
         DELETE FROM checkpoint_total;
         DELETE FROM generation_classes;
         UPDATE generation SET state = 'folded';",
    )?;
    for table in TABLES.iter().rev() {
        transaction.execute(&format!("DELETE FROM main.{table}"), [])?;
    }
    for table in TABLES {
        let copy = format!("INSERT INTO main.{table} SELECT * FROM backup.{table}");
        transaction.execute(&copy, [])?;
    }
    schema::mark_pieces(transaction)?;
    schema::mark_owned_bans(transaction)?;
    // The numbers of generations continue: the kernel still has some generations of this store.
    transaction.execute_batch(
        "UPDATE main.sequence SET last = (
             SELECT last FROM backup.sequence AS theirs WHERE theirs.name = sequence.name)
         WHERE name <> 'generation';",
    )?;
    Ok(())
}
