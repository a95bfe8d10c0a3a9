//! ipblock's developer commands: a fresh checkout needs only `cargo xtask`.
//!
//! Each subcommand is one module. This crate only runs tools (cargo, rustup, apt-get); ipblock-ctl
//! contains ipblock itself.

mod bench;
mod check;
mod command;
mod demo;
mod dist;
mod fuzz;
mod reliability;
mod setup;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// ipblock's front door.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Prepare the eBPF tool chain: a compiler with `core` for BPF, and a bpf-linker that fits it.
    ///
    /// As root on a Debian-like system it installs what is missing; anywhere else it says what to
    /// install. `IPBLOCK_EBPF_OBJECT=path` embeds an object built elsewhere and needs none of it.
    Setup,
    /// Show ipblock at work: a real ruleset, real frames, one table (needs root).
    ///
    /// Sets up what it needs, builds, and runs the daemon in network namespaces of its own. Ends
    /// with a failure when a frame or a counter is not as it should be.
    Demo,
    /// Run every test, the privileged ones included (needs root).
    ///
    /// With --vm or --package other tests instead, in a virtual machine that it makes: hours, or
    /// twenty minutes, where the processor does not help.
    Test {
        /// The prog-run and end-to-end suites on Debian 12's stock kernel.
        #[arg(long, conflicts_with = "package")]
        vm: bool,
        /// The Debian package on a clean Debian 12: installed, upgraded, removed, purged.
        #[arg(long, conflicts_with = "filter")]
        package: bool,
        /// Passed to the test binaries: name filters and flags such as --nocapture.
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Measure what ipblock costs, beside an LPM trie, a hash, nftables and ipset (needs root).
    ///
    /// Prints a table, and writes docs/benchmarks.md and docs/benchmarks.svg from the same figures.
    Bench(bench::Options),
    /// Break what can break, under traffic, and write down what was lost (needs root).
    ///
    /// Runs the faults of the test suite and makes docs/reliability.md of what they injected.
    Reliability(reliability::Options),
    /// Run the fuzz targets under libFuzzer until their coverage grows no more.
    ///
    /// Ten minutes and more for each; a short run of the same properties is part of `test`. Prints a
    /// table for docs/testing.md, and keeps what it found worth keeping in fuzz/corpus.
    Fuzz(fuzz::Options),
    /// Build a Debian package and a tarball, in target/dist.
    Dist,
    /// Formatting, lints, documentation, the direction of imports and the other house rules.
    Check,
}

fn main() -> ExitCode {
    let (name, outcome) = match Cli::parse().command {
        Verb::Setup => ("setup", setup::run()),
        Verb::Demo => ("demo", demo::run()),
        Verb::Test {
            vm: true, filter, ..
        } => ("test", vm::suites::run(&filter)),
        Verb::Test { package: true, .. } => ("test", vm::package::run()),
        Verb::Test { filter, .. } => ("test", test::run(&filter)),
        Verb::Bench(options) => ("bench", bench::run(&options)),
        Verb::Reliability(options) => ("reliability", reliability::run(&options)),
        Verb::Fuzz(options) => ("fuzz", fuzz::run(&options)),
        Verb::Dist => ("dist", dist::run(dist::RELEASE).map(drop)),
        Verb::Check => ("check", check::run()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            command::say(name, &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
