//! One workload: its programs, and what each takes in turn, round after round, for each traffic.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use ipblock_datapath::Lookup;
use ipblock_policy::{
    ZoneName,
    compile::{CompiledZone, compile},
};
use ipblock_tests::source_pool::{Front, SourcePool};
use ipnet::IpNet;
use jiff::Timestamp;

use super::{
    Family,
    traffic::{Traffic, frame},
    variant::{Variant, Workshop},
    workload::{Workload, listed},
};

/// A workload with every program that judges it.
pub(crate) struct Case {
    family: Family,
    listed: Vec<IpNet>,
    zone: CompiledZone,
    hash: Option<Variant>,
    lpm: Variant,
    ipblock: Variant,
}

/// Rounds, and the runs of each program in each of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: usize,
    pub(crate) runs: u32,
    /// Different sources, a power of two.
    pub(crate) sources: usize,
}

/// Nanoseconds a packet, by round.
#[derive(Debug, Default)]
pub(crate) struct Times {
    pub(crate) empty: Vec<f64>,
    /// Of host workloads.
    pub(crate) hash: Option<Vec<f64>>,
    pub(crate) lpm: Vec<f64>,
    pub(crate) ipblock: Vec<f64>,
}

impl Case {
    /// Builds the programs; `None` when the machine has no table of countries.
    pub(crate) fn build(
        workshop: &mut Workshop,
        family: Family,
        workload: Workload,
    ) -> Result<Option<Self>> {
        let Some(ruleset) = workload.ruleset(family)? else {
            return Ok(None);
        };
        let zone = compile(&ruleset, &ZoneName::default(), Timestamp::UNIX_EPOCH)?;
        let listed = listed(&ruleset);
        let hash = workload
            .is_hosts()
            .then(|| Variant::hash(workshop.directory(), &listed));
        let hash = hash.transpose().context("the plain hash")?;
        let lpm = Variant::generation(workshop, &zone, Lookup::Tries).context("the tries")?;
        let ipblock = Variant::generation(workshop, &zone, Lookup::Tables).context("ipblock")?;
        Ok(Some(Self {
            family,
            listed,
            zone,
            hash,
            lpm,
            ipblock,
        }))
    }

    /// Measures every program on the CPU that this thread is bound to.
    pub(crate) fn measure(&self, traffic: Traffic, effort: Effort) -> Result<Times> {
        let frame = frame(self.family);
        let sources = traffic.sources(self.family, &self.zone, &self.listed, effort.sources)?;
        let pool = Arc::new(SourcePool::new(frame.bytes(), &sources)?);
        let empty = Variant::empty(traffic)?;
        let with_front = |variant: &Variant| variant.front(&pool);
        let fronts = (
            with_front(&empty)?,
            self.hash.as_ref().map(with_front).transpose()?,
            with_front(&self.lpm)?,
            with_front(&self.ipblock)?,
        );
        let run = |variant: &Variant, front: &Front| {
            variant.run(front, frame.bytes(), effort.runs, traffic)
        };
        let mut times = Times::default();
        // The first round warms up.
        for round in 0..=effort.rounds {
            let empty = run(&empty, &fronts.0)?;
            let hash = match (&self.hash, &fronts.1) {
                (Some(hash), Some(front)) => Some(run(hash, front).context("the plain hash")?),
                _ => None,
            };
            let lpm = run(&self.lpm, &fronts.2).context("the tries")?;
            let ipblock = run(&self.ipblock, &fronts.3).context("ipblock")?;
            if round > 0 {
                times.empty.push(empty);
                if let Some(hash) = hash {
                    times.hash.get_or_insert_default().push(hash);
                }
                times.lpm.push(lpm);
                times.ipblock.push(ipblock);
            }
        }
        Ok(times)
    }
}
