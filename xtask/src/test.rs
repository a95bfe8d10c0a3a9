//! `cargo xtask test`: every test, the privileged ones included.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};

use crate::{
    command::{cargo, require_root},
    setup::{self, runtime::Purpose},
};

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
    if !filter.is_empty() {
        tests.arg("--").args(filter);
    }
    Err(tests.exec()).context("cannot start cargo test")
}
