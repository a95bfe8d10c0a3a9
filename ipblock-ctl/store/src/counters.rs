//! Counters: the base, which contains the counts of folded generations, and checkpoints of the
//! others.
//!
//! The count of a rule or a zone is the base plus the kernel's counters of the open generations.
//! While the kernel has a generation, its checkpoint is not part of any sum. The checkpoint is used
//! only if the machine goes down.

use std::{collections::BTreeMap, ops::AddAssign};

use ipblock_common::{Count, Outcome, Totals};
use ipblock_policy::{RuleId, ZoneName};
use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use super::{
    GenerationState, Store, StoreError, TransactionError,
    generations::{mark_folded, standing},
    value::{Stored, Word},
};

/// The counts of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleCounts {
    /// Packets that matched.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that an exception exempted.
    pub excepted: u64,
    /// When a packet last matched.
    pub last_hit: Option<Timestamp>,
}

/// Counts are added and saturate at `u64::MAX`; the later of both last hits is kept.
impl AddAssign for RuleCounts {
    fn add_assign(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.excepted = self.excepted.saturating_add(other.excepted);
        // `None` is earlier than every time.
        self.last_hit = self.last_hit.max(other.last_hit);
    }
}

/// The counts of one generation since it was built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerationCounts {
    /// The counts per rule; a rule without a hit may be missing.
    pub rules: BTreeMap<RuleId, RuleCounts>,
    /// The zone's totals.
    pub totals: Totals,
    /// The packets that bans dropped, which are part of the totals too.
    pub bans: Count,
}

/// The counts of a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneCounts {
    /// Per outcome.
    pub totals: Totals,
    /// The packets that bans dropped, which are part of the totals too.
    pub bans: Count,
}

impl AddAssign for ZoneCounts {
    fn add_assign(&mut self, other: Self) {
        self.totals += other.totals;
        self.bans += other.bans;
    }
}

/// The subject of a row: one outcome, or bans.
#[derive(Clone, Copy, PartialEq)]
enum Counted {
    Outcome(Outcome),
    Bans,
}

impl Word for Counted {
    const WORDS: &'static [(Self, &'static str)] = &{
        const fn of(outcome: Outcome) -> (Counted, &'static str) {
            (Counted::Outcome(outcome), outcome.as_str())
        }
        let [a, b, c, d, e, f] = Outcome::ALL;
        let bans = (Self::Bans, "bans");
        [of(a), of(b), of(c), of(d), of(e), of(f), bans]
    };
}

impl ZoneCounts {
    fn of_mut(&mut self, counted: Counted) -> &mut Count {
        match counted {
            Counted::Outcome(outcome) => &mut self.totals[outcome],
            Counted::Bans => &mut self.bans,
        }
    }

    /// Returns each row with its count.
    fn rows(mut self) -> impl Iterator<Item = (Counted, Count)> {
        let words = Counted::WORDS.iter();
        words.map(move |(counted, _)| (*counted, *self.of_mut(*counted)))
    }
}

impl GenerationCounts {
    /// Returns the sum of all rules.
    #[must_use]
    pub fn zone(&self) -> ZoneCounts {
        ZoneCounts {
            totals: self.totals,
            bans: self.bans,
        }
    }
}

impl Store {
    /// Returns the counts of folded generations per rule. A missing rule counted nothing.
    pub fn base_rules(&self) -> Result<BTreeMap<RuleId, RuleCounts>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT rule, packets, bytes, excepted, last_hit FROM base_rule";
            rule_counts(connection, sql, None)
        })
    }

    /// Returns the counts of folded generations per zone. A missing zone counted nothing.
    pub fn base_zones(&self) -> Result<BTreeMap<ZoneName, ZoneCounts>, StoreError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT zone, outcome, packets, bytes FROM base_total")?;
            let rows = statement.query_map([], |row| {
                let zone: Stored<ZoneName> = row.get(0)?;
                let counted: Stored<Counted> = row.get(1)?;
                let packets: Stored<u64> = row.get(2)?;
                let bytes: Stored<u64> = row.get(3)?;
                Ok((zone.0, counted.0, packets.0, bytes.0))
            })?;
            let mut zones = BTreeMap::<ZoneName, ZoneCounts>::new();
            for row in rows {
                let (zone, counted, packets, bytes) = row?;
                *zones.entry(zone).or_default().of_mut(counted) = Count { packets, bytes };
            }
            Ok(zones)
        })
    }

    /// Returns the last checkpoint of a generation, or zeroes if there is none.
    pub fn checkpoint_of(&self, generation: u64) -> Result<GenerationCounts, StoreError> {
        self.read(|connection| read_checkpoint(connection, generation))
    }

    /// Replaces a generation's checkpoint with the kernel's present counts.
    ///
    /// Returns false and records nothing if the generation is folded. Then the counters were read
    /// before a switch, and the final counts are larger.
    pub fn checkpoint(
        &self,
        generation: u64,
        counts: &GenerationCounts,
    ) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let (_, state) = standing(transaction, generation)?;
            if state == GenerationState::Folded {
                return Ok(false);
            }
            let mut rule = transaction.prepare_cached(
                "INSERT OR REPLACE INTO checkpoint_rule VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            transaction
                .prepare_cached("DELETE FROM checkpoint_rule WHERE generation = ?1")?
                .execute([Stored(generation)])?;
            for (id, counts) in &counts.rules {
                rule.execute((
                    Stored(generation),
                    Stored(*id),
                    Stored(counts.packets),
                    Stored(counts.bytes),
                    Stored(counts.excepted),
                    counts.last_hit.map(Stored),
                ))?;
            }
            let mut total = transaction.prepare_cached(
                "INSERT OR REPLACE INTO checkpoint_total VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (counted, count) in counts.zone().rows() {
                total.execute((
                    Stored(generation),
                    Stored(counted),
                    Stored(count.packets),
                    Stored(count.bytes),
                ))?;
            }
            Ok(true)
        })
    }

    /// Adds a generation's last checkpoint to the base and marks it folded: for a generation whose
    /// pins were lost in a reboot. Returns false and adds nothing if it was folded before.
    pub fn fold_checkpoint(&self, generation: u64) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let counts = read_checkpoint(transaction, generation)?;
            fold(transaction, generation, &counts, &self.limits)
        })
    }
}

/// Adds final counts to the base, once. Returns whether this call did it.
pub(super) fn fold(
    transaction: &Transaction<'_>,
    generation: u64,
    counts: &GenerationCounts,
    limits: &super::Limits,
) -> Result<bool, TransactionError> {
    let (zone, state) = standing(transaction, generation)?;
    if state == GenerationState::Folded {
        return Ok(false);
    }
    // A sum beyond i64 saturates: see `value.rs`.
    let mut rule = transaction.prepare_cached(
        "INSERT INTO base_rule VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (rule) DO UPDATE SET
             packets = packets + min(excluded.packets, 9223372036854775807 - packets),
             bytes = bytes + min(excluded.bytes, 9223372036854775807 - bytes),
             excepted = excepted + min(excluded.excepted, 9223372036854775807 - excepted),
             last_hit = max(coalesce(last_hit, excluded.last_hit),
                            coalesce(excluded.last_hit, last_hit))",
    )?;
    for (id, counts) in &counts.rules {
        rule.execute((
            Stored(*id),
            Stored(counts.packets),
            Stored(counts.bytes),
            Stored(counts.excepted),
            counts.last_hit.map(Stored),
        ))?;
    }
    let mut total = transaction.prepare_cached(
        "INSERT INTO base_total VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (zone, outcome) DO UPDATE SET
             packets = packets + min(excluded.packets, 9223372036854775807 - packets),
             bytes = bytes + min(excluded.bytes, 9223372036854775807 - bytes)",
    )?;
    for (counted, count) in counts.zone().rows() {
        total.execute((
            Stored(&zone),
            Stored(counted),
            Stored(count.packets),
            Stored(count.bytes),
        ))?;
    }
    mark_folded(transaction, generation, limits)?;
    Ok(true)
}

fn read_checkpoint(
    connection: &Connection,
    generation: u64,
) -> Result<GenerationCounts, TransactionError> {
    let sql = "SELECT rule, packets, bytes, excepted, last_hit FROM checkpoint_rule
               WHERE generation = ?1";
    let rules = rule_counts(connection, sql, Some(generation))?;
    let mut statement = connection.prepare_cached(
        "SELECT outcome, packets, bytes FROM checkpoint_total WHERE generation = ?1",
    )?;
    let rows = statement.query_map([Stored(generation)], |row| {
        let counted: Stored<Counted> = row.get(0)?;
        let packets: Stored<u64> = row.get(1)?;
        let bytes: Stored<u64> = row.get(2)?;
        Ok((counted.0, packets.0, bytes.0))
    })?;
    let mut zone = ZoneCounts::default();
    for row in rows {
        let (counted, packets, bytes) = row?;
        *zone.of_mut(counted) = Count { packets, bytes };
    }
    Ok(GenerationCounts {
        rules,
        totals: zone.totals,
        bans: zone.bans,
    })
}

fn rule_counts(
    connection: &Connection,
    sql: &'static str,
    generation: Option<u64>,
) -> Result<BTreeMap<RuleId, RuleCounts>, TransactionError> {
    let mut statement = connection.prepare_cached(sql)?;
    let parameters = rusqlite::params_from_iter(generation.map(Stored));
    let rows = statement.query_map(parameters, |row| {
        let rule: Stored<RuleId> = row.get(0)?;
        let packets: Stored<u64> = row.get(1)?;
        let bytes: Stored<u64> = row.get(2)?;
        let excepted: Stored<u64> = row.get(3)?;
        let last_hit: Option<Stored<Timestamp>> = row.get(4)?;
        let counts = RuleCounts {
            packets: packets.0,
            bytes: bytes.0,
            excepted: excepted.0,
            last_hit: last_hit.map(|time| time.0),
        };
        Ok((rule.0, counts))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
