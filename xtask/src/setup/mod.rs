//! `cargo xtask setup`: a compiler with `core` for BPF and a matching bpf-linker.
//!
//! It gathers facts, [`plan::next`] decides one step, [`steps`] executes it, and so on, until a
//! pair can link. `.tools/ebpf-toolchain` then records it for ipblock-ctl's build script.
//! [`runtime`] covers the further needs of the tests, the demo and the benchmark.

mod apt;
mod compiler;
mod neighbours;
mod plan;
mod record;
pub(crate) mod runtime;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::steps::tools_dir;
use self::{
    plan::{Facts, Llvm, Next, Step},
    record::Record,
};
use crate::command::{on_path, output_of, say};

/// Installs those of these Debian packages that are missing.
pub(crate) fn install(packages: &[String]) -> Result<()> {
    let missing = apt::missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    if apt::access() != plan::Packages::AptAsRoot {
        bail!(
            "not installed: {}\nhint: install them; root on a Debian-like system has it done",
            missing.join(", ")
        );
    }
    apt::install(&missing)
}

/// Prepares the eBPF tool chain; fast if it exists already.
pub(crate) fn run() -> Result<()> {
    if let Some(object) = env::var_os("IPBLOCK_EBPF_OBJECT") {
        let object = PathBuf::from(object);
        say(
            "setup",
            &format!(
                "IPBLOCK_EBPF_OBJECT={}: the build embeds it, no eBPF tool chain is needed",
                object.display()
            ),
        );
        return Ok(());
    }

    let dir = tools_dir();
    fs::create_dir_all(&dir).with_context(|| format!("cannot make directory {}", dir.display()))?;
    let file = dir.join("ebpf-toolchain");
    let recorded = Record::read(&file)?;
    if let Some(record) = recorded.as_ref().filter(|record| record.is_current()) {
        say("setup", &format!("ready: {}", summary(record)));
        return Ok(());
    }
    if recorded.is_some() {
        say(
            "setup",
            "the compiler or the linker changed since the last time",
        );
    }
    let record = search()?;
    record.write(&file)?;
    say("setup", &format!("ready: {}", summary(&record)));
    Ok(())
}

fn summary(record: &Record) -> String {
    format!(
        "`{}` ({}), {}",
        record.toolchain.name(),
        record.rustc,
        record.linker.display()
    )
}

/// Goes from step to step until compiler and linker are there.
fn search() -> Result<Record> {
    let mut done = BTreeSet::new();
    let mut failed = BTreeMap::new();
    loop {
        let facts = gather(done, failed);
        let step = match plan::next(&facts) {
            Next::Ready { compiler, linker } => return Ok(Record::new(&compiler, &linker)),
            Next::Refused(obstacles) => bail!(refusal(&obstacles)),
            Next::Do(step) => step,
        };
        Facts { done, failed, .. } = facts;
        say("setup", &step.title());
        match steps::carry_out(&step) {
            Ok(()) => {
                if let Step::BuildLinker { llvm, .. } = &step {
                    let rebuilt = private_linker(*llvm);
                    failed.retain(|step, _| !is_proof_of(step, &rebuilt));
                }
                done.insert(step);
            }
            Err(error) => {
                say("setup", &format!("that did not work: {error:#}"));
                failed.insert(step, format!("{error:#}"));
            }
        }
    }
}

fn refusal(obstacles: &[String]) -> String {
    let mut text = "no eBPF tool chain; any one of these ways leads to one:".to_owned();
    for obstacle in obstacles {
        text.push_str("\n- ");
        text.push_str(&obstacle.replace('\n', "\n  "));
    }
    text.push_str("\nthen run `cargo xtask setup` again");
    text
}

fn gather(done: BTreeSet<Step>, failed: BTreeMap<Step, String>) -> Facts {
    let nightly = compiler::nightly();
    let distribution = compiler::distribution();
    let llvm = [&nightly, &distribution]
        .into_iter()
        .flatten()
        .map(|compiler| (compiler.version.llvm, llvm(compiler.version.llvm)))
        .collect();
    Facts {
        packages: apt::access(),
        nightly,
        distribution,
        linked_sysroot: compiler::linked_sysroot(),
        path_linker: on_path("bpf-linker").and_then(|linker| std::path::absolute(linker).ok()),
        llvm,
        done,
        failed,
    }
}

/// What is there of LLVM `number`.
fn llvm(number: u32) -> Llvm {
    let packages = [
        format!("llvm-{number}-dev"),
        format!("libpolly-{number}-dev"),
        "zlib1g-dev".to_owned(),
        "libzstd-dev".to_owned(),
    ];
    Llvm {
        prefix: llvm_prefix(number),
        missing_packages: apt::missing(&packages),
        private_linker: Some(private_linker(number)).filter(|linker| linker.is_file()),
    }
}

/// Where LLVM `number` is installed: Debian's place, or where an `llvm-config` of it says.
fn llvm_prefix(number: u32) -> Option<PathBuf> {
    let debian = PathBuf::from(format!("/usr/lib/llvm-{number}"));
    if debian.join("bin/llvm-config").is_file() {
        return Some(debian);
    }
    [format!("llvm-config-{number}"), "llvm-config".to_owned()]
        .iter()
        .find_map(|program| {
            let ask = |what| output_of(Command::new(program).arg(what)).ok();
            ask("--version")?
                .starts_with(&format!("{number}."))
                .then(|| ask("--prefix"))?
                .map(|prefix| PathBuf::from(prefix.trim_end()))
        })
}

fn private_linker(llvm: u32) -> PathBuf {
    steps::linker_root(llvm).join("bin/bpf-linker")
}

fn is_proof_of(step: &Step, wanted: &Path) -> bool {
    matches!(step, Step::Prove { linker, .. } if linker == wanted)
}
