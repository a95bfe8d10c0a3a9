//! The whole store as one file, and back.

use std::path::Path;

use rusqlite::Transaction;

use super::{Failure, Store, StoreError, schema};

/// What a restore brings back. Generations and interfaces belong to one machine, the audit trail and
/// alerts tell what was done and seen on it, and the store's identity is what its pins carry: these
/// stay. What is referred to stands before what refers to it.
const TABLES: [&str; 12] = [
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

    /// Replaces what this store holds by what a backup holds, in one transaction. The backup is a
    /// store of its own that was opened, and by that checked and brought up to date.
    ///
    /// Generations of this store are taken out of the count without adding to it: what their rules
    /// counted is not in the backup. Build new ones, and only then unpin them.
    pub fn replace_with(&self, backup: Self) -> Result<(), StoreError> {
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
        let replaced = self.write(replace);
        // What was replaced is replaced, whether or not the copy is let go of.
        let detached = self.read(|connection| Ok(connection.execute("DETACH backup", [])?));
        drop(detached);
        replaced
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
