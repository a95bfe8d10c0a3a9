//! `cargo xtask demo`: ipblock at work, on an interface of its own.
//!
//! What it shows is the program `ipblock-demo` of the tests package, which stands on the same
//! harness as the tests.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, require_root, run as run_command, say},
    setup::{self, runtime::Purpose},
};

/// Sets up, builds and becomes the demo, so that Ctrl-C and the exit status are the demo's.
pub(crate) fn run() -> Result<()> {
    require_root("demo")?;
    let own = env::current_exe().context("cannot find the directory of xtask")?;
    // Where cargo puts what it builds in the profile of xtask.
    let bin_dir = own.parent().context("xtask is in no directory")?;
    setup::run()?;
    setup::runtime::prepare(Purpose::Tests)?;

    // Sooner there than a release build, which optimises every dependency in full, and what
    // `cargo xtask test` builds anyway. The XDP program is the same in every profile.
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
