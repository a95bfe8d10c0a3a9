//! Debian packages whose programs write what ipblock reads. They are unpacked below `target`, and not
//! installed: an installation starts services, and crowdsec's registers at a server on the internet.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{apt, plan::Packages};
use crate::command::{run, say, target_dir};

const PACKAGES: [&str; 3] = ["crowdsec", "fail2ban", "ufw"];

/// Unpacks the packages that are not there. Tests that need a missing one say so.
pub(crate) fn unpack() -> Result<()> {
    let all = target_dir()?.join("neighbours");
    let mut missing = PACKAGES
        .into_iter()
        .filter(|package| !all.join(package).is_dir())
        .peekable();
    if missing.peek().is_none() || apt::access() == Packages::Other {
        return Ok(());
    }
    fs::create_dir_all(&all).with_context(|| format!("cannot make {}", all.display()))?;
    for package in missing {
        say("setup", &format!("apt-get download {package}"));
        if let Err(error) = unpack_one(package, &all) {
            say("setup", &format!("going on without {package}: {error:#}"));
        }
    }
    Ok(())
}

fn unpack_one(package: &str, all: &Path) -> Result<()> {
    let unfinished = all.join(format!("{package}.unfinished"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    apt::download(package, &unfinished)?;
    let archive = archive_in(&unfinished)?;
    let tree = unfinished.join("tree");
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&tree))?;
    fs::rename(&tree, all.join(package))?;
    fs::remove_dir_all(&unfinished)?;
    Ok(())
}

/// Returns the package that apt-get downloaded.
fn archive_in(directory: &Path) -> Result<PathBuf> {
    let files = fs::read_dir(directory)?
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let mut archives = files.filter(|path| path.extension().is_some_and(|ending| ending == "deb"));
    archives.next().context("apt-get downloaded no package")
}
