//! The whole store as one file, and back.

use std::path::Path;

use ipblock_policy::text::printable;
use rusqlite::{ErrorCode, Transaction};

use super::{Failure, GenerationState, NewGeneration, Store, StoreError, generations, schema};

/// What a restore brings back. Generations and interfaces belong to one machine, the audit trail and
/// alerts tell what was done and seen on it, and the store's identity is what its pins carry: these
/// stay. What is referred to stands before what refers to it.
pub(super) const TABLES: [&str; 12] = [
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
    "confirmation",
    "rule_duration",
];

impl Store {
    /// Writes everything into a new database file at `path`, which must not exist.
    pub fn back_up(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_string_lossy();
        self.read(|connection| {
            connection.execute("VACUUM INTO ?1", [path])?;
            Ok(())
        })
    }

    /// Takes a backup up into a new store of this build in the directory `dir`, and refuses one that
    /// a daemon could not start or go on with. The backup is a store of its own that was opened, and
    /// by that checked and brought up to date.
    pub fn accept(backup: Self, dir: &Path) -> Result<Self, StoreError> {
        let accepted = Self::open(dir)?;
        let taken = accepted.replace_with(backup, &[], || Ok::<_, StoreError>(()));
        taken.map_err(as_damage)?;
        accepted.require_sound()?;
        Ok(accepted)
    }

    /// Replaces what this store holds by what an accepted backup holds, records the generations that
    /// judge by it, and lets the caller put them in force: all of it in one transaction, or nothing.
    /// What an error finds in force is the caller's to put back.
    ///
    /// Generations of this store are taken out of the count without adding to it: what their rules
    /// counted is not in the backup. Unpin them when this has returned.
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
        // Closed: it would keep its database locked.
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
                Failure::Damaged("what was restored is not in force".to_owned())
            })
        });
        // What was replaced is replaced, whether or not the copy is let go of.
        let detached = self.read(|connection| Ok(connection.execute("DETACH backup", [])?));
        drop(detached);
        match refused {
            Some(error) => Err(error),
            None => Ok(replaced?),
        }
    }
}

/// What the tables of this build do not take is no backup; a full disk is another matter.
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

fn replace(transaction: &Transaction<'_>) -> Result<(), Failure> {
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
    // Generations are numbered on: the kernel still holds some of this store's.
    transaction.execute_batch(
        "UPDATE main.sequence SET last = (
             SELECT last FROM backup.sequence AS theirs WHERE theirs.name = sequence.name)
         WHERE name <> 'generation';",
    )?;
    Ok(())
}
