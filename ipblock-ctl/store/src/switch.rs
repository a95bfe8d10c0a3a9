//! The single transaction after a switch in the kernel.

use rusqlite::{OptionalExtension as _, Transaction};

use super::{
    GenerationCounts, GenerationState, RevisionState, Store, StoreError, TransactionError, Trial,
    confirmation, counters::fold, generations::standing, staged, value::Stored,
};

/// What a switch did in the kernel. Recorded completely or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// Each zone that was switched.
    pub zones: Vec<ZoneSwitch>,
    /// The revision in force now; `None` if only the program or a zone's interfaces changed.
    pub deploy: Option<Deploy>,
    /// Whether the staged ruleset was deployed.
    pub clear_staged: bool,
}

impl Switch {
    /// Only stops counting one generation, without a successor.
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

/// A switch in one zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZoneSwitch {
    /// The generation that is not attached any more. It may never have been live: after a switch
    /// that was undone half-way it has counted too.
    pub retired: Option<FinalCounts>,
    /// The generation in force, new or kept; `None` if the zone was removed.
    pub live: Option<u64>,
}

/// The counts of a generation, read after its program was detached from the last link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinalCounts {
    /// Its number.
    pub generation: u64,
    /// Its counts since it was built.
    pub counts: GenerationCounts,
}

/// A change of the revision in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deploy {
    /// The revision in force now; 0 if there is none, as before the first deploy.
    pub revision: u64,
    /// Set if it must be confirmed.
    pub trial: Option<Trial>,
    /// The new state of the previous one: [`RevisionState::Superseded`] or
    /// [`RevisionState::RolledBack`].
    pub previous: RevisionState,
}

impl Store {
    /// Records a switch: adds the final counts of retired generations to the base, puts the new
    /// ones and their revision in force, and clears the staged set if requested.
    ///
    /// Unpin retired generations only after it has returned. It can be repeated safely: a folded
    /// generation adds nothing.
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

    /// Confirms the revision on trial, so it is not rolled back.
    pub fn confirm(&self, revision: u64) -> Result<(), StoreError> {
        self.write(|transaction| {
            set_state(transaction, revision, RevisionState::Deployed)?;
            confirmation::forget(transaction, revision)
        })
    }
}

fn put_in_force(transaction: &Transaction<'_>, number: u64) -> Result<(), TransactionError> {
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

fn record_deploy(transaction: &Transaction<'_>, deploy: &Deploy) -> Result<(), TransactionError> {
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
) -> Result<(), TransactionError> {
    let changed = transaction
        .prepare_cached("UPDATE revision SET state = ?2 WHERE number = ?1")?
        .execute((Stored(number), Stored(state)))?;
    if changed == 0 {
        return Err(StoreError::NoSuchRevision(number).into());
    }
    Ok(())
}
