//! `cargo xtask dist`: a Debian package and a tarball of the same files, in `target/dist`.
//!
//! [`FILES`] lists the installed files; packaging/debian has the scripts of installation and
//! removal.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    command::{cargo, output_of, root, run as run_command, say, target_dir},
    setup,
};

/// From the workspace's directory, to where, and with which mode.
const FILES: [(&str, &str, u32); 10] = [
    (
        "packaging/systemd/ipblockd.service",
        "lib/systemd/system/ipblockd.service",
        0o644,
    ),
    (
        "packaging/systemd/ipblock.sysusers",
        "usr/lib/sysusers.d/ipblock.conf",
        0o644,
    ),
    (
        "packaging/systemd/ipblock.tmpfiles",
        "usr/lib/tmpfiles.d/ipblock.conf",
        0o644,
    ),
    ("packaging/ipblockd.toml", CONFIG, 0o640),
    (
        "packaging/grafana/ipblock.json",
        "usr/share/ipblock/grafana/ipblock.json",
        0o644,
    ),
    (
        "packaging/prometheus/ipblock.rules.yml",
        "usr/share/ipblock/prometheus/ipblock.rules.yml",
        0o644,
    ),
    ("README.md", "usr/share/doc/ipblock/README.md", 0o644),
    ("CHANGELOG.md", "usr/share/doc/ipblock/CHANGELOG.md", 0o644),
    (
        "docs/operations.md",
        "usr/share/doc/ipblock/operations.md",
        0o644,
    ),
    ("docs/api.md", "usr/share/doc/ipblock/api.md", 0o644),
];

const PROGRAMS: [(&str, &str); 2] = [
    ("ipblockd", "usr/sbin/ipblockd"),
    ("ipblock-ctl", "usr/bin/ipblock-ctl"),
];

/// Files about which an upgrade asks if they were changed.
const CONFIG: &str = "etc/ipblock/ipblockd.toml";

/// Where shells look for completions: shell and file.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/ipblock-ctl"),
    ("zsh", "usr/share/zsh/vendor-completions/_ipblock-ctl"),
    (
        "fish",
        "usr/share/fish/vendor_completions.d/ipblock-ctl.fish",
    ),
];

const DAEMON_PAGE: &str = "usr/share/man/man8/ipblockd.8";

/// `systemd-analyze security` goes from 0, shut, to 10, open.
const MOST_EXPOSED: f64 = 3.0;

/// A profile of Cargo.toml, whose name is that of the directory of what it builds.
pub(crate) type Profile = &'static str;

pub(crate) const RELEASE: Profile = "release";
/// Not for distribution: for tests in a virtual machine.
pub(crate) const GUEST: Profile = "guest";

/// Builds both into `target/dist`, or for another profile next to it, and returns the package's
/// path.
pub(crate) fn run(profile: Profile) -> Result<PathBuf> {
    setup::run()?;
    say("dist", &format!("building in the {profile} profile"));
    run_command(
        cargo()
            .args(["build", "--profile", profile, "--locked"])
            .args(["--package", "ipblock-ctl", "--bins"]),
    )?;
    let programs = target_dir()?.join(profile);
    let dist = if profile == RELEASE {
        target_dir()?.join("dist")
    } else {
        target_dir()?.join(format!("dist-{profile}"))
    };
    let tree = Tree::begin(dist.join("tree"))?;
    for (program, place) in PROGRAMS {
        tree.add(&programs.join(program), place, 0o755)?;
        // The profile keeps data for profilers, which is nine tenths of the files.
        run_command(
            Command::new("strip")
                .arg("--strip-debug")
                .arg(tree.path(place)),
        )?;
    }
    for (from, to, mode) in FILES {
        tree.add(&root().join(from), to, mode)?;
    }
    fs::create_dir_all(tree.path("etc/ipblock/lists"))?;
    tree.add_generated(&programs)?;

    tree.open_directories()?;
    let version = env!("CARGO_PKG_VERSION");
    let architecture = output_of(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    let tarball = dist.join(format!("ipblock-{version}-{architecture}.tar.gz"));
    run_command(
        Command::new("tar")
            .args([
                "--create",
                "--gzip",
                "--owner=0",
                "--group=0",
                "--sort=name",
            ])
            .arg(format!("--transform=s,^\\.,ipblock-{version},"))
            .arg("--file")
            .arg(&tarball)
            .arg("--directory")
            .arg(&tree.0)
            .arg("."),
    )?;
    let package = dist.join(format!("ipblock_{version}_{architecture}.deb"));
    tree.add_control(version, architecture)?;
    run_command(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .arg(&tree.0)
            .arg(&package),
    )?;
    let exposure = exposure()?;
    say(
        "dist",
        &format!("{}\n{}", package.display(), tarball.display()),
    );
    ensure!(
        exposure < MOST_EXPOSED,
        "the unit's exposure level is {exposure}, and {MOST_EXPOSED} is too much"
    );
    Ok(package)
}

/// The files as they will be installed, below one directory.
struct Tree(PathBuf);

impl Tree {
    fn begin(path: PathBuf) -> Result<Self> {
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn path(&self, place: &str) -> PathBuf {
        self.0.join(place)
    }

    fn add(&self, from: &Path, place: &str, mode: u32) -> Result<()> {
        let content = fs::read(from).with_context(|| from.display().to_string())?;
        self.write(place, &content, mode)
    }

    fn write(&self, place: &str, content: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let to = self.path(place);
        let directory = to.parent().context("a file in no directory")?;
        fs::create_dir_all(directory)?;
        fs::write(&to, content)?;
        Ok(fs::set_permissions(&to, fs::Permissions::from_mode(mode))?)
    }

    /// Makes its directories readable for all, whatever the builder's umask is.
    fn open_directories(&self) -> Result<()> {
        run_command(
            Command::new("find")
                .arg(&self.0)
                .args(["-type", "d", "-exec", "chmod", "755", "{}", "+"]),
        )
    }

    /// Manual pages and completions, which the program generates.
    fn add_generated(&self, programs: &Path) -> Result<()> {
        let ctl = programs.join("ipblock-ctl");
        let pages = self.path("usr/share/man/man1");
        run_command(Command::new(&ctl).args(["man", "--dir"]).arg(&pages))?;
        let page = output_of(Command::new(programs.join("ipblockd")).arg("--man"))?;
        self.write(DAEMON_PAGE, &page, 0o644)?;
        let mut gzip = Command::new("gzip");
        // Without name and time, so that the same pages have the same bytes.
        gzip.args(["-9", "--no-name"]).arg(self.path(DAEMON_PAGE));
        for page in fs::read_dir(&pages)? {
            gzip.arg(page?.path());
        }
        run_command(&mut gzip)?;
        for (shell, place) in COMPLETIONS {
            let script = output_of(Command::new(&ctl).args(["completions", shell]))?;
            self.write(place, &script, 0o644)?;
        }
        Ok(())
    }

    fn add_control(&self, version: &str, architecture: &str) -> Result<()> {
        let (major, minor) = needed_glibc(&PROGRAMS.map(|(_, place)| self.path(place)))?;
        let size = output_of(Command::new("du").args(["--summarize", "-k"]).arg(&self.0))?;
        let size = size.split_whitespace().next().unwrap_or("0").to_owned();
        let control = format!(
            "Package: ipblock\n\
             Version: {version}\n\
             Architecture: {architecture}\n\
             Maintainer: ipblock maintainers <maintainers@ipblock.invalid>\n\
             Installed-Size: {size}\n\
             Depends: libc6 (>= {major}.{minor})\n\
             Recommends: systemd\n\
             Section: net\n\
             Priority: optional\n\
             Description: block IP addresses at the network card\n \
              An XDP program that drops, warns about or passes packets by source address, a\n \
              daemon that compiles rules and exceptions for it and counts exactly, and a\n \
              command line for people and scripts. Needs Linux 5.18 or newer.\n"
        );
        self.write("DEBIAN/control", &control, 0o644)?;
        self.write("DEBIAN/conffiles", format!("/{CONFIG}\n"), 0o644)?;
        for script in ["postinst", "prerm", "postrm"] {
            let from = root().join("packaging/debian").join(script);
            self.add(&from, &format!("DEBIAN/{script}"), 0o755)?;
        }
        self.open_directories()?;
        Ok(())
    }
}

/// The newest version of glibc whose symbols the programs use.
fn needed_glibc(programs: &[PathBuf]) -> Result<(u32, u32)> {
    let symbols = output_of(Command::new("objdump").arg("-T").args(programs))?;
    newest_glibc(&symbols).context("the programs use no glibc")
}

/// An error when the programs cannot run with a glibc of this version.
pub(crate) fn ensure_glibc(programs: &[PathBuf], (major, minor): (u32, u32)) -> Result<()> {
    let needed = needed_glibc(programs)?;
    ensure!(
        needed <= (major, minor),
        "what is built here needs glibc {}.{}, and Debian 12 has {major}.{minor}\n\
         hint: run it on Debian 12, or with a sysroot of it",
        needed.0,
        needed.1
    );
    Ok(())
}

fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (major, minor) = rest.get(..end.unwrap_or(rest.len()))?.split_once('.')?;
        let minor = minor.split('.').next()?;
        Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
    });
    versions.max()
}

/// The exposure of the unit by systemd's own rating, which is shown.
fn exposure() -> Result<f64> {
    let table = output_of(
        Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(root().join("packaging/systemd/ipblockd.service")),
    )?;
    let line = table
        .lines()
        .rev()
        .find(|line| line.contains("exposure level"));
    let line = line.context("systemd-analyze gave no exposure level")?;
    say("dist", line.trim());
    exposure_of(line).with_context(|| line.to_owned())
}

fn exposure_of(line: &str) -> Option<f64> {
    let (_, level) = line.rsplit_once(": ")?;
    level.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_glibc_counts_by_its_numbers() {
        let symbols = "w DF *UND* (GLIBC_2.2.5) malloc\nDF *UND* (GLIBC_2.34) x\n(GLIBC_2.9) y\n";
        assert_eq!(newest_glibc(symbols), Some((2, 34)));
        assert_eq!(newest_glibc("nothing"), None);
    }

    #[test]
    fn the_exposure_level_is_read_from_systemds_last_line() {
        let line = "→ Overall exposure level for ipblockd.service: 2.0 OK 🙂";
        assert_eq!(exposure_of(line), Some(2.0));
        assert_eq!(exposure_of("nothing"), None);
    }

    #[test]
    fn everything_that_is_installed_is_there() {
        for (from, ..) in FILES {
            assert!(root().join(from).is_file(), "{from}");
        }
    }
}
