//! Executes the steps of the plan.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    apt,
    compiler::{TARGET, Toolchain},
    plan::Step,
};
use crate::command::{cargo, output_of, root, run};

/// Any patch release of the bpf-linker that this workspace was built with.
const LINKER_VERSION: &str = "~0.13.0";

/// The directory of what setup makes in this checkout; not tracked.
pub(crate) fn tools_dir() -> PathBuf {
    root().join(".tools")
}

/// Where the checkout's own bpf-linker for one version of LLVM is installed.
///
/// A root of its own for each version: the user's bpf-linker may serve another compiler, and is
/// neither overwritten nor hidden.
pub(crate) fn linker_root(llvm: u32) -> PathBuf {
    tools_dir().join(format!("llvm-{llvm}"))
}

pub(crate) fn carry_out(step: &Step) -> Result<()> {
    match step {
        Step::InstallPackages(packages) => apt::install(packages),
        Step::LinkToolchain { sysroot } => link_toolchain(sysroot),
        Step::BuildLinker { llvm, prefix } => build_linker(*llvm, prefix),
        Step::Prove { toolchain, linker } => prove(*toolchain, linker),
    }
}

fn link_toolchain(sysroot: &Path) -> Result<()> {
    let name = Toolchain::Distribution.name();
    output_of(
        Command::new("rustup")
            .args(["toolchain", "link", name])
            .arg(sysroot),
    )
    .map(drop)
}

fn build_linker(llvm: u32, prefix: &Path) -> Result<()> {
    let target_dir = tools_dir().join("build");
    run(cargo()
        .args(["install", "bpf-linker", "--version", LINKER_VERSION])
        .args(["--locked", "--quiet", "--force", "--no-default-features"])
        .args(["--features", &format!("llvm-{llvm}")])
        .arg("--root")
        .arg(linker_root(llvm))
        .arg("--target-dir")
        .arg(&target_dir)
        // Without it the build script does not find libLLVM of a version that is not the default.
        .env("LLVM_PREFIX", prefix))?;
    remove_dir(&target_dir)
}

/// Builds and links a program with `core` and debug information, as the XDP program's build does:
/// a linker of another LLVM fails on the bitcode of either.
fn prove(toolchain: Toolchain, linker: &Path) -> Result<()> {
    const MANIFEST: &str = "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
                            [workspace]\n";
    const SOURCE: &str = r#"#![no_std]
#![no_main]

#[unsafe(no_mangle)]
pub extern "C" fn probe(value: u64) -> u64 {
    value.rotate_left(7).checked_add(3).unwrap_or_default()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"#;

    let dir = tools_dir().join("probe");
    remove_dir(&dir)?;
    fs::create_dir_all(dir.join("src"))
        .and_then(|()| fs::write(dir.join("Cargo.toml"), MANIFEST))
        .and_then(|()| fs::write(dir.join("src/main.rs"), SOURCE))
        .with_context(|| format!("cannot write {}", dir.display()))?;

    let linker_variable = format!(
        "CARGO_TARGET_{}_LINKER",
        TARGET.to_uppercase().replace('-', "_")
    );
    let mut build = toolchain.command("cargo");
    build
        .current_dir(&dir)
        .args(["build", "--release", "--quiet", "--target", TARGET])
        .arg("--target-dir")
        .arg(dir.join("target"))
        .env(linker_variable, linker)
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Cdebuginfo=2\u{1f}-Clink-arg=--btf",
        )
        // Of the cargo that runs xtask; they would choose its compiler.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_BOOTSTRAP");
    if !toolchain.has_prebuilt_core() {
        build.args(["-Z", "build-std=core"]);
    }
    let outcome = output_of(&mut build);
    remove_dir(&dir)?;
    outcome.map(drop)
}

fn remove_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}
