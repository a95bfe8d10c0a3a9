//! `kill -9` at every step of every change and of every kind of start.

use std::collections::{BTreeMap, BTreeSet};

use ipblock_fault::Step;
use ipblock_tests::require_privileged;

use super::{
    below::BELOW,
    ledger::{Entry, close},
    operations::{
        Attach, BanTwo, Confirm, Deploy, Expire, Operation, Rollback, StageEdit, Start, StartKind,
        Told,
    },
    stage::Stage,
};

const STORE: [Step; 2] = [Step::StoreCommitting, Step::StoreCommitted];

/// Runs the operation once to record its steps, and then once more for each step, killed there.
fn kill_at_every_step(stage: &mut Stage, operation: &mut dyn Operation) -> anyhow::Result<u64> {
    let fault = stage.daemon.fault();
    operation.prepare(stage)?;
    fault.trace()?;
    assert_eq!(operation.act(stage)?, Told::Done);
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for step in fault.traced()? {
        *times.entry(step).or_default() += 1;
    }
    stage.converged()?;
    operation.verify(stage, Told::Done)?;
    let reached: BTreeSet<&str> = times.keys().map(String::as_str).collect();
    let expected = operation.steps().into_iter().chain(STORE);
    assert_eq!(reached, expected.map(Step::name).collect());

    let mut injected = 0;
    for (step, times) in times {
        for time in 1..=times {
            operation.prepare(stage)?;
            fault.kill_at(&step, time)?;
            let told = operation.act(stage)?;
            if fault.is_reached() {
                stage.restart_killed()?;
                injected += 1;
            } else {
                // The daemon's periodic work was counted too.
                fault.clear()?;
                assert_eq!(told, Told::Done);
            }
            let outcome = operation
                .verify(stage, told)
                .and_then(|()| stage.converged());
            outcome.map_err(|error| error.context(format!("killed at {step}, time {time}")))?;
        }
    }
    Ok(injected)
}

fn killed(
    operation: impl FnOnce(&Stage) -> anyhow::Result<Box<dyn Operation>>,
) -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let mut operation = operation(&stage)?;
    let injected = kill_at_every_step(&mut stage, &mut *operation)?;
    let steps = operation.steps().len() + STORE.len();
    assert!(injected >= steps as u64, "{injected}");
    let entry = Entry {
        part: "kill -9 at every step",
        fault: operation.name(),
        injected,
        outcome: "old or new, what was told is there, restart converges",
    };
    close(stage, entry)
}

#[test]
fn a_deploy_over_two_zones_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Deploy::default())))
}

#[test]
fn a_rollback_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Rollback::default())))
}

#[test]
fn the_way_back_from_a_trial_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Expire::default())))
}

#[test]
fn a_confirmation_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Confirm::default())))
}

#[test]
fn a_staged_edit_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(StageEdit::default())))
}

#[test]
fn a_ban_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(BanTwo::default())))
}

#[test]
fn an_unban_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(BanTwo::lifting())))
}

#[test]
fn an_attach_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|stage| Ok(Box::new(Attach::of(stage, false)?)))
}

#[test]
fn a_detach_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|stage| Ok(Box::new(Attach::of(stage, true)?)))
}

#[test]
fn a_take_over_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Start::on(StartKind::Same))))
}

#[test]
fn a_take_over_from_another_program_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Start::on(StartKind::OtherProgram))))
}

#[test]
fn a_take_over_without_shared_maps_survives_a_kill_at_every_step() -> anyhow::Result<()> {
    killed(|_| Ok(Box::new(Start::on(StartKind::WithoutSharedMaps))))
}

/// Returns all steps with their operations.
fn all_steps() -> BTreeSet<Step> {
    let start = Start::on(StartKind::WithoutSharedMaps);
    let links = [
        Step::LinkMade,
        Step::LinkPinned,
        Step::LinkDetached,
        Step::LinkUnpinned,
    ];
    start
        .steps()
        .into_iter()
        .chain(STORE)
        .chain(links)
        .chain([Step::Judged])
        .chain(BELOW)
        .collect()
}

#[test]
fn every_step_that_there_is_belongs_to_an_operation_that_is_killed() {
    // No change happens at this one: a test of lists is held there.
    let reading = [Step::ListRead];
    let killed = all_steps().into_iter().chain(reading).collect();
    assert_eq!(Step::ALL.iter().copied().collect::<BTreeSet<_>>(), killed);
}
