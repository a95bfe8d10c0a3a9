//! Requires root, or reports why a test did not run.

use std::{
    io::{Write as _, stderr},
    panic::Location,
};

/// Set to `1` if a test that cannot run must fail: in CI and in `cargo xtask test`.
const REQUIRE: &str = "IPBLOCK_REQUIRE_PRIVILEGED";

/// Proof that this process may create namespaces, mount file systems and load BPF programs.
///
/// Every privileged fixture requires it; a test gets it from
/// [`require_privileged!`](crate::require_privileged).
#[derive(Clone, Copy, Debug)]
pub struct Privileged(());

impl Privileged {
    /// The token, or `None` after saying on stderr why the caller cannot run and what to do.
    ///
    /// # Panics
    /// When not root and `IPBLOCK_REQUIRE_PRIVILEGED=1`.
    #[must_use]
    #[track_caller]
    pub fn require() -> Option<Self> {
        if nix::unistd::geteuid().is_root() {
            return Some(Self(()));
        }
        let message = format!(
            "{}: this test needs root: network namespaces, bpffs and BPF programs\n\
             hint: run `cargo xtask test`, which prints the sudo line to use",
            Location::caller()
        );
        assert!(
            std::env::var_os(REQUIRE).is_none_or(|value| value != "1"),
            "{message}\n{REQUIRE}=1 does not let it pass without"
        );
        report_not_run(&message);
        None
    }
}

/// Reports on stderr that a test, or a part of one, did not run and why.
///
/// Does not use `eprintln!`, because libtest hides what a passing test prints.
pub fn report_not_run(why: &str) {
    // There is no other channel if stderr is closed.
    let _ = stderr().write_all(format!("NOT RUN {why}\n").as_bytes());
}

/// What a test returns that cannot run here.
pub trait CannotRun {
    /// The value that ends the test without failing it.
    fn cannot_run() -> Self;
}

impl CannotRun for () {
    fn cannot_run() -> Self {}
}

impl<E> CannotRun for Result<(), E> {
    fn cannot_run() -> Self {
        Ok(())
    }
}

/// The [`Privileged`] token; without root it returns from the test, as [`Privileged::require`] says.
#[macro_export]
macro_rules! require_privileged {
    () => {
        match $crate::Privileged::require() {
            Some(root) => root,
            None => return $crate::CannotRun::cannot_run(),
        }
    };
}
