//! Compilers that may build the XDP program, and their versions.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command::{on_path, output_of};

/// The BPF target of this machine's byte order.
pub(crate) const TARGET: &str = if cfg!(target_endian = "big") {
    "bpfeb-unknown-none"
} else {
    "bpfel-unknown-none"
};

/// The origin of a compiler, which determines how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Toolchain {
    /// rustup's nightly, which builds `core` from `rust-src`.
    Nightly,
    /// The distribution's stable compiler with a prebuilt `core`, linked into rustup.
    Distribution,
    /// The same on a machine without rustup, where it is the only compiler.
    System,
}

impl Toolchain {
    /// The name that `rustup run` and the record know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nightly => "nightly",
            Self::Distribution => "ipblock-bpf",
            Self::System => "system",
        }
    }

    /// The inverse of [`Self::name`].
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Nightly, Self::Distribution, Self::System]
            .into_iter()
            .find(|toolchain| toolchain.name() == name)
    }

    /// Whether `core` for BPF comes with the compiler.
    pub(crate) fn has_prebuilt_core(self) -> bool {
        self != Self::Nightly
    }

    /// `program` (`cargo`, `rustc`) of this tool chain.
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Nightly | Self::Distribution => {
                let mut command = Command::new("rustup");
                // A probe must not download a compiler.
                command
                    .env("RUSTUP_AUTO_INSTALL", "0")
                    .args(["run", self.name(), program]);
                command
            }
            Self::System => Command::new(program),
        }
    }

    /// Returns a compiler's version.
    pub(crate) fn version(self) -> Result<Version> {
        Version::of(&mut self.command("rustc"))
    }
}

/// Version of a compiler and of the LLVM it writes bitcode with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Major and minor release.
    pub release: (u32, u32),
    /// LLVM's major version: bpf-linker must be built against the same.
    pub llvm: u32,
    /// Both in full, with the compiler's commit: another text is another compiler.
    pub text: String,
}

impl Version {
    fn of(rustc: &mut Command) -> Result<Self> {
        let text = output_of(rustc.arg("-vV"))?;
        Self::parse(&text).with_context(|| format!("unexpected answer to `rustc -vV`:\n{text}"))
    }

    pub(crate) fn parse(answer: &str) -> Option<Self> {
        let (headline, _) = answer.split_once('\n')?;
        let field = |name: &str| {
            answer
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let llvm = field("LLVM version")?;
        let mut release = field("release")?.split('.');
        Some(Self {
            release: (release.next()?.parse().ok()?, release.next()?.parse().ok()?),
            llvm: llvm.split('.').next()?.parse().ok()?,
            text: format!("{headline} LLVM {llvm}"),
        })
    }

    /// Whether the workspace's `rust-version` allows this compiler.
    pub(crate) fn is_new_enough(&self) -> bool {
        let mut wanted = env!("CARGO_PKG_RUST_VERSION")
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        self.release >= (wanted.next().unwrap_or(0), wanted.next().unwrap_or(0))
    }
}

/// An installed compiler with `core` for BPF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    pub toolchain: Toolchain,
    pub version: Version,
    /// Its root directory, such as `/usr`.
    pub sysroot: PathBuf,
}

/// rustup's nightly; an error says what it lacks.
pub(crate) fn nightly() -> Result<Compiler, String> {
    if on_path("rustup").is_none() {
        return Err("rustup is not installed".to_owned());
    }
    let toolchain = Toolchain::Nightly;
    let not_there = |_| "rustup has no toolchain `nightly`".to_owned();
    let version = toolchain.version().map_err(not_there)?;
    let sysroot = sysroot_of(&mut toolchain.command("rustc")).map_err(not_there)?;
    if !sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
        return Err("rustup's nightly has no component rust-src".to_owned());
    }
    accept(Compiler {
        toolchain,
        version,
        sysroot,
    })
}

/// The distribution's compiler; an error says what it lacks.
pub(crate) fn distribution() -> Result<Compiler, String> {
    // With rustup on PATH `rustc` is its proxy, and the distribution's must be called by its path.
    let (toolchain, rustc) = if on_path("rustup").is_some() {
        (Toolchain::Distribution, "/usr/bin/rustc")
    } else {
        (Toolchain::System, "rustc")
    };
    let not_there = |_| format!("there is no working compiler `{rustc}`");
    let version = Version::of(&mut Command::new(rustc)).map_err(not_there)?;
    let sysroot = sysroot_of(&mut Command::new(rustc)).map_err(not_there)?;
    if !has_prebuilt_core(&sysroot) {
        return Err(format!(
            "`{rustc}` ({}) has no `core` for {TARGET}",
            version.text
        ));
    }
    accept(Compiler {
        toolchain,
        version,
        sysroot,
    })
}

/// The sysroot that rustup's name for the distribution's compiler leads to.
pub(crate) fn linked_sysroot() -> Option<PathBuf> {
    sysroot_of(&mut Toolchain::Distribution.command("rustc")).ok()
}

fn accept(compiler: Compiler) -> Result<Compiler, String> {
    if compiler.version.is_new_enough() {
        Ok(compiler)
    } else {
        Err(format!(
            "{} is older than {}",
            compiler.version.text,
            env!("CARGO_PKG_RUST_VERSION")
        ))
    }
}

fn sysroot_of(rustc: &mut Command) -> Result<PathBuf> {
    output_of(rustc.args(["--print", "sysroot"])).map(|path| PathBuf::from(path.trim_end()))
}

fn has_prebuilt_core(sysroot: &Path) -> bool {
    let libraries = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    fs::read_dir(libraries).is_ok_and(|entries| {
        entries
            .filter_map(Result::ok)
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n\
        binary: rustc\ncommit-hash: ac68faa20c58cbccd01ee7208bf3b6e93a7d7f96\n\
        commit-date: 2026-05-25\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\n\
        LLVM version: 22.1.8\n";

    #[test]
    fn reads_release_and_llvm_from_a_distribution_compiler() {
        let version = Version::parse(DEBIAN).unwrap();
        assert_eq!((version.release, version.llvm), ((1, 96), 22));
        assert!(version.text.ends_with("LLVM 22.1.8"), "{}", version.text);
    }

    #[test]
    fn reads_the_release_of_a_nightly() {
        let nightly = DEBIAN.replace("release: 1.96.0", "release: 1.97.0-nightly");
        assert_eq!(Version::parse(&nightly).unwrap().release, (1, 97));
    }

    #[test]
    fn a_compiler_older_than_the_workspace_asks_for_is_not_new_enough() {
        let old = DEBIAN.replace("release: 1.96.0", "release: 1.63.0");
        assert!(Version::parse(DEBIAN).unwrap().is_new_enough());
        assert!(!Version::parse(&old).unwrap().is_new_enough());
    }

    #[test]
    fn an_answer_without_an_llvm_version_is_not_understood() {
        assert_eq!(Version::parse("rustc 1.96.0\nrelease: 1.96.0\n"), None);
    }

    #[test]
    fn names_lead_back_to_their_toolchain() {
        for toolchain in [
            Toolchain::Nightly,
            Toolchain::Distribution,
            Toolchain::System,
        ] {
            assert_eq!(Toolchain::from_name(toolchain.name()), Some(toolchain));
        }
        assert_eq!(Toolchain::from_name("stable"), None);
    }
}
