//! `cargo xtask test`: every test, the privileged ones included.

use std::{env, num::NonZero, os::unix::process::CommandExt as _, thread};

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, require_root},
    setup::{self, runtime::Purpose},
};

/// How many tests run at the same time.
const THREADS: &str = "RUST_TEST_THREADS";

/// Sets up and becomes `cargo test`, whose result lines so end the output.
pub(crate) fn run(filter: &[String]) -> Result<()> {
    require_root("test")?;
    setup::run()?;
    setup::runtime::prepare(Purpose::Tests)?;

    let mut tests = cargo();
    tests
        .args([
            "test",
            "--locked",
            "--workspace",
            "--exclude",
            "ipblock-ebpf",
        ])
        .env("IPBLOCK_REQUIRE_PRIVILEGED", "1");
    // Most tests wait for a daemon or for packets, each in namespaces of its own.
    if env::var_os(THREADS).is_none() {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        tests.env(THREADS, (2 * cores).to_string());
    }
    if !filter.is_empty() {
        tests.arg("--").args(filter);
    }
    Err(tests.exec()).context("cannot start cargo test")
}
