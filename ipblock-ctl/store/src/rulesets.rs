//! Stored rulesets: a text, and the identity of each rule name.
//!
//! Revisions and the staged set share rows. So a deploy of the staged ruleset, a rollback, or a
//! change back and forth between two rulesets stores no text twice. Large texts share their pieces.

use std::collections::BTreeMap;

use ipblock_policy::{RuleId, RuleName};
use rusqlite::{Connection, OptionalExtension as _, Transaction};

use super::{
    Store, StoreError, TransactionError, advance, pieces, rule_durations,
    value::{Digest, Stored, digest},
};

/// Approximate size of the row of an identity or a piece, for [`super::Limits::ruleset_bytes`].
const ROW_SIZE: usize = 64;

/// A ruleset as the text of a ruleset file, with the identities that the file lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredRuleset {
    /// The text, as printed by `policy::document`.
    pub toml: String,
    /// Identity of each of its rules.
    pub ids: BTreeMap<RuleName, RuleId>,
}

impl StoredRuleset {
    /// Returns the digest of a ruleset with this whole text, or with the pieces of these digests.
    fn digest(&self, whole: &str, pieces: &[Digest]) -> Digest {
        let pieces = pieces.iter().map(Digest::as_slice);
        let ids: Vec<_> = self
            .ids
            .iter()
            .map(|(name, id)| (name.as_str(), id.0.to_le_bytes()))
            .collect();
        let ids = ids
            .iter()
            .flat_map(|(name, id)| [name.as_bytes(), id.as_slice()]);
        digest(std::iter::once(whole.as_bytes()).chain(pieces).chain(ids))
    }
}

impl Store {
    /// Takes `count` new rule identities in ascending order. No identity is given twice.
    pub fn allocate_rule_ids(&self, count: u32) -> Result<Vec<RuleId>, StoreError> {
        let count = u64::from(count);
        let last = self.write(|transaction| advance(transaction, "rule", count))?;
        Ok((last - count + 1..=last).map(RuleId).collect())
    }
}

/// Returns the row of `ruleset`, and creates it if it does not exist.
pub(super) fn save(
    transaction: &Transaction<'_>,
    ruleset: &StoredRuleset,
) -> Result<i64, TransactionError> {
    let pieces = pieces::cut(&ruleset.toml);
    let digests = pieces::digests(&pieces);
    let whole = if pieces.is_empty() { &ruleset.toml } else { "" };
    let sha256 = ruleset.digest(whole, &digests);
    let known = transaction
        .prepare_cached("SELECT id FROM ruleset WHERE sha256 = ?1")?
        .query_row([sha256], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let size = whole.len() + (ruleset.ids.len() + pieces.len()) * ROW_SIZE;
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    let id = transaction
        .prepare_cached("INSERT INTO ruleset (sha256, size, toml) VALUES (?1, ?2, ?3)")?
        .insert((sha256, Stored(size), whole))?;
    pieces::save(transaction, id, &pieces, &digests)?;
    let mut insert = transaction.prepare_cached("INSERT INTO ruleset_rule VALUES (?1, ?2, ?3)")?;
    for (name, rule) in &ruleset.ids {
        insert.execute((id, Stored(name), Stored(*rule)))?;
    }
    Ok(id)
}

/// Returns the ruleset of a row, checked against its digest.
pub(super) fn load(connection: &Connection, id: i64) -> Result<StoredRuleset, TransactionError> {
    let (sha256, mut toml): (Digest, String) = connection
        .prepare_cached("SELECT sha256, toml FROM ruleset WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let ids = connection
        .prepare_cached("SELECT name, rule FROM ruleset_rule WHERE ruleset = ?1")?
        .query_map([id], |row| {
            let name: Stored<RuleName> = row.get(0)?;
            let rule: Stored<RuleId> = row.get(1)?;
            Ok((name.0, rule.0))
        })?
        .collect::<Result<_, _>>()?;
    let whole = toml.len();
    let pieces = pieces::load(connection, id, &mut toml)?;
    let ruleset = StoredRuleset { toml, ids };
    let whole = ruleset.toml.get(..whole).unwrap_or_default();
    if ruleset.digest(whole, &pieces) == sha256 {
        Ok(ruleset)
    } else {
        Err(TransactionError::Damaged(format!(
            "stored ruleset {id} is not what was written"
        )))
    }
}

/// Deletes a row that neither a revision nor the staged set uses.
pub(super) fn release(transaction: &Transaction<'_>, id: i64) -> Result<(), TransactionError> {
    let is_used: bool = transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM revision WHERE ruleset = ?1)
                 OR EXISTS (SELECT 1 FROM staged WHERE ruleset = ?1)",
        )?
        .query_row([id], |row| row.get(0))?;
    if is_used {
        return Ok(());
    }
    rule_durations::forget_of(transaction, id)?;
    transaction
        .prepare_cached("DELETE FROM ruleset WHERE id = ?1")?
        .execute([id])?;
    pieces::release(transaction)
}
