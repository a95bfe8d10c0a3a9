//! The speed of judging packets, as ratios: a regression shows on any machine, however busy.

#[expect(dead_code, reason = "shared with the bench, which uses all of it")]
#[path = "../judging/mod.rs"]
mod judging;

use anyhow::{Context as _, Result};
use aya::programs::ProgramInfo;
use ipblock_datapath::Lookup;
use ipblock_policy::{ZoneName, compile::compile};
use ipblock_tests::require_privileged;
use jiff::Timestamp;

use crate::judging::{
    Family,
    case::{Case, Effort},
    statistics::Quartiles,
    traffic::Traffic,
    variant::Workshop,
    workload::Workload,
};

const EFFORT: Effort = Effort {
    rounds: 5,
    runs: 1 << 15,
    sources: 1 << 16,
};
/// The best of this number of runs: another program may evict the caches for a while.
const ATTEMPTS: usize = 4;
/// Instructions of the program after the verifier.
const INSTRUCTIONS: u32 = 4096;
/// Bytes of an instruction.
const INSTRUCTION: u32 = 8;

/// A third of the target of issue 5 at 100,000 hosts.
fn floor(traffic: Traffic) -> f64 {
    match traffic {
        Traffic::Clean => 5.0,
        Traffic::Attack => 5.0 / 3.0,
    }
}

#[test]
fn a_hundred_thousand_hosts_are_judged_several_times_faster_than_by_the_tries_alone() -> Result<()>
{
    let root = require_privileged!();
    let mut workshop = Workshop::new(root)?;
    for family in Family::BOTH {
        let workload = Workload::Hosts100k;
        let case = Case::build(&mut workshop, family, workload)?;
        let case = case.context("hosts need no table of countries")?;
        for traffic in Traffic::BOTH {
            let mut best = 0.0;
            for _ in 0..ATTEMPTS {
                let times = case.measure(traffic, EFFORT)?;
                let median = |values: &[f64]| Quartiles::of(values).median;
                best = f64::max(best, median(&times.lpm) / median(&times.ipblock));
                if best >= floor(traffic) {
                    break;
                }
            }
            assert!(
                best >= floor(traffic),
                "IPv{}, {} traffic: {best:.1} times as fast as the tries alone",
                family.number(),
                traffic.name()
            );
        }
    }
    Ok(())
}

#[test]
fn no_generation_has_more_instructions_than_before() -> Result<()> {
    let root = require_privileged!();
    let mut workshop = Workshop::new(root)?;
    for family in Family::BOTH {
        let ruleset = Workload::Mixed1k.ruleset(family)?.context("no table")?;
        let zone = compile(&ruleset, &ZoneName::default(), Timestamp::UNIX_EPOCH)?;
        for lookup in [Lookup::Tables, Lookup::Tries] {
            let generation = workshop.build(&zone, lookup)?;
            let pin = workshop.pins.generation(generation.number());
            let info = ProgramInfo::from_pin(pin.join("program"))?;
            let bytes = info.size_translated().context("no xlated_prog_len")?;
            let found = bytes / INSTRUCTION;
            assert!(
                found <= INSTRUCTIONS,
                "{lookup:?}, IPv{}: {found} instructions, and {INSTRUCTIONS} were enough",
                family.number()
            );
        }
    }
    workshop.clear()
}
