//! The one transaction that follows a switch in the kernel.

use rusqlite::{OptionalExtension as _, Transaction};

use super::{
    Failure, GenerationCounts, GenerationState, RevisionState, Store, StoreError, Trial,
    confirmation, counters::fold, generations::standing, staged, value::Stored,
};

/// What a switch did in the kernel. All of it is recorded, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Each zone that was switched.
    pub zones: Vec<ZoneSwitch>,
    /// The revision that is in force now; none when only the program or a zone's interfaces
    /// changed.
    pub deploy: Option<Deploy>,
    /// Whether the staged set is what was deployed.
    pub clear_staged: bool,
}

impl Switch {
    /// Only takes one generation out of the count: nothing follows it.
    #[must_use]
    pub fn retiring(retired: FinalCounts) -> Self {
        Self {
            zones: vec![ZoneSwitch {
                retired: Some(retired),
                live: None,
            }],
            ..Self::default()
        }
    }
}

/// What a switch did in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSwitch {
    /// The generation that is on no link any more. It may be one that never went live: after a
    /// switch that was undone half-way it has counted too.
    pub retired: Option<FinalCounts>,
    /// The generation that is in force, new or kept; none when the zone is gone.
    pub live: Option<u64>,
}

/// A generation's counts, read after its program left the last link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalCounts {
    /// Its number.
    pub generation: u64,
    /// What it counted since it was built.
    pub counts: GenerationCounts,
}

/// A change of the revision in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    /// The revision that is in force now; 0: none, as before the first deploy.
    pub revision: u64,
    /// Set when it has to be confirmed.
    pub trial: Option<Trial>,
    /// What becomes of the one before: [`RevisionState::Superseded`] or
    /// [`RevisionState::RolledBack`].
    pub previous: RevisionState,
}

impl Store {
    /// Records a switch: adds the final counts of retired generations to the base, puts the new
    /// ones and their revision in force, and clears the staged set when asked to.
    ///
    /// Only after it returns may retired generations be unpinned. Doing it again is safe: a
    /// generation that is folded already adds nothing.
    pub fn commit_switch(&self, switch: &Switch) -> Result<(), StoreError> {
        self.write(|transaction| {
            for retired in switch.zones.iter().filter_map(|zone| zone.retired.as_ref()) {
                fold(
                    transaction,
                    retired.generation,
                    &retired.counts,
                    &self.limits,
                )?;
            }
            for live in switch.zones.iter().filter_map(|zone| zone.live) {
                put_in_force(transaction, live)?;
            }
            if let Some(deploy) = &switch.deploy {
                record_deploy(transaction, deploy)?;
            }
            if switch.clear_staged {
                staged::clear(transaction)?;
            }
            Ok(())
        })
    }

    /// Confirms the revision on trial: it stays.
    pub fn confirm(&self, revision: u64) -> Result<(), StoreError> {
        self.write(|transaction| {
            set_state(transaction, revision, RevisionState::Deployed)?;
            confirmation::forget(transaction, revision)
        })
    }
}

fn put_in_force(transaction: &Transaction<'_>, number: u64) -> Result<(), Failure> {
    let (zone, state) = standing(transaction, number)?;
    match state {
        GenerationState::Live => return Ok(()),
        GenerationState::Folded => return Err(StoreError::GenerationFolded(number).into()),
        GenerationState::Built => {}
    }
    let live: Option<Stored<u64>> = transaction
        .prepare_cached("SELECT number FROM generation WHERE zone = ?1 AND state = 'live'")?
        .query_row([Stored(&zone)], |row| row.get(0))
        .optional()?;
    if let Some(live) = live {
        return Err(StoreError::ZoneInForce {
            zone,
            live: live.0,
            refused: number,
        }
        .into());
    }
    transaction
        .prepare_cached("UPDATE generation SET state = 'live' WHERE number = ?1")?
        .execute([Stored(number)])?;
    Ok(())
}

fn record_deploy(transaction: &Transaction<'_>, deploy: &Deploy) -> Result<(), Failure> {
    transaction
        .prepare_cached(
            "UPDATE revision SET state = ?2
             WHERE state IN ('deployed', 'awaiting-confirmation') AND number <> ?1",
        )?
        .execute((Stored(deploy.revision), Stored(deploy.previous)))?;
    confirmation::forget_any(transaction)?;
    let state = if let Some(trial) = &deploy.trial {
        confirmation::record(transaction, deploy.revision, trial)?;
        RevisionState::AwaitingConfirmation
    } else {
        RevisionState::Deployed
    };
    if deploy.revision == 0 {
        return Ok(());
    }
    set_state(transaction, deploy.revision, state)
}

fn set_state(
    transaction: &Transaction<'_>,
    number: u64,
    state: RevisionState,
) -> Result<(), Failure> {
    let changed = transaction
        .prepare_cached("UPDATE revision SET state = ?2 WHERE number = ?1")?
        .execute((Stored(number), Stored(state)))?;
    if changed == 0 {
        return Err(StoreError::NoSuchRevision(number).into());
    }
    Ok(())
}
