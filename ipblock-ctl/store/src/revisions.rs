//! Revisions: rulesets that were deployed or are being deployed.

use ipblock_policy::RuleId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, Transaction};

use super::{
    Author, Limits, Store, StoreError, StoredRuleset, TransactionError, Trial, advance,
    confirmation, rulesets, staged,
    value::{Stored, Word},
};

/// The state of a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionState {
    /// Recorded before the kernel is changed. If the daemon dies in the middle of a deploy, its
    /// next start can finish or undo it. Not part of the history.
    Prepared,
    /// In force.
    Deployed,
    /// In force until a deadline, unless an operator confirms it.
    AwaitingConfirmation,
    /// Replaced by a later one.
    Superseded,
    /// Rolled back.
    RolledBack,
}

impl Word for RevisionState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Prepared, "prepared"),
        (Self::Deployed, "deployed"),
        (Self::AwaitingConfirmation, "awaiting-confirmation"),
        (Self::Superseded, "superseded"),
        (Self::RolledBack, "rolled-back"),
    ];
}

/// A revision to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRevision<'a> {
    /// When it was made.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
    /// The author's comment.
    pub comment: String,
    /// The ruleset; `None` means the staged one, which is stored already.
    pub ruleset: Option<&'a StoredRuleset>,
    /// Number of its rules, including disabled ones.
    pub rules: u64,
    /// Number of its kernel entries over all zones and both families.
    pub entries: u64,
    /// [`RevisionState::Prepared`] before a deploy.
    pub state: RevisionState,
    /// Set if it must be confirmed.
    pub trial: Option<Trial>,
}

/// A recorded revision without its ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// From 1, ascending, never used twice.
    pub number: u64,
    /// When it was made.
    pub time: Timestamp,
    /// The author.
    pub author: Author,
    /// The author's comment.
    pub comment: String,
    /// Number of its rules, including disabled ones.
    pub rules: u64,
    /// Number of its kernel entries over all zones and both families.
    pub entries: u64,
    /// Its state.
    pub state: RevisionState,
}

const COLUMNS: &str = "number, time, uid, author, comment, rules, entries, state";

fn revision(row: &Row<'_>) -> rusqlite::Result<Revision> {
    let number: Stored<u64> = row.get(0)?;
    let time: Stored<Timestamp> = row.get(1)?;
    let rules: Stored<u64> = row.get(5)?;
    let entries: Stored<u64> = row.get(6)?;
    let state: Stored<RevisionState> = row.get(7)?;
    Ok(Revision {
        number: number.0,
        time: time.0,
        author: Author::from_columns(row, 2)?,
        comment: row.get(4)?,
        rules: rules.0,
        entries: entries.0,
        state: state.0,
    })
}

impl Store {
    /// Records a revision, assigns a number, and deletes the oldest revisions beyond the limits.
    ///
    /// Rejects a second one in force: deploy with [`RevisionState::Prepared`] and
    /// [`Store::commit_switch`].
    pub fn insert_revision(&self, new: &NewRevision<'_>) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let number = advance(transaction, "revision", 1)?;
            let ruleset = match new.ruleset {
                Some(ruleset) => rulesets::save(transaction, ruleset)?,
                None => staged::ruleset(transaction)?,
            };
            transaction.execute(
                "INSERT INTO revision VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                (
                    Stored(number),
                    Stored(new.time),
                    new.author.uid_column(),
                    &new.author.name,
                    &new.comment,
                    Stored(new.rules),
                    Stored(new.entries),
                    Stored(new.state),
                    ruleset,
                ),
            )?;
            if let Some(trial) = &new.trial {
                confirmation::record(transaction, number, trial)?;
            }
            prune(transaction, &self.limits)?;
            Ok(number)
        })
    }

    /// Returns the revision with this number; `None` if it never existed or is no longer kept.
    pub fn revision(&self, number: u64) -> Result<Option<Revision>, StoreError> {
        self.read(|connection| one(connection, "number = ?1", [Stored(number)]))
    }

    /// Returns the ruleset of a revision.
    pub fn ruleset(&self, number: u64) -> Result<StoredRuleset, StoreError> {
        self.read(|connection| {
            let id = connection
                .prepare_cached("SELECT ruleset FROM revision WHERE number = ?1")?
                .query_row([Stored(number)], |row| row.get(0))
                .optional()?
                .ok_or(StoreError::NoSuchRevision(number))?;
            rulesets::load(connection, id)
        })
    }

    /// Returns the history, newest first, without prepared revisions.
    pub fn revisions(&self) -> Result<Vec<Revision>, StoreError> {
        self.select("state <> 'prepared'")
    }

    /// Returns the revisions whose deploy did not finish, newest first.
    pub fn prepared_revisions(&self) -> Result<Vec<Revision>, StoreError> {
        self.select("state = 'prepared'")
    }

    /// Returns the revision in force, confirmed or not; `None` before the first deploy.
    pub fn deployed_revision(&self) -> Result<Option<Revision>, StoreError> {
        // An unreadable state is selected too, and is an error: if it were skipped, the filter
        // would be emptied.
        self.read(|connection| {
            one(
                connection,
                "state NOT IN ('prepared', 'superseded', 'rolled-back')",
                [],
            )
        })
    }

    /// Returns the first of the kept revisions that has this rule.
    pub fn first_revision_with(&self, rule: RuleId) -> Result<Option<Revision>, StoreError> {
        self.read(|connection| {
            one(
                connection,
                "number = (
                     SELECT min(number) FROM ruleset_rule JOIN revision USING (ruleset)
                     WHERE rule = ?1 AND state <> 'prepared')",
                [Stored(rule)],
            )
        })
    }

    /// Forgets the generations of a revision whose renewed deploy failed. A generation that was
    /// attached has counted: fold it first.
    pub fn discard_built_for(&self, number: u64) -> Result<(), StoreError> {
        self.write(|transaction| {
            transaction
                .prepare_cached("DELETE FROM generation WHERE revision = ?1 AND state = 'built'")?
                .execute([Stored(number)])?;
            Ok(())
        })
    }

    /// Forgets a prepared revision whose deploy failed, and its generations that never were in
    /// force. A generation that was attached has counted: fold it first.
    pub fn discard_prepared(&self, number: u64) -> Result<(), StoreError> {
        self.write(|transaction| {
            let ruleset: Option<i64> = transaction
                .prepare_cached(
                    "DELETE FROM revision WHERE number = ?1 AND state = 'prepared'
                     RETURNING ruleset",
                )?
                .query_row([Stored(number)], |row| row.get(0))
                .optional()?;
            let ruleset = ruleset.ok_or(StoreError::NoSuchRevision(number))?;
            transaction
                .prepare_cached("DELETE FROM generation WHERE revision = ?1 AND state = 'built'")?
                .execute([Stored(number)])?;
            confirmation::forget(transaction, number)?;
            rulesets::release(transaction, ruleset)
        })
    }

    fn select(&self, condition: &'static str) -> Result<Vec<Revision>, StoreError> {
        self.read(|connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM revision WHERE {condition} ORDER BY number DESC");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], revision)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

fn one(
    connection: &Connection,
    condition: &'static str,
    parameters: impl Params,
) -> Result<Option<Revision>, TransactionError> {
    let sql = format!("SELECT {COLUMNS} FROM revision WHERE {condition}");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row(parameters, revision).optional()?)
}

/// Deletes the oldest revisions beyond the limits; the daemon's own revisions (for changed list
/// files) before those of people. Keeps the newest few, the one in force, a prepared one, one whose
/// generation is in the kernel, the target of a pending rollback, and the base of the staged edits.
fn prune(transaction: &Transaction<'_>, limits: &Limits) -> Result<(), TransactionError> {
    let mut pruned = false;
    loop {
        let (count, bytes): (Stored<u64>, Stored<u64>) = transaction
            .prepare_cached(
                "SELECT (SELECT count(*) FROM revision),
                        (SELECT coalesce(sum(size), 0) FROM ruleset) +
                        (SELECT coalesce(sum(size), 0) FROM piece)",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if count.0 <= limits.revisions
            && (bytes.0 <= limits.ruleset_bytes || count.0 <= limits.spared_revisions)
        {
            break;
        }
        let gone: Option<i64> = transaction
            .prepare_cached(
                "DELETE FROM revision WHERE number = (
                     SELECT number FROM revision
                     WHERE state IN ('superseded', 'rolled-back')
                       AND number NOT IN (SELECT revision FROM generation WHERE state <> 'folded')
                       AND number NOT IN (SELECT previous FROM confirmation)
                       AND number NOT IN (SELECT base FROM staged)
                     ORDER BY author <> 'ipblockd', number LIMIT 1)
                 RETURNING ruleset",
            )?
            .query_row([], |row| row.get(0))
            .optional()?;
        let Some(ruleset) = gone else { break };
        rulesets::release(transaction, ruleset)?;
        pruned = true;
    }
    if pruned {
        // A rule that no kept ruleset contains can never be deployed again.
        transaction.execute(
            "DELETE FROM base_rule
             WHERE NOT EXISTS (SELECT 1 FROM ruleset_rule WHERE rule = base_rule.rule)
               AND rule NOT IN (SELECT rule FROM checkpoint_rule)",
            [],
        )?;
    }
    Ok(())
}
