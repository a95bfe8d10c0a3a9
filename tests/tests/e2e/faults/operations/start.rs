//! Starts.

use std::fs;

use ipblock_fault::Step;

use super::{BANNING, Operation, SWITCHING, Stage, Told};
use crate::answers::{live_generations, status};

const START: [Step; 9] = [
    Step::StartCovered,
    Step::StartOpened,
    Step::StartBansFilled,
    Step::StartUndone,
    Step::StartAdopted,
    Step::StartFinished,
    Step::StartBuilt,
    Step::StartAttached,
    Step::StartCleared,
];

/// A daemon starts with what another one has left.
pub(crate) struct Start {
    kind: StartKind,
    generations: Vec<u64>,
    number: u64,
}

/// The state that it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartKind {
    /// Its own program.
    Same,
    /// Another program of the same ABI, with another log level.
    OtherProgram,
    /// Shared maps are missing and must be recreated.
    WithoutSharedMaps,
}

impl Start {
    pub(crate) fn on(kind: StartKind) -> Self {
        Self {
            kind,
            generations: Vec::new(),
            number: 0,
        }
    }
}

impl Operation for Start {
    fn name(&self) -> &'static str {
        match self.kind {
            StartKind::Same => "take-over of the same program",
            StartKind::OtherProgram => "take-over from another program, same ABI",
            StartKind::WithoutSharedMaps => "take-over where shared maps were unpinned",
        }
    }

    fn steps(&self) -> Vec<Step> {
        let start = START.to_vec();
        match self.kind {
            StartKind::Same => start,
            StartKind::OtherProgram => [&start[..], &SWITCHING].concat(),
            StartKind::WithoutSharedMaps => {
                [&start[..], &SWITCHING, &BANNING, &[Step::SharedMapPinned]].concat()
            }
        }
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        self.generations = live_generations(&status(&stage.daemon)?);
        stage.daemon.kill()?;
        self.number += 1;
        match self.kind {
            StartKind::Same => {}
            StartKind::OtherProgram => {
                let level = if self.number.is_multiple_of(2) {
                    "off"
                } else {
                    "debug"
                };
                let config = format!("bpf_log = \"{level}\"\n");
                fs::write(stage.daemon.config_path(), config)?;
            }
            StartKind::WithoutSharedMaps => {
                fs::remove_dir_all(stage.daemon.bpffs().join("ipblock/shared"))?;
            }
        }
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        match stage.daemon.start() {
            Ok(()) => Ok(Told::Done),
            Err(_) if stage.daemon.fault().is_reached() => Ok(Told::Nothing),
            Err(error) => Err(error),
        }
    }

    fn verify(&mut self, stage: &mut Stage, _told: Told) -> anyhow::Result<()> {
        let now = live_generations(&status(&stage.daemon)?);
        assert_eq!(now == self.generations, self.kind == StartKind::Same);
        Ok(())
    }
}
