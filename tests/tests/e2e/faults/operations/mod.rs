//! The interrupted changes and starts: how each is executed, and what must be true afterwards.

mod attach;
mod ban;
mod changes;
mod start;

use anyhow::ensure;
use ipblock_fault::Step;
use ipblock_tests::{Arguments, CtlOutput};

pub(crate) use attach::Attach;
pub(crate) use ban::BanTwo;
pub(crate) use changes::{Confirm, Deploy, Expire, Rollback, StageEdit};
pub(crate) use start::{Start, StartKind};

use super::stage::Stage;

/// From one generation to another.
const SWITCHING: [Step; 11] = [
    Step::GenerationLoaded,
    Step::GenerationFilled,
    Step::GenerationMapPinned,
    Step::GenerationProgramPinned,
    Step::GenerationPinned,
    Step::LinkSwitched,
    Step::LinksSettled,
    Step::CountsRead,
    Step::ChangeInForce,
    Step::GenerationHalfUnpinned,
    Step::GenerationUnpinned,
];
/// Entries of the ban tables.
const BANNING: [Step; 2] = [Step::BanEntryWritten, Step::BanWritten];

/// From one revision to another, which the guard judges.
fn deploying() -> Vec<Step> {
    [&[Step::Judged], &SWITCHING[..]].concat()
}

/// What the client learned about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was reported as done.
    Done,
    /// The daemon died first.
    Nothing,
}

/// Something that can be interrupted at any step.
pub(crate) trait Operation {
    /// For people.
    fn name(&self) -> &'static str;
    /// The steps that it takes, besides those of the store.
    fn steps(&self) -> Vec<Step>;
    /// Prepares for it; nothing is injected yet.
    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()>;
    /// Executes it.
    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told>;
    /// Asserts that it was done or not, and done if it was reported as done. The daemon runs.
    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()>;
}

/// Interprets the result of a command; a command without an answer learned nothing.
fn what_was_told(stage: &Stage, output: &CtlOutput) -> anyhow::Result<Told> {
    if output.code == 0 {
        return Ok(Told::Done);
    }
    // The daemon's periodic work may have reached the step first.
    if output.code == 4 && stage.daemon.fault().is_reached() {
        return Ok(Told::Nothing);
    }
    let is_said = output
        .stderr
        .contains("it may or may not have been carried out");
    ensure!(output.code == 1 && is_said, "{output:?}");
    Ok(Told::Nothing)
}

fn told(stage: &Stage, arguments: impl Arguments) -> anyhow::Result<Told> {
    what_was_told(stage, &stage.daemon.ctl(arguments)?)
}
