//! `cargo xtask bench`: what ipblock costs, beside what others cost.
//!
//! What it measures is the example `bench` of the tests package; this builds it in the release profile,
//! and the daemon with it.

use std::{env, path::PathBuf, process::Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{cargo, require_root, root, run as run_command, say},
    setup,
};

/// Sets up, builds, measures; writes the figures into docs unless they are quick ones.
pub(crate) fn run(quick: bool, json: bool, only: Option<&str>) -> Result<()> {
    require_root("bench")?;
    setup::run()?;
    setup::runtime::prepare()?;

    say("bench", "building in the release profile");
    // Nothing but figures on standard output.
    let build = |arguments: &[&str]| {
        let mut build = cargo();
        build.args(["build", "--release", "--package"]);
        run_command(build.args(arguments).stdout(Stdio::null()))
    };
    build(&["ipblock-ctl", "--bins"])?;
    build(&["ipblock-tests", "--example", "bench"])?;

    let bin_dir = target_dir()?.join("release");
    let mut bench = std::process::Command::new(bin_dir.join("examples/bench"));
    bench.env("IPBLOCK_BIN_DIR", &bin_dir);
    if json {
        bench.arg("--json");
    }
    if let Some(part) = only {
        bench.args(["--only", part]);
    }
    if quick {
        bench.arg("--quick");
    } else if only.is_none() {
        bench.arg("--write").arg(root().join("docs"));
    }
    // Not in its place: it ends by itself on Ctrl-C, and xtask has nothing to clean up.
    let status = bench
        .status()
        .with_context(|| format!("cannot start {}", bench.get_program().display()))?;
    if !status.success() {
        bail!("the benchmark failed: {status}");
    }
    Ok(())
}

/// Where cargo puts what it builds: above the profile that xtask was built in.
fn target_dir() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot find the directory of xtask")?;
    let target = own.ancestors().nth(2);
    Ok(target.context("xtask is in no directory")?.to_owned())
}
