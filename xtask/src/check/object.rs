//! The XDP program's object is reproducible: the same sources make the same bytes in any directory.
//!
//! So everyone with the sources can verify a daemon: `ipblock-ctl status` and `ipblockd --version`
//! print the hash that this check prints.

use std::{env, fs, os::unix::fs::symlink, path::Path, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{clippy, sources};
use crate::{
    command::{output_of, root, say, target_dir},
    setup,
};

/// The object in a build, and the tools that made it.
struct Built {
    object: PathBuf,
    script: PathBuf,
}

/// Builds the object once more, from a copy of the sources, and compares.
pub(crate) fn reproducible() -> Result<()> {
    if env::var_os("IPBLOCK_EBPF_OBJECT").is_some() {
        if env::var_os("IPBLOCK_REQUIRE_PRIVILEGED").is_some() {
            bail!("IPBLOCK_EBPF_OBJECT is set, and nothing can be compared with its object");
        }
        say(
            "check",
            "IPBLOCK_EBPF_OBJECT: an object from elsewhere, nothing to compare",
        );
        return Ok(());
    }
    let built = embedded()?;
    let target = target_dir()?;
    let copy = tempfile::Builder::new()
        .prefix("elsewhere-")
        .tempdir_in(&target)
        .with_context(|| format!("cannot make a directory in {}", target.display()))?;
    copy_sources(&copy.path().join("sources"))?;
    copy_compiler_plugins(&target, &copy.path().join("out"))?;
    let again = build_again(&built.script, copy.path())?;
    let (first, second) = (sha256(&built.object)?, sha256(&again)?);
    if first != second {
        bail!(
            "the object depends on where it is built: sha256 {first} here, {second} elsewhere\n\
             hint: `strings {}` shows paths of this machine; ipblock-ctl/datapath/build.rs gives them \
             other names",
            built.object.display()
        );
    }
    say("check", &format!("object sha256 {first}"));
    Ok(())
}

/// What the lints have just built.
fn embedded() -> Result<Built> {
    // The same command, so that nothing is built for it.
    let messages = output_of(&mut clippy(&["--message-format=json", "--quiet"]))?;
    let messages: Vec<Value> = messages
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("cargo's messages")?;
    let of_package = |message: &&Value| {
        let id = message.get("package_id").and_then(Value::as_str);
        id.is_some_and(|id| id.contains("/ipblock-ctl/datapath#"))
    };
    let text = |pointer: &'static str| {
        let mut own = messages.iter().filter(of_package);
        own.find_map(|message| message.pointer(pointer)?.as_str())
    };
    let out_dir = text("/out_dir").context("ipblock-datapath has no build script")?;
    let is_script =
        |message: &&Value| message.pointer("/target/kind/0") == Some(&Value::from("custom-build"));
    let script = messages
        .iter()
        .filter(of_package)
        .filter(is_script)
        .find_map(|message| message.pointer("/filenames/0")?.as_str())
        .context("cargo does not tell where the build script of ipblock-datapath is")?;
    Ok(Built {
        object: Path::new(out_dir).join("ipblock"),
        script: PathBuf::from(script),
    })
}

/// Every tracked file, and what `setup` has recorded.
fn copy_sources(to: &Path) -> Result<()> {
    for source in sources::tracked(&root())? {
        let path = to.join(&source.path);
        let written = match path.parent() {
            Some(directory) => fs::create_dir_all(directory),
            None => Ok(()),
        };
        written
            .and_then(|()| fs::write(&path, source.text))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let tools = setup::tools_dir();
    if tools.exists() {
        symlink(&tools, to.join(".tools"))
            .with_context(|| format!("cannot link to {}", tools.display()))?;
    }
    Ok(())
}

/// Macros and build scripts run on this machine and do not affect the object's bytes. To rebuild
/// them would take several times as long as the rest.
fn copy_compiler_plugins(target: &Path, out_dir: &Path) -> Result<()> {
    let built = target.join("debug/ebpf/target/release");
    let to = out_dir.join("target");
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    if !built.exists() {
        return Ok(());
    }
    // With their times, from which cargo knows that they are up to date.
    output_of(Command::new("cp").arg("-a").args([&built, &to])).map(drop)
}

/// Runs the build script as cargo does, with the copy in the workspace's place.
fn build_again(script: &Path, copy: &Path) -> Result<PathBuf> {
    let out_dir = copy.join("out");
    let crate_dir = copy.join("sources/ipblock-ctl/datapath");
    let endian = if cfg!(target_endian = "big") {
        "big"
    } else {
        "little"
    };
    let said = output_of(
        Command::new(script)
            .current_dir(&crate_dir)
            .env("CARGO_MANIFEST_DIR", &crate_dir)
            .env("OUT_DIR", &out_dir)
            .env("CARGO_CFG_TARGET_ENDIAN", endian)
            .env("CARGO_CFG_TARGET_ARCH", env::consts::ARCH)
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    ensure!(!said.contains("cargo::error"), "{said}");
    Ok(out_dir.join("ipblock"))
}

fn sha256(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let hash = Sha256::digest(bytes);
    let in_hexadecimal = |text: String, byte: &u8| text + &format!("{byte:02x}");
    Ok(hash.iter().fold(String::new(), in_hexadecimal))
}
