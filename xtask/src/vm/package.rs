//! `cargo xtask test --package`: the package on a clean Debian 12, under systemd.
//!
//! xtask/guest/package contains the assertions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Result, ensure};

use super::{
    image,
    machine::{self, Accelerator, Init},
    workshop::Workshop,
};
use crate::{
    command::{require_root, run as run_command},
    dist,
};

/// Several times its duration on a translated machine.
const LIMIT: Duration = Duration::from_hours(2);

/// Builds the package and a newer one, and installs, upgrades, removes and purges them in a guest.
pub(crate) fn run() -> Result<()> {
    require_root("test --package")?;
    let package = dist::run(dist::GUEST)?;
    let workshop = Workshop::open()?;
    let job = workshop.job()?;
    fs::copy(&package, job.join("package.deb"))?;
    newer(&package, &job.join("newer"))?;
    fs::write(job.join("run"), include_str!("../../guest/package"))?;
    let image = image::prepare(workshop.path())?;
    let accelerator = Accelerator::of_this_host()?;
    let status = machine::run(&image, &job, Init::Systemd, accelerator, LIMIT)?;
    ensure!(status == 0, "the package does not do what it should");
    Ok(())
}

/// A package of a later version with another XDP program: `DIRECTORY.deb`.
fn newer(package: &Path, directory: &Path) -> Result<()> {
    run_command(
        Command::new("dpkg-deb")
            .arg("--raw-extract")
            .arg(package)
            .arg(directory),
    )?;
    let control = directory.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    let version = env!("CARGO_PKG_VERSION");
    let later = text.replace(
        &format!("\nVersion: {version}\n"),
        &format!("\nVersion: {version}+later\n"),
    );
    ensure!(later != text, "{}: no version", control.display());
    fs::write(&control, later)?;
    let daemon: PathBuf = directory.join("usr/sbin/ipblockd");
    let changed = with_another_program(&fs::read(&daemon)?);
    // The mode stays.
    fs::write(&daemon, changed?)?;
    run_command(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(directory),
    )?;
    Ok(fs::remove_dir_all(directory)?)
}

/// The daemon with one irrelevant word of its BPF object changed: a program with another hash,
/// which a new daemon must replace.
fn with_another_program(daemon: &[u8]) -> Result<Vec<u8>> {
    let (old, new) = (b"Dual MIT/GPL", b"Dual BSD/GPL");
    let mut changed = daemon.to_vec();
    let places: Vec<usize> = daemon
        .windows(old.len())
        .enumerate()
        .filter_map(|(place, bytes)| (bytes == old).then_some(place))
        .collect();
    ensure!(
        places.len() == 1,
        "the licence of the BPF object stands {} times in the daemon",
        places.len()
    );
    for place in places {
        if let Some(bytes) = changed.get_mut(place..place + new.len()) {
            bytes.copy_from_slice(new);
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_differs_in_one_word() -> Result<()> {
        let changed = with_another_program(b"\x7fELF Dual MIT/GPL\0 rest")?;
        assert_eq!(changed, b"\x7fELF Dual BSD/GPL\0 rest");
        assert!(with_another_program(b"nothing").is_err());
        Ok(())
    }
}
