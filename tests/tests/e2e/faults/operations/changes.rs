//! Changes of the ruleset.

use ipblock_fault::Step;
use ipblock_tests::{DEADLINE, wait_for};

use super::{Operation, Stage, Told, deploying, told, what_was_told};
use crate::answers::{apply, live_generations, pinned_generations, status};

/// Another ruleset is deployed over both zones.
#[derive(Default)]
pub(crate) struct Deploy {
    before: (u64, usize),
}

impl Operation for Deploy {
    fn name(&self) -> &'static str {
        "deploy"
    }

    fn steps(&self) -> Vec<Step> {
        deploying()
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        self.before = (status(&stage.daemon)?.revision, stage.side()?);
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        let ruleset = stage.other_ruleset(self.before.1, 2);
        let output = stage.daemon.ctl_with_input("apply -", &ruleset)?;
        what_was_told(stage, &output)
    }

    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()> {
        let (revision, side) = self.before;
        let is_new = status(&stage.daemon)?.revision > revision;
        assert_eq!(stage.side()? != side, is_new);
        assert!(is_new || told == Told::Nothing, "told and gone");
        Ok(())
    }
}

/// The previous revision is restored.
#[derive(Default)]
pub(crate) struct Rollback {
    from: u64,
    to: u64,
    side: usize,
}

impl Operation for Rollback {
    fn name(&self) -> &'static str {
        "rollback"
    }

    fn steps(&self) -> Vec<Step> {
        deploying()
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        self.to = status(&stage.daemon)?.revision;
        self.side = stage.side()?;
        let ruleset = stage.other_ruleset(self.side, 1);
        apply(&stage.daemon, &ruleset)?;
        self.from = status(&stage.daemon)?.revision;
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        stage.may_shift(2);
        told(stage, ["rollback", &self.to.to_string()])
    }

    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()> {
        let revision = status(&stage.daemon)?.revision;
        assert!([self.from, self.to].contains(&revision), "{revision}");
        assert_eq!(stage.side()? == self.side, revision == self.to);
        assert!(
            revision == self.to || told == Told::Nothing,
            "told and gone"
        );
        Ok(())
    }
}

/// A deploy on trial is rolled back at its deadline.
#[derive(Default)]
pub(crate) struct Expire {
    to: u64,
    side: usize,
}

impl Operation for Expire {
    fn name(&self) -> &'static str {
        "way back from a deploy that nobody confirmed"
    }

    fn steps(&self) -> Vec<Step> {
        deploying()
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        self.to = status(&stage.daemon)?.revision;
        self.side = stage.side()?;
        let ruleset = stage.other_ruleset(self.side, 3);
        let apply = "apply - --confirm-within 3s";
        stage.daemon.ctl_with_input(apply, &ruleset)?.ok()?;
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        let fault = stage.daemon.fault();
        wait_for(DEADLINE, "the way back", || {
            if fault.is_reached() {
                return Some(Ok(Told::Nothing));
            }
            // Rolled back completely: nothing of the removed revision is pinned any more.
            let now = status(&stage.daemon).ok()?;
            let is_back = now.revision == self.to
                && pinned_generations(&stage.daemon).ok()? == live_generations(&now);
            is_back.then_some(Ok(Told::Done))
        })?
    }

    fn verify(&mut self, stage: &mut Stage, _told: Told) -> anyhow::Result<()> {
        // Its deadline is over, whichever process died.
        wait_for(DEADLINE, "the revision before", || {
            let revision = status(&stage.daemon).ok()?.revision;
            (revision == self.to).then_some(())
        })?;
        assert_eq!(stage.side()?, self.side);
        Ok(())
    }
}

/// A deploy on trial is confirmed.
#[derive(Default)]
pub(crate) struct Confirm {
    revision: u64,
}

impl Operation for Confirm {
    fn name(&self) -> &'static str {
        "confirm"
    }

    fn steps(&self) -> Vec<Step> {
        Vec::new()
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        if status(&stage.daemon)?.confirm_deadline.is_some() {
            stage.daemon.ctl("confirm")?.ok()?;
        }
        let ruleset = stage.other_ruleset(stage.side()?, 1);
        let apply = "apply - --confirm-within 1h";
        stage.daemon.ctl_with_input(apply, &ruleset)?.ok()?;
        self.revision = status(&stage.daemon)?.revision;
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        told(stage, "confirm")
    }

    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()> {
        let now = status(&stage.daemon)?;
        assert_eq!(now.revision, self.revision);
        assert!(
            now.confirm_deadline.is_none() || told == Told::Nothing,
            "told and gone"
        );
        Ok(())
    }
}

/// An edit is staged.
#[derive(Default)]
pub(crate) struct StageEdit {
    before: u64,
    note: u64,
}

impl Operation for StageEdit {
    fn name(&self) -> &'static str {
        "edit of the staged ruleset"
    }

    fn steps(&self) -> Vec<Step> {
        Vec::new()
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        self.before = status(&stage.daemon)?.staged;
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        self.note += 1;
        let note = format!("ticket {}", self.note);
        told(stage, ["rule", "edit", "abuse", "--note", &note])
    }

    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()> {
        let staged = status(&stage.daemon)?.staged;
        assert!([self.before, self.before + 1].contains(&staged), "{staged}");
        assert!(
            staged > self.before || told == Told::Nothing,
            "told and gone"
        );
        Ok(())
    }
}
