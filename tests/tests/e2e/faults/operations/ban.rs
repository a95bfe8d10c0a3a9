//! Bans.

use ipblock_api::types::Reason;
use ipblock_fault::Step;

use super::{BANNING, Operation, Stage, Told, told};
use crate::{answers::check, bans::bans};

/// Two addresses are banned, or their bans are lifted; then another owner has banned the first one too.
#[derive(Default)]
pub(crate) struct BanTwo {
    lift: bool,
    number: u8,
}

impl BanTwo {
    pub(crate) fn lifting() -> Self {
        Self {
            lift: true,
            number: 0,
        }
    }

    fn addresses(&self) -> [String; 2] {
        [
            format!("198.18.0.{}", self.number),
            format!("2001:db8:18::{}", self.number),
        ]
    }

    fn command<'a>(verb: &'a str, addresses: &'a [String; 2]) -> Vec<&'a str> {
        let [first, second] = addresses;
        match verb {
            "ban" => vec![verb, first, second, "--for", "1h"],
            _ => vec![verb, first, second, "--origin", "manual"],
        }
    }
}

impl Operation for BanTwo {
    fn name(&self) -> &'static str {
        if self.lift { "unban" } else { "ban" }
    }

    fn steps(&self) -> Vec<Step> {
        let judged = (!self.lift).then_some(Step::Judged);
        judged.into_iter().chain(BANNING).collect()
    }

    fn prepare(&mut self, stage: &mut Stage) -> anyhow::Result<()> {
        self.number += 1;
        if self.lift {
            let addresses = self.addresses();
            stage.daemon.ctl(Self::command("ban", &addresses))?.ok()?;
            let other = ["ban", &addresses[0], "--for", "2h", "--origin", "crowdsec"];
            stage.daemon.ctl(other)?.ok()?;
        }
        Ok(())
    }

    fn act(&mut self, stage: &mut Stage) -> anyhow::Result<Told> {
        told(stage, Self::command(self.name(), &self.addresses()))
    }

    fn verify(&mut self, stage: &mut Stage, told: Told) -> anyhow::Result<()> {
        let listed = bans(&stage.daemon)?;
        let addresses = self.addresses();
        let is_listed = |address: &String| {
            let address = address.parse().ok();
            let mut manual = listed.iter().filter(|ban| ban.origin.is_manual());
            manual.any(|ban| Some(ban.prefix.addr()) == address)
        };
        let banned = is_listed(&addresses[0]);
        // One transaction: both or neither, in the kernel as well.
        assert_eq!(is_listed(&addresses[1]), banned);
        for answer in check(&stage.daemon, &addresses.each_ref().map(String::as_str))? {
            assert!(answer.kernel_agrees == Some(true), "{answer:?}");
            let by_another = self.lift && answer.address == addresses[0];
            assert_eq!(
                answer.reason == Reason::Ban,
                banned || by_another,
                "{answer:?}"
            );
            // What ended was recorded with that, or not at all.
            assert_eq!(answer.past.is_empty(), banned || !self.lift, "{answer:?}");
        }
        assert!(
            banned != self.lift || told == Told::Nothing,
            "told and gone"
        );
        Ok(())
    }
}
