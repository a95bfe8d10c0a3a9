//! Builds the XDP program and leaves its object at `$OUT_DIR/ipblock`, where the library embeds it.
//!
//! The compiler and the linker are those that `cargo xtask setup` recorded in
//! `.tools/ebpf-toolchain`; without a record, a nightly with `rust-src` and the `bpf-linker` on
//! `PATH`. `IPBLOCK_EBPF_OBJECT=path` embeds an object that was built elsewhere and needs neither.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use aya_build::{Package, Toolchain};

/// File name of the object in `OUT_DIR`: the name of the eBPF crate's binary target.
const OBJECT: &str = "ipblock";

fn main() {
    if let Err(error) = run() {
        // Cargo shows these as its own error lines, and nothing else of this script's output.
        for line in format!("{error:#}").lines() {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<()> {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir
        .parent()
        .context("ipblock-ctl stands outside its workspace")?;

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=IPBLOCK_EBPF_OBJECT");
    if let Some(object) = env::var_os("IPBLOCK_EBPF_OBJECT") {
        return embed_prebuilt(&root.join(object));
    }

    // The eBPF crate itself is watched by aya_build. Cargo.toml holds its profile.
    for watched in ["ipblock-common", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let tools = Tools::find(root)?;
    tools.export();
    build(root, &tools.toolchain).context(
        "the XDP program does not build; its compiler's messages stand among the warnings\n\
         hint: after an upgrade of the compiler or of bpf-linker run `cargo xtask setup` again\n\
         what failed",
    )
}

/// Copies the object that `IPBLOCK_EBPF_OBJECT` names; a relative path counts from the workspace.
fn embed_prebuilt(object: &Path) -> Result<()> {
    /// `EM_BPF` of the kernel's include/uapi/linux/elf-em.h.
    const EM_BPF: u16 = 247;

    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = fs::read(object)
        .with_context(|| format!("IPBLOCK_EBPF_OBJECT={}: cannot read", object.display()))?;
    let machine = match env::var("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => u16::from_be_bytes,
        _ => u16::from_le_bytes,
    };
    let is_bpf = bytes.starts_with(b"\x7fELF")
        && matches!(bytes.get(18..20), Some(&[a, b]) if machine([a, b]) == EM_BPF);
    ensure!(
        is_bpf,
        "IPBLOCK_EBPF_OBJECT={}: not an ELF object for BPF of this machine's byte order",
        object.display()
    );
    let out = PathBuf::from(env::var("OUT_DIR")?).join(OBJECT);
    fs::write(&out, bytes).with_context(|| format!("cannot write {}", out.display()))
}

/// Runs the nested build and copies its object to `OUT_DIR`.
///
/// `aya_build` keeps its target directory under `OUT_DIR`, of which there is one for each profile and
/// each set of features; pointing it at the profile's directory lets the latter share one. The
/// cargo that runs this script holds that directory's lock, so two of these never meet there.
fn build(root: &Path, toolchain: &str) -> Result<()> {
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    // <target>/<profile>/build/<package>-<hash>/out; another layout keeps aya_build's own place.
    let shared = match out_dir.ancestors().nth(2) {
        Some(build) if build.file_name() == Some(OsStr::new("build")) => build
            .parent()
            .map_or_else(|| out_dir.clone(), |profile| profile.join("ebpf")),
        _ => out_dir.clone(),
    };
    fs::create_dir_all(&shared)
        .with_context(|| format!("cannot make directory {}", shared.display()))?;
    set_var("OUT_DIR", &shared);

    let crate_dir = root.join("ipblock-ebpf");
    let package = Package {
        name: "ipblock-ebpf",
        root_dir: crate_dir
            .to_str()
            .context("the path of the workspace is not UTF-8")?,
        ..Package::default()
    };
    let built = aya_build::build_ebpf([package], Toolchain::Custom(toolchain));
    if built.is_err() {
        wait_for_other_threads();
    }
    built?;

    if shared != out_dir {
        let (from, to) = (shared.join(OBJECT), out_dir.join(OBJECT));
        fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// Waits until the thread that passes on the nested cargo's messages is done: `aya_build` does not
/// join it when the build fails, and the messages that tell why would be lost with this process.
fn wait_for_other_threads() {
    let deadline = Instant::now() + Duration::from_secs(2);
    let others_run = || fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1);
    while others_run() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(5));
    }
}

/// What the nested build is done with.
struct Tools {
    /// A toolchain name as `rustup run` takes it. Without rustup `aya_build` uses the only compiler.
    toolchain: String,
    /// Path of `bpf-linker`; `None`: the one on `PATH`.
    linker: Option<PathBuf>,
    /// The compiler is a stable one with a prebuilt `core`: it needs leave for the one unstable
    /// feature of aya-ebpf, and must not be taken for a nightly that builds `core` itself.
    stable: bool,
}

impl Tools {
    fn find(root: &Path) -> Result<Self> {
        let record = root.join(".tools/ebpf-toolchain");
        if record.exists() {
            println!("cargo::rerun-if-changed={}", record.display());
            if let Some(tools) = Self::recorded(&record)? {
                return Ok(tools);
            }
        }
        if nightly_has_rust_src() && is_on_path("bpf-linker") {
            return Ok(Self {
                toolchain: "nightly".to_owned(),
                linker: None,
                stable: false,
            });
        }
        bail!(
            "no tool chain for the XDP program: neither a record of one nor a nightly with \
             rust-src and bpf-linker\n\
             hint: run `cargo xtask setup` once, or name an object that was built elsewhere: \
             IPBLOCK_EBPF_OBJECT=path"
        )
    }

    /// The record's tools; `None` when the linker it names is gone.
    fn recorded(record: &Path) -> Result<Option<Self>> {
        let text = fs::read_to_string(record)
            .with_context(|| format!("cannot read {}", record.display()))?;
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.to_owned())
                .with_context(|| {
                    format!(
                        "{}: no line `{key}=`\nhint: run `cargo xtask setup`",
                        record.display()
                    )
                })
        };
        let linker = PathBuf::from(value("linker")?);
        let tools = Self {
            toolchain: value("toolchain")?,
            stable: value("core")? == "prebuilt",
            linker: Some(linker.clone()),
        };
        Ok(linker.exists().then_some(tools))
    }

    /// Puts the choice into the environment that the nested cargo inherits.
    fn export(&self) {
        // aya_build turns every line of the nested cargo into a warning of this build; without its
        // progress lines only what went wrong is left.
        set_var("CARGO_TERM_QUIET", "true");
        if self.stable {
            set_var("RUSTC_BOOTSTRAP", "aya_ebpf,ipblock");
        }
        if let Some(linker) = &self.linker {
            set_var("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker);
            set_var("CARGO_TARGET_BPFEB_UNKNOWN_NONE_LINKER", linker);
        }
    }
}

fn nightly_has_rust_src() -> bool {
    Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| {
            let sysroot = String::from_utf8_lossy(&output.stdout);
            output.status.success()
                && Path::new(sysroot.trim_end())
                    .join("lib/rustlib/src/rust/library/core")
                    .is_dir()
        })
}

fn is_on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

fn set_var(key: &str, value: impl AsRef<OsStr>) {
    // SAFETY: a build script's main thread; aya_build starts its threads later and joins them.
    unsafe { env::set_var(key, value) }
}
