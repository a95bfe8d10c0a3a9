//! `cargo xtask demo`: ipblock at work, on its own interface.
//!
//! The program `ipblock-demo` of the tests package does the work, with the same harness as the
//! tests.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, require_root, run as run_command, say},
    setup::{self, runtime::Purpose},
};

/// Sets up, builds and executes the demo in place of this process, which passes Ctrl-C and the exit
/// status on.
pub(crate) fn run() -> Result<()> {
    require_root("demo")?;
    let own = env::current_exe().context("cannot find the directory of xtask")?;
    // Where cargo puts what it builds in the profile of xtask.
    let bin_dir = own.parent().context("xtask is in no directory")?;
    setup::run()?;
    setup::runtime::prepare(Purpose::Tests)?;

    // Faster than a release build, which fully optimises every dependency, and the same as in
    // `cargo xtask test`. The XDP program is the same in every profile.
    say("demo", "building ipblock in the dev profile");
    run_command(
        cargo()
            .args(["build", "--locked", "--package", "ipblock-ctl"])
            .args(["--package", "ipblock-tests", "--bins"]),
    )?;

    let demo = bin_dir.join("ipblock-demo");
    let error = Command::new(&demo).env("IPBLOCK_BIN_DIR", bin_dir).exec();
    Err(error).with_context(|| format!("cannot start {}", demo.display()))
}
