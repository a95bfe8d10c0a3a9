//! Generations: compiled sets of maps that are, were or will be in the kernel.
//!
//! A generation is built, then live, then folded: the base contains its counts, and it must not be
//! counted again. The table that maps kernel classes to rules is kept until then.

use ipblock_policy::{DefaultVerdict, MalformedPolicy, ZoneName, compile::CompiledClass};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::{
    Limits, Store, StoreError, TransactionError, advance,
    value::{Digest, Stored, Word, digest},
};

/// The state of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// Recorded before its program is attached.
    Built,
    /// In force in its zone.
    Live,
    /// The base contains its final counts.
    Folded,
}

impl Word for GenerationState {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Built, "built"),
        (Self::Live, "live"),
        (Self::Folded, "folded"),
    ];
}

/// A generation to record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGeneration<'a> {
    /// From [`Store::allocate_generation`].
    pub number: u64,
    /// Its zone.
    pub zone: ZoneName,
    /// The revision that it was compiled from.
    pub revision: u64,
    /// The rules of each class, indexed by class id.
    pub classes: &'a [CompiledClass],
    /// IPv4 entries.
    pub ipv4_entries: u64,
    /// IPv6 entries.
    pub ipv6_entries: u64,
    /// The zone's default that is built into the program.
    pub default: DefaultVerdict,
    /// The zone's policy for malformed packets that is built into the program.
    pub malformed: MalformedPolicy,
    /// SHA-256 of the BPF object that the program was loaded from.
    pub object_sha256: [u8; 32],
    /// When it was built.
    pub time: Timestamp,
}

/// A recorded generation without its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Ascending, never used twice.
    pub number: u64,
    /// Its zone.
    pub zone: ZoneName,
    /// The revision that it was compiled from.
    pub revision: u64,
    /// Its state.
    pub state: GenerationState,
    /// IPv4 entries.
    pub ipv4_entries: u64,
    /// IPv6 entries.
    pub ipv6_entries: u64,
    /// The zone's default that is built into the program.
    pub default: DefaultVerdict,
    /// The zone's policy for malformed packets that is built into the program.
    pub malformed: MalformedPolicy,
    /// SHA-256 of the BPF object that the program was loaded from.
    pub object_sha256: [u8; 32],
    /// When it was built.
    pub time: Timestamp,
}

const COLUMNS: &str = "number, zone, revision, state, ipv4_entries, ipv6_entries, \
                       default_verdict, malformed, object_sha256, time";

fn generation(row: &Row<'_>) -> rusqlite::Result<Generation> {
    let number: Stored<u64> = row.get(0)?;
    let zone: Stored<ZoneName> = row.get(1)?;
    let revision: Stored<u64> = row.get(2)?;
    let state: Stored<GenerationState> = row.get(3)?;
    let ipv4_entries: Stored<u64> = row.get(4)?;
    let ipv6_entries: Stored<u64> = row.get(5)?;
    let default: Stored<DefaultVerdict> = row.get(6)?;
    let malformed: Stored<MalformedPolicy> = row.get(7)?;
    let time: Stored<Timestamp> = row.get(9)?;
    Ok(Generation {
        number: number.0,
        zone: zone.0,
        revision: revision.0,
        state: state.0,
        ipv4_entries: ipv4_entries.0,
        ipv6_entries: ipv6_entries.0,
        default: default.0,
        malformed: malformed.0,
        object_sha256: row.get(8)?,
        time: time.0,
    })
}

impl Store {
    /// Takes the number of the next generation. No number is given twice.
    pub fn allocate_generation(&self) -> Result<u64, StoreError> {
        self.write(|transaction| advance(transaction, "generation", 1))
    }

    /// Records a generation as built. Call this before its program is attached: a later start that
    /// finds the program must know what its counters mean.
    pub fn record_built(&self, new: &NewGeneration<'_>) -> Result<(), StoreError> {
        self.write(|transaction| record(transaction, new, GenerationState::Built))
    }

    /// Forgets a generation that was built and never attached. Returns whether there was one. A
    /// generation that was attached has counted: fold it instead.
    pub fn discard_built(&self, number: u64) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let gone = transaction.execute(
                "DELETE FROM generation WHERE number = ?1 AND state = 'built'",
                [Stored(number)],
            )?;
            Ok(gone > 0)
        })
    }

    /// Returns the generation with this number; `None` if it was never recorded or was folded long
    /// ago.
    pub fn generation(&self, number: u64) -> Result<Option<Generation>, StoreError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM generation WHERE number = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement
                .query_row([Stored(number)], generation)
                .optional()?)
        })
    }

    /// Returns every generation whose counts are not in the base yet, by number.
    pub fn open_generations(&self) -> Result<Vec<Generation>, StoreError> {
        self.read(|connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM generation WHERE state <> 'folded' ORDER BY number");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([], generation)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Returns the generation in force in a zone.
    pub fn live_generation(&self, zone: &ZoneName) -> Result<Option<Generation>, StoreError> {
        self.read(|connection| {
            let sql =
                format!("SELECT {COLUMNS} FROM generation WHERE zone = ?1 AND state = 'live'");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row([Stored(zone)], generation).optional()?)
        })
    }

    /// Returns the rules of each class of a generation, indexed by class id.
    pub fn generation_classes(&self, number: u64) -> Result<Vec<CompiledClass>, StoreError> {
        self.read(|connection| {
            let (sha256, classes): (Digest, Vec<u8>) = connection
                .prepare_cached(
                    "SELECT sha256, classes FROM generation_classes WHERE generation = ?1",
                )?
                .query_row([Stored(number)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .ok_or(StoreError::NoSuchGeneration(number))?;
            let damaged = |why: &str| {
                TransactionError::Damaged(format!("the classes of generation {number}: {why}"))
            };
            if digest([classes.as_slice()]) != sha256 {
                return Err(damaged("not what was written"));
            }
            serde_json::from_slice(&classes).map_err(|error| damaged(&error.to_string()))
        })
    }
}

/// Records a generation with its classes.
pub(super) fn record(
    transaction: &Transaction<'_>,
    new: &NewGeneration<'_>,
    state: GenerationState,
) -> Result<(), TransactionError> {
    let classes = serde_json::to_vec(new.classes)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    transaction.execute(
        "INSERT INTO generation VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        (
            Stored(new.number),
            Stored(&new.zone),
            Stored(new.revision),
            Stored(state),
            Stored(new.default),
            Stored(new.malformed),
            Stored(new.ipv4_entries),
            Stored(new.ipv6_entries),
            new.object_sha256,
            Stored(new.time),
        ),
    )?;
    transaction.execute(
        "INSERT INTO generation_classes VALUES (?1, ?2, ?3)",
        (
            Stored(new.number),
            digest([classes.as_slice()]),
            classes.as_slice(),
        ),
    )?;
    Ok(())
}

/// Returns zone and state of a recorded generation.
pub(super) fn standing(
    connection: &Connection,
    number: u64,
) -> Result<(ZoneName, GenerationState), TransactionError> {
    let standing = connection
        .prepare_cached("SELECT zone, state FROM generation WHERE number = ?1")?
        .query_row([Stored(number)], |row| {
            let zone: Stored<ZoneName> = row.get(0)?;
            let state: Stored<GenerationState> = row.get(1)?;
            Ok((zone.0, state.0))
        })
        .optional()?;
    Ok(standing.ok_or(StoreError::NoSuchGeneration(number))?)
}

/// Records that the base contains a generation's counts: deletes its checkpoint and its classes,
/// and forgets generations that were folded long ago.
pub(super) fn mark_folded(
    transaction: &Transaction<'_>,
    number: u64,
    limits: &Limits,
) -> Result<(), TransactionError> {
    for sql in [
        "DELETE FROM checkpoint_rule WHERE generation = ?1",
        "DELETE FROM checkpoint_total WHERE generation = ?1",
        "DELETE FROM generation_classes WHERE generation = ?1",
        "UPDATE generation SET state = 'folded' WHERE number = ?1",
    ] {
        transaction.prepare_cached(sql)?.execute([Stored(number)])?;
    }
    transaction
        .prepare_cached(
            "DELETE FROM generation WHERE state = 'folded' AND number NOT IN (
                 SELECT number FROM generation WHERE state = 'folded'
                 ORDER BY number DESC LIMIT ?1)",
        )?
        .execute([Stored(limits.folded_generations)])?;
    Ok(())
}
