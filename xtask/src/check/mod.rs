//! `cargo xtask check`: what a change must satisfy besides its tests.
//!
//! Every check runs, even after a failure, so that one run shows everything.

mod circles;
mod imports;
mod object;
mod paths;
mod sources;
mod walls;

use std::{fmt, process::Command};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    command::{cargo, output_of, root, run as run_command, say},
    setup,
};

/// A place that breaks a rule of the house.
#[derive(Debug)]
pub(crate) struct Violation {
    /// `file:line`.
    place: String,
    what: String,
    why: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.what, self.why)
    }
}

type Check = fn() -> Result<()>;

/// Runs every check; an error names those that failed.
pub(crate) fn run() -> Result<()> {
    let checks: [(&str, Check); 7] = [
        ("formatting", formatting),
        ("house rules", house_rules),
        ("lock files", lock_files),
        ("eBPF tool chain", setup::run),
        ("lints", lints),
        ("the same object elsewhere", object::reproducible),
        ("documentation", documentation),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        say("check", name);
        if let Err(error) = check() {
            say("check", &format!("{name}: {error:#}"));
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    say("check", "ok");
    Ok(())
}

fn formatting() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))
}

fn house_rules() -> Result<()> {
    let files = sources::tracked(&root())?;
    let mut violations = Vec::new();
    for file in &files {
        violations.extend(sources::check(file)?);
    }
    violations.extend(walls::check()?);
    for layer in walls::layers() {
        let folder = format!("ipblock-ctl/{layer}/src/");
        let own = files.iter().filter_map(|file| {
            let path = file.path.strip_prefix(&folder)?;
            sources::is_rust(path).then(|| (path.to_owned(), file.text.clone()))
        });
        let own: Vec<_> = own.collect();
        ensure!(!own.is_empty(), "{folder} has no sources");
        violations.extend(imports::check(layer, &own)?);
    }
    for violation in &violations {
        say("check", &violation.to_string());
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("1 violation"),
        count => bail!("{count} violations"),
    }
}

/// `fuzz` is a separate workspace, so its lock silently goes stale when ours gets another package.
fn lock_files() -> Result<()> {
    for (workspace, lock) in [("", "Cargo.lock"), ("fuzz", "fuzz/Cargo.lock")] {
        let mut metadata = cargo();
        metadata.current_dir(root().join(workspace)).args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
        ]);
        output_of(&mut metadata).with_context(|| format!("{lock} does not fit the manifests"))?;
    }
    Ok(())
}

fn lints() -> Result<()> {
    run_command(&mut clippy(&[]))
}

/// Everything except the XDP program: a prebuilt `core` for its target comes without clippy.
fn clippy(options: &[&str]) -> Command {
    let mut command = cargo();
    command
        .args(["clippy", "--workspace", "--exclude", "ipblock-ebpf"])
        .args(["--all-targets", "--locked", "--keep-going"])
        .args(options)
        .args(["--", "-D", "warnings"]);
    command
}

fn documentation() -> Result<()> {
    run_command(
        cargo()
            .args(["doc", "--workspace", "--exclude", "ipblock-ebpf"])
            .args(["--no-deps", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
