//! Decides the next step to get an eBPF tool chain, as a pure function of the machine's state.
//!
//! [`next`] is called again after each step with new facts, so it sees what a step made possible
//! (the LLVM version of a compiler that was just installed). If a step failed, or was done without
//! effect, its path is closed and the next one is tried.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    path::PathBuf,
};

use super::compiler::{Compiler, Toolchain};

/// The versions of LLVM that the pinned bpf-linker can be built against.
pub(crate) const LINKER_LLVM: RangeInclusive<u32> = 21..=23;

/// Debian's compiler with a prebuilt `core` for BPF, and its cargo.
const COMPILER_PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev-bpf", "cargo-web"];

/// How packages get onto this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packages {
    /// apt-get, and the right to use it.
    AptAsRoot,
    /// apt-get, for another user.
    Apt,
    /// Not a Debian-like system.
    Other,
}

/// What is on the machine, and what was tried in this run.
#[derive(Debug)]
pub(crate) struct Facts {
    pub packages: Packages,
    /// A nightly with `rust-src`, or what it lacks.
    pub nightly: Result<Compiler, String>,
    /// A distribution's compiler with `core` for BPF, or what it lacks.
    pub distribution: Result<Compiler, String>,
    /// Where rustup's name for the distribution's compiler leads.
    pub linked_sysroot: Option<PathBuf>,
    /// The user's own `bpf-linker`.
    pub path_linker: Option<PathBuf>,
    /// By LLVM version, for each compiler above.
    pub llvm: BTreeMap<u32, Llvm>,
    pub done: BTreeSet<Step>,
    pub failed: BTreeMap<Step, String>,
}

/// What is there of one version of LLVM.
#[derive(Clone, Debug, Default)]
pub(crate) struct Llvm {
    /// Where its libraries and `llvm-config` are.
    pub prefix: Option<PathBuf>,
    /// Debian packages that a bpf-linker is built with and that are not installed.
    pub missing_packages: Vec<String>,
    /// The checkout's own bpf-linker, when it was built.
    pub private_linker: Option<PathBuf>,
}

/// One thing to do. The executor is [`super::steps`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// With apt-get.
    InstallPackages(Vec<String>),
    /// Makes the distribution's compiler known to rustup.
    LinkToolchain { sysroot: PathBuf },
    /// Builds the checkout's own bpf-linker against the LLVM at `prefix`.
    BuildLinker { llvm: u32, prefix: PathBuf },
    /// Builds and links a tiny BPF program.
    Prove {
        toolchain: Toolchain,
        linker: PathBuf,
    },
}

/// The answer of [`next`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// These two work together.
    Ready {
        compiler: Compiler,
        linker: PathBuf,
    },
    Do(Step),
    /// Nothing more can be done from here: each way, and what is missing on it.
    Refused(Vec<String>),
}

/// Decides what to do next.
pub(crate) fn next(facts: &Facts) -> Next {
    let ways = [by_nightly, by_distribution];
    let mut obstacles = Vec::new();
    for way in ways {
        match way(facts) {
            Ok(next) => return next,
            Err(obstacle) => obstacles.push(obstacle),
        }
    }
    Next::Refused(obstacles)
}

fn by_nightly(facts: &Facts) -> Result<Next, String> {
    let compiler = facts.nightly.as_ref().map_err(|lack| {
        format!("{lack}\nhint: rustup toolchain install nightly --component rust-src")
    })?;
    with_linker(facts, compiler)
}

fn by_distribution(facts: &Facts) -> Result<Next, String> {
    let compiler = match &facts.distribution {
        Ok(compiler) => compiler,
        Err(lack) => {
            let packages = COMPILER_PACKAGES.map(str::to_owned).to_vec();
            return install(facts, packages, lack);
        }
    };
    if compiler.toolchain == Toolchain::Distribution
        && facts.linked_sysroot.as_ref() != Some(&compiler.sysroot)
    {
        let sysroot = compiler.sysroot.clone();
        return attempt(facts, Step::LinkToolchain { sysroot });
    }
    with_linker(facts, compiler)
}

/// Continues once there is a compiler: with a linker that is proved to work with it.
fn with_linker(facts: &Facts, compiler: &Compiler) -> Result<Next, String> {
    let number = compiler.version.llvm;
    let llvm = facts.llvm.get(&number).cloned().unwrap_or_default();
    for linker in [&facts.path_linker, &llvm.private_linker]
        .into_iter()
        .flatten()
    {
        let proof = Step::Prove {
            toolchain: compiler.toolchain,
            linker: linker.clone(),
        };
        if facts.done.contains(&proof) {
            return Ok(Next::Ready {
                compiler: compiler.clone(),
                linker: linker.clone(),
            });
        }
        if !facts.failed.contains_key(&proof) {
            return Ok(Next::Do(proof));
        }
    }

    let wanted = format!(
        "{} needs a bpf-linker for LLVM {number}",
        compiler.version.text
    );
    if !LINKER_LLVM.contains(&number) {
        return Err(format!(
            "{wanted}, and the newest that ipblock knows takes LLVM {} to {}\n\
             hint: put one that works on PATH (https://github.com/aya-rs/bpf-linker)",
            LINKER_LLVM.start(),
            LINKER_LLVM.end()
        ));
    }
    if facts.packages != Packages::Other && !llvm.missing_packages.is_empty() {
        return install(facts, llvm.missing_packages, &wanted);
    }
    let Some(prefix) = llvm.prefix else {
        return Err(format!(
            "{wanted}, and the development files of LLVM {number} are not installed\n\
             hint: install them, or put a bpf-linker on PATH: cargo binstall bpf-linker"
        ));
    };
    attempt(
        facts,
        Step::BuildLinker {
            llvm: number,
            prefix,
        },
    )
}

fn install(facts: &Facts, packages: Vec<String>, why: &str) -> Result<Next, String> {
    let list = packages.join(" ");
    match facts.packages {
        Packages::AptAsRoot => attempt(facts, Step::InstallPackages(packages))
            .map_err(|obstacle| format!("{why}\n{obstacle}")),
        Packages::Apt => Err(format!(
            "{why}\nhint: sudo apt-get update && \
             sudo apt-get install -y --no-install-recommends {list}"
        )),
        Packages::Other => Err(format!(
            "{why}\nhint: a Debian-like system has it in the packages {list}"
        )),
    }
}

fn attempt(facts: &Facts, step: Step) -> Result<Next, String> {
    if let Some(error) = facts.failed.get(&step) {
        return Err(error.clone());
    }
    if facts.done.contains(&step) {
        return Err(format!("{} changed nothing", step.title()));
    }
    Ok(Next::Do(step))
}

impl Step {
    /// What the step does, for the line that announces it.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::InstallPackages(packages) => format!("installing {}", packages.join(" ")),
            Self::LinkToolchain { sysroot } => format!(
                "linking the compiler of {} into rustup as `{}`",
                sysroot.display(),
                Toolchain::Distribution.name()
            ),
            Self::BuildLinker { llvm, .. } => format!(
                "building bpf-linker for LLVM {llvm} in .tools/llvm-{llvm} (about two minutes)"
            ),
            Self::Prove { toolchain, linker } => format!(
                "trying the compiler `{}` with {}",
                toolchain.name(),
                linker.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
