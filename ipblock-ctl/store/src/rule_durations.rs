//! Ends of rules that were given as durations.

use std::collections::BTreeMap;

use ipblock_policy::RuleId;
use rusqlite::Transaction;

use super::{End, Store, StoreError, TransactionError, value::Stored};

impl Store {
    /// Returns the end of the last duration of each rule. It is the rule's end while the ruleset
    /// has the same wall time.
    pub fn rule_durations(&self) -> Result<BTreeMap<RuleId, End>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT ends, boot_id, boot_deadline, rule FROM rule_duration")?;
            let rows = statement.query_map([], |row| {
                let rule: Stored<RuleId> = row.get(3)?;
                Ok((rule.0, End::from_columns(row, 0)?))
            })?;
            let ends = rows.map(|row| Ok(row.map(|(rule, end)| end.map(|end| (rule, end)))?));
            ends.filter_map(Result::transpose).collect()
        })
    }

    /// Replaces ends of rules. Skips an end without a boot clock, because it is not a duration.
    pub fn set_rule_durations(
        &self,
        ends: impl IntoIterator<Item = (RuleId, End)>,
    ) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut statement = transaction
                .prepare_cached("INSERT OR REPLACE INTO rule_duration VALUES (?1, ?2, ?3, ?4)")?;
            for (rule, end) in ends {
                if let Some(boot) = &end.boot {
                    statement.execute((
                        Stored(rule),
                        Stored(end.wall),
                        &boot.boot_id,
                        Stored(boot.deadline_ns),
                    ))?;
                }
            }
            Ok(())
        })
    }

    /// Forgets the ends of rules that no kept ruleset contains: a failed edit or an older release
    /// may leave them. Returns their number. Writes nothing if there are none.
    pub fn forget_unused_durations(&self) -> Result<usize, StoreError> {
        const UNUSED: &str = "FROM rule_duration
             WHERE NOT EXISTS (SELECT 1 FROM ruleset_rule WHERE rule = rule_duration.rule)";
        let any = format!("SELECT EXISTS (SELECT 1 {UNUSED})");
        let any: bool =
            self.read(|connection| Ok(connection.query_row(&any, [], |row| row.get(0))?))?;
        if !any {
            return Ok(0);
        }
        self.write(|transaction| Ok(transaction.execute(&format!("DELETE {UNUSED}"), [])?))
    }
}

/// Forgets the ends of the rules that only this ruleset contains: after its deletion they can never
/// be deployed again.
pub(super) fn forget_of(
    transaction: &Transaction<'_>,
    ruleset: i64,
) -> Result<(), TransactionError> {
    transaction
        .prepare_cached(
            "DELETE FROM rule_duration
             WHERE rule IN (SELECT rule FROM ruleset_rule WHERE ruleset = ?1)
               AND NOT EXISTS (SELECT 1 FROM ruleset_rule AS other
                               WHERE other.rule = rule_duration.rule AND other.ruleset <> ?1)",
        )?
        .execute([ruleset])?;
    Ok(())
}
