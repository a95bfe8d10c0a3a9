//! Interfaces.

use ipblock_api::types::InterfaceState;
use ipblock_fault::Step;
use ipblock_tests::VethPair;

use super::{Operation, Stage, Told, told};
use crate::answers::{program_on, status};

/// A third interface is attached to a zone, or detached.
pub(crate) struct Attach {
    pair: VethPair,
    detach: bool,
}

impl Attach {
    pub(crate) fn of(stage: &Stage, detach: bool) -> anyhow::Result<Self> {
        Ok(Self {
            pair: stage.another_pair(2)?,
            detach,
        })
    }

    fn command(&self, detach: bool) -> Vec<&str> {
        let interface = self.pair.host.interface.as_str();
        if detach {
            vec!["detach", interface]
        } else {
            vec!["attach", interface, "--mode", "native", "--zone", "dmz"]
        }
    }

    fn is_attached(&self, stage: &Stage) -> anyhow::Result<bool> {
        let zones = status(&stage.daemon)?.zones;
        let mut interfaces = zones.iter().flat_map(|zone| &zone.interfaces);
        let found = interfaces.find(|found| found.name == self.pair.host.interface);
        if let Some(found) = found {
            assert_eq!(found.state, InterfaceState::Attached);
        }
        Ok(found.is_some())
    }
}

impl Operation for Attach {
    fn name(&self) -> &'static str {
        if self.detach { "detach" } else { "attach" }
    }

    fn steps(&self) -> Vec<Step> {
        if self.detach {
            vec![Step::LinkDetached, Step::LinkUnpinned]
        } else {
            vec![Step::Judged, Step::LinkMade, Step::LinkPinned]
        }
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        if self.is_attached(stage)? != self.detach {
            stage.daemon.ctl(self.command(!self.detach))?.ok()?;
        }
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        told(stage, self.command(self.detach))
    }

    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()> {
        let host = &self.pair.host;
        let attached = self.is_attached(stage)?;
        let runs = program_on(&host.netns, &host.interface)?.is_some();
        assert_eq!(runs, attached);
        assert!(
            attached != self.detach || told == Told::Nothing,
            "told and gone"
        );
        Ok(())
    }
}
