//! Builds the XDP program. The object is at `$OUT_DIR/ipblock`, where the library embeds it.
//!
//! The compiler and the linker are those that `cargo xtask setup` recorded in
//! `.tools/ebpf-toolchain`. Without a record, they are a nightly with `rust-src` and the
//! `bpf-linker` on `PATH`. `IPBLOCK_EBPF_OBJECT=path` embeds an object that was built elsewhere and
//! needs neither.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

/// File name of the object in `OUT_DIR`: the name of the eBPF crate's binary target.
const OBJECT: &str = "ipblock";

fn main() {
    if let Err(error) = run() {
        // Cargo shows these lines as errors, and nothing else of this script's output.
        for line in format!("{error:#}").lines() {
            println!("cargo::error={line}");
        }
    }
}

fn run() -> Result<()> {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = manifest_dir
        .ancestors()
        .nth(2)
        .context("the crate stands outside its workspace")?;

    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=IPBLOCK_EBPF_OBJECT");
    if let Some(object) = env::var_os("IPBLOCK_EBPF_OBJECT") {
        return embed_prebuilt(&root.join(object));
    }

    // Cargo.toml has the profile of the nested build.
    for watched in ["ipblock-ebpf", "ipblock-common", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let tools = Tools::find(root)?;
    build(root, &tools).context(
        "the XDP program does not build; its compiler's messages stand among the warnings\n\
         hint: after an upgrade of the compiler or of bpf-linker run `cargo xtask setup` again\n\
         what failed",
    )
}

/// Copies the object that `IPBLOCK_EBPF_OBJECT` names. A relative path starts at the workspace.
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
/// Each profile and each set of features has its own `OUT_DIR`. The sets of features share one
/// target directory next to that of the profile. The cargo that runs this script holds the lock of
/// the profile, so two nested builds never use it at the same time.
fn build(root: &Path, tools: &Tools) -> Result<()> {
    let out_dir = PathBuf::from(env::var("OUT_DIR")?);
    // <target>/<profile>/build/<package>-<hash>/out; in another layout the directory is not shared.
    let shared = match out_dir.ancestors().nth(2) {
        Some(build) if build.file_name() == Some(OsStr::new("build")) => build
            .parent()
            .map_or_else(|| out_dir.clone(), |profile| profile.join("ebpf")),
        _ => out_dir.clone(),
    };
    let target_dir = shared.join("target");
    fs::create_dir_all(&target_dir)
        .with_context(|| format!("cannot make directory {}", target_dir.display()))?;
    let target = match env::var("CARGO_CFG_TARGET_ENDIAN")?.as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };

    let mut cargo = tools.command("cargo");
    cargo
        .current_dir(root)
        .args(["build", "--quiet", "--locked", "--release", "--bins"])
        .args(["--package", "ipblock-ebpf", "--target", target])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", tools.flags(root)?)
        // bpf-linker optimises across crates itself, and the object must not depend on this.
        .env("CARGO_PROFILE_RELEASE_LTO", "false")
        // Cargo set these for the compiler that runs this script.
        .env_remove("RUSTC")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    if tools.stable {
        // Allows the one unstable feature of aya-ebpf, and that of this crate.
        cargo.env("RUSTC_BOOTSTRAP", "aya_ebpf,ipblock");
    } else {
        cargo.args(["-Z", "build-std=core"]);
    }
    if let Some(linker) = &tools.linker {
        let variable = target.to_uppercase().replace('-', "_");
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), linker);
    }
    let output = cargo
        .output()
        .with_context(|| format!("cannot start {cargo:?}"))?;
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        println!("cargo::warning={line}");
    }
    ensure!(output.status.success(), "{cargo:?}: {}", output.status);

    let built = target_dir.join(target).join("release").join(OBJECT);
    for copy in [shared.join(OBJECT), out_dir.join(OBJECT)] {
        fs::copy(&built, &copy)
            .with_context(|| format!("cannot copy {} to {}", built.display(), copy.display()))?;
    }
    Ok(())
}

/// The tools of the nested build.
struct Tools {
    /// A toolchain name as `rustup run` takes it.
    toolchain: String,
    /// Path of `bpf-linker`; `None` means the one on `PATH`.
    linker: Option<PathBuf>,
    /// The compiler is a stable one with a prebuilt `core`. It needs permission for the one
    /// unstable feature of aya-ebpf, and it cannot build `core` itself as a nightly does.
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

    /// Returns the recorded tools, or `None` if the recorded linker does not exist any more.
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

    /// Returns a command for a program of the tool chain. Without rustup, uses the only compiler.
    fn command(&self, program: &str) -> Command {
        if !is_on_path("rustup") {
            return Command::new(program);
        }
        let mut command = Command::new("rustup");
        command.args(["run", &self.toolchain, program]);
        command
    }

    /// Returns the flags for the compiler, in the form of `CARGO_ENCODED_RUSTFLAGS`.
    ///
    /// They replace the paths of this machine, so the same sources make the same object in any
    /// directory (`cargo xtask check` tests it).
    fn flags(&self, root: &Path) -> Result<String> {
        // aya-ebpf derives the layout of the kernel's arguments from it.
        let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
        let mut flags = vec![
            format!("--cfg=bpf_target_arch=\"{architecture}\""),
            "-Cdebuginfo=2".to_owned(),
            "-Clink-arg=--btf".to_owned(),
        ];
        let home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        let sysroot = self.command("rustc").args(["--print", "sysroot"]).output();
        let sysroot = sysroot.context("cannot start rustc")?;
        let sysroot = String::from_utf8(sysroot.stdout)?;
        let mut remap = |from: &Path, to: &str| {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        };
        remap(
            &Path::new(sysroot.trim_end()).join("lib/rustlib/src"),
            "/rust",
        );
        if let Some(home) = home {
            remap(&home.join("registry/src"), "/registry");
        }
        remap(root, "/ipblock");
        Ok(flags.join("\x1f"))
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
