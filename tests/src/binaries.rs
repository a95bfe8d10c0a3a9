//! Paths of `ipblockd` and `ipblock-ctl`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// A directory with ready-made binaries, for machines without cargo.
const OVERRIDE: &str = "IPBLOCK_BIN_DIR";

/// Paths of the binaries under test.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The daemon.
    pub ipblockd: PathBuf,
    /// The command line.
    pub ipblock_ctl: PathBuf,
}

impl Binaries {
    /// Returns ready-made ones, in the directory that this environment variable contains.
    ///
    /// # Errors
    /// If it is not set, or the directory lacks them.
    pub fn of_variable(name: &str) -> anyhow::Result<Self> {
        let dir = env::var_os(name)
            .with_context(|| format!("{name} names no directory with ipblockd and ipblock-ctl"))?;
        let find = |program| {
            let path = Path::new(&dir).join(program);
            ensure!(path.is_file(), "{name}: no file {}", path.display());
            Ok(path)
        };
        Ok(Self {
            ipblockd: find("ipblockd")?,
            ipblock_ctl: find("ipblock-ctl")?,
        })
    }
}

/// The binaries under test, built once a process.
///
/// `cargo test` builds another package's binaries only when asked for them, and then stale ones may
/// lie about. So this asks cargo itself, in the profile and target directory of the running test,
/// and takes the paths from its answer; it is quick when there is nothing to do. `IPBLOCK_BIN_DIR`
/// names a directory with ready-made ones instead.
///
/// # Panics
/// When they cannot be built; the message holds what cargo said.
pub fn binaries() -> &'static Binaries {
    static BINARIES: OnceLock<Binaries> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let found = match env::var_os(OVERRIDE) {
            Some(_) => Binaries::of_variable(OVERRIDE),
            None => build(),
        };
        found.unwrap_or_else(|error| panic!("no binaries to test: {error:#}"))
    })
}

fn build() -> anyhow::Result<Binaries> {
    let test = env::current_exe()?;
    // TARGET_DIR/PROFILE/deps/TEST, or TARGET_DIR/PROFILE/PROGRAM
    let profile_dir = test
        .ancestors()
        .skip(1)
        .find(|dir| !dir.ends_with("deps"))
        .context("not in a target directory")?;
    let target_dir = profile_dir.parent().context("not in a target directory")?;
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--locked",
            "--workspace",
            "--exclude=ipblock-ebpf",
            "--bins",
        ])
        .args([
            "--message-format=json-render-diagnostics",
            "--profile",
            profile,
        ])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(target_dir)
        .output()
        .context("start cargo")?;
    ensure!(
        output.status.success(),
        "cargo build: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let messages: Vec<Value> = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .context("cargo's messages")?;
    let find = |name: &str| {
        messages
            .iter()
            .filter(|message| message.pointer("/target/name") == Some(&Value::from(name)))
            .find_map(|message| message.get("executable")?.as_str())
            .map(PathBuf::from)
            .with_context(|| format!("cargo built no {name}"))
    };
    Ok(Binaries {
        ipblockd: find("ipblockd")?,
        ipblock_ctl: find("ipblock-ctl")?,
    })
}
