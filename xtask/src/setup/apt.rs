//! Debian packages: checks and installs them.

use std::{io, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::plan::Packages;
use crate::command::{is_root, on_path, output_of, run, say};

/// How packages get onto this machine.
pub(crate) fn access() -> Packages {
    match (on_path("apt-get").is_some(), is_root()) {
        (true, true) => Packages::AptAsRoot,
        (true, false) => Packages::Apt,
        (false, _) => Packages::Other,
    }
}

/// Returns those of `packages` that are not installed; all of them without dpkg.
pub(crate) fn missing(packages: &[String]) -> Vec<String> {
    packages
        .iter()
        .filter(|package| !is_installed(package))
        .cloned()
        .collect()
}

/// Installs `packages` and reports it. Refreshes the package lists only if apt-get fails with the
/// present ones.
pub(crate) fn install(packages: &[String]) -> Result<()> {
    say("setup", &format!("apt-get install {}", packages.join(" ")));
    if packages.iter().all(|package| is_known(package)) && install_now(packages).is_ok() {
        return Ok(());
    }
    say("setup", "apt-get update");
    run(apt_get().args(["update", "-qq"]))?;
    install_now(packages)
        .context("apt-get could not install what is needed (its messages stand above)")
}

/// Downloads a package into a directory. Refreshes the package lists only if they do not know it.
pub(crate) fn download(package: &str, into: &Path) -> Result<()> {
    if !is_known(package) {
        say("setup", "apt-get update");
        run(apt_get().args(["update", "-qq"]))?;
    }
    // The user of apt may not write into the directory.
    run(apt_get().current_dir(into).args([
        "download",
        "-qq",
        "-o",
        "APT::Sandbox::User=root",
        package,
    ]))
}

fn install_now(packages: &[String]) -> Result<()> {
    run(apt_get()
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        // Without it dpkg prints a line for each package that it unpacks.
        .args(["-o", "Dpkg::Use-Pty=0"])
        .args(packages))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Standard output is for results, such as the benchmark's figures.
        .stdout(io::stderr())
        // A machine that has just started is often busy with automatic upgrades.
        .args(["-o", "DPkg::Lock::Timeout=120"]);
    command
}

fn is_installed(package: &str) -> bool {
    output_of(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

/// Whether the package lists of this machine know `package`.
fn is_known(package: &str) -> bool {
    output_of(Command::new("apt-cache").args(["show", "--no-all-versions", package])).is_ok()
}
