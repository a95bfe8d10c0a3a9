//! Checks that a daemon can start and work with a store from outside.
//!
//! Copying the backup into this build's tables has already checked types, missing and duplicate
//! rows, and references. This module reads completely what a start reads by type or word, and
//! checks the ranges of numbers in SQL.

use rusqlite::{Connection, OptionalExtension as _};

use super::{Store, StoreError, TransactionError, backup::TABLES, bans, pieces, rulesets};

/// A larger number is not exact in JSON. All these numbers start at 1.
const LAST_NUMBER: i64 = (1 << 53) - 1;

/// Maximum of a size or a number of entries.
const LARGEST: i64 = 1 << 40;

/// Columns of numbers that are assigned in sequence.
const NUMBERS: [&str; 9] = [
    "number", "rule", "revision", "previous", "base", "last", "ruleset", "piece", "place",
];

/// Columns of sizes and amounts.
const SIZES: [&str; 5] = ["size", "rules", "entries", "edits", "edit_bytes"];

/// Columns of times, which may be before 1970. They are checked as they are read.
const TIMES: [&str; 4] = ["time", "ends", "deadline", "last_hit"];

/// Queries that must find nothing, with what a result would mean.
const RELATIONS: [(&str, &str); 8] = [
    (
        "SELECT 1 FROM sequence JOIN revision ON number > last WHERE name = 'revision'",
        "a revision has a number that was not given out",
    ),
    (
        "SELECT 1 FROM sequence JOIN (
             SELECT rule FROM ruleset_rule UNION ALL SELECT rule FROM base_rule
             UNION ALL SELECT rule FROM rule_duration) AS known ON known.rule > last
         WHERE name = 'rule'",
        "a rule has an identity that was not given out",
    ),
    (
        "SELECT 1 FROM revision WHERE number = 0",
        "a revision has the number 0",
    ),
    (
        "SELECT 1 FROM revision WHERE state = 'prepared'",
        "a revision is prepared",
    ),
    (
        "SELECT 1 FROM confirmation WHERE revision NOT IN (
             SELECT number FROM revision WHERE state = 'awaiting-confirmation')",
        "the revision that is on trial does not await confirmation",
    ),
    (
        "SELECT 1 FROM revision WHERE state = 'awaiting-confirmation'
             AND number NOT IN (SELECT revision FROM confirmation)",
        "a revision awaits confirmation without an end of its trial",
    ),
    (
        "SELECT 1 FROM confirmation
         WHERE previous <> 0 AND previous NOT IN (SELECT number FROM revision)",
        "the trial goes back to a revision that is not there",
    ),
    (
        "SELECT 1 FROM staged WHERE base <> 0 AND base NOT IN (SELECT number FROM revision)",
        "the staged edits start from a revision that is not there",
    ),
];

impl Store {
    /// Reads everything that a restore replaces, and rejects what a daemon could not start or work
    /// with. A ruleset is only a text here: the caller must check that it can be parsed.
    pub(super) fn require_sound(&self) -> Result<(), StoreError> {
        self.read(|connection| {
            numbers(connection)?;
            for (sql, problem) in RELATIONS {
                if connection.prepare(sql)?.exists([])? {
                    return Err(TransactionError::Damaged(problem.to_owned()));
                }
            }
            pieces::require_all(connection)?;
            bans::require_canonical(connection)?;
            let ids = connection
                .prepare("SELECT id FROM ruleset")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<Vec<i64>, _>>()?;
            for id in ids {
                rulesets::load(connection, id)?;
            }
            Ok(())
        })?;
        self.revisions()?;
        self.deployed_revision()?;
        self.confirmation()?;
        self.staged()?;
        self.staged_edits()?;
        self.base_rules()?;
        self.base_zones()?;
        self.bans()?;
        self.ban_counts()?;
        self.rule_durations()?;
        Ok(())
    }
}

/// Checks every integer in the tables that a restore replaces.
fn numbers(connection: &Connection) -> Result<(), TransactionError> {
    for table in TABLES.into_iter().chain(["sequence"]) {
        let columns = connection
            .prepare("SELECT name FROM pragma_table_info(?1) WHERE type = 'INTEGER'")?
            .query_map([table], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        for column in columns {
            if TIMES.contains(&column.as_str()) {
                continue;
            }
            let most = if NUMBERS.contains(&column.as_str()) {
                LAST_NUMBER
            } else if SIZES.contains(&column.as_str()) {
                LARGEST
            } else {
                i64::MAX
            };
            let bad: Option<i64> = connection
                .prepare(&format!(
                    "SELECT {column} FROM {table} WHERE {column} NOT BETWEEN 0 AND ?1 LIMIT 1"
                ))?
                .query_row([most], |row| row.get(0))
                .optional()?;
            if let Some(bad) = bad {
                let problem = format!("`{column}` of `{table}` is {bad}, out of its range");
                return Err(TransactionError::Damaged(problem));
            }
        }
    }
    Ok(())
}
