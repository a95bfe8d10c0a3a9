//! `cargo xtask bench`: the cost of ipblock per packet, on real paths, for loading, for bans and in
//! memory.
//!
//! Needs root. Standard output has the table, or with `--json` only the figures; standard error
//! shows the progress. All compared variants take turns on one CPU, round after round.

mod ban;
mod cases;
mod load;
mod memory;
mod page;
mod path;
mod path_filters;
mod plot;
mod report;
mod scene;
mod table;
mod targets;
#[cfg(test)]
mod tests;

#[path = "../../judging/mod.rs"]
mod judging;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use ipblock_tests::{Privileged, source_pool::SOURCES};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};

use crate::{judging::case::Effort, report::Report};

/// What ipblock costs.
#[derive(Parser)]
struct Arguments {
    /// Fewer rounds and fewer packets.
    #[arg(long)]
    quick: bool,
    /// The figures as JSON and nothing else.
    #[arg(long)]
    json: bool,
    /// One part alone.
    #[arg(long)]
    only: Option<Part>,
    /// Of the workloads, only those whose name has this in it, such as `hosts-1m, IPv6`.
    #[arg(long, default_value = "", conflicts_with = "write")]
    workload: String,
    /// Write the table into benchmarks.md and the plot into benchmarks.svg of this directory.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "only")]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Cases,
    Path,
    Load,
    Ban,
}

const QUICK: Effort = Effort {
    rounds: 5,
    runs: 1 << 16,
    sources: SOURCES,
};
const THOROUGH: Effort = Effort {
    rounds: 21,
    runs: 1 << 18,
    sources: SOURCES,
};

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = Privileged::require().context("this loads XDP programs, which needs root")?;
    let effort = if arguments.quick { QUICK } else { THOROUGH };
    let wants = |part| arguments.only.is_none_or(|only| only == part);

    let mut report = Report::default();
    // Daemons come before this thread is bound to a CPU, which they would inherit.
    if wants(Part::Load) {
        let rounds = if arguments.quick { 1 } else { 3 };
        (report.load, report.memory) = load::measure(root, rounds)?;
    }
    let mut bans_through_api = Vec::new();
    if wants(Part::Ban) {
        bans_through_api = ban::through_api(root)?;
    }
    let cpu = stay_on_this_cpu()?;
    if wants(Part::Cases) {
        report.cases = cases::measure(root, effort, &arguments.workload)?;
    }
    if wants(Part::Path) {
        report.path = path::measure(root, effort, cpu)?;
    }
    if wants(Part::Ban) {
        report.ban_us = ban::measure(root, &bans_through_api)?;
    }

    let table = table::of(&report);
    if let Some(directory) = &arguments.write {
        page::write(directory, &table, &plot::svg(&report))?;
    }
    tell(&if arguments.json {
        format!("{}\n", report.json())
    } else {
        table
    });
    Ok(())
}

/// CPUs differ, and have their own caches and counters.
fn stay_on_this_cpu() -> Result<usize> {
    let cpu = sched_getcpu()?;
    let mut here = CpuSet::new();
    here.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &here)?;
    Ok(cpu)
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn tell(figures: &str) {
    print!("{figures}");
}

/// Reports the progress.
#[expect(clippy::print_stderr, reason = "whoever waits wants to know what for")]
fn say(what: &str) {
    eprintln!("bench: {what}");
}
