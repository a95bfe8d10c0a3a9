//! `cargo xtask test`: every test, the privileged ones included.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{cargo, is_root},
    setup,
};

/// Sets up and becomes `cargo test`, whose result lines so end the output.
pub(crate) fn run(filter: &[String]) -> Result<()> {
    if !is_root() {
        bail!(
            "nothing was run: the tests load XDP programs and make network namespaces, which \
             needs root\n\
             hint: sudo -E env \"PATH=$PATH\" \"HOME=$HOME\" cargo xtask test"
        );
    }
    setup::run()?;
    setup::runtime::prepare()?;

    let mut tests = cargo();
    tests
        .args(["test", "--workspace", "--exclude", "ipblock-ebpf"])
        .env("IPBLOCK_REQUIRE_PRIVILEGED", "1");
    if !filter.is_empty() {
        tests.arg("--").args(filter);
    }
    Err(tests.exec()).context("cannot start cargo test")
}
