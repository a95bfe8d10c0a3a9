//! Ends of rules that were given as durations.

use std::collections::BTreeMap;

use super::{End, Store, StoreError, value::Stored};
use crate::policy::RuleId;

impl Store {
    /// The last duration that each rule was given. It is the rule's end for as long as the ruleset
    /// gives the same wall time.
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

    /// Keeps ends of rules in place of those that they had. Ends without a boot clock are none.
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
}
