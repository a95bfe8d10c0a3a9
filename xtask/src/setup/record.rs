//! `.tools/ebpf-toolchain`: the tool chain that setup found, for ipblock-datapath's build script.
//!
//! Lines of `key=value`: `toolchain` (a name for `rustup run`), `linker` (absolute path),
//! `core` (`prebuilt` or `rust-src`) and `rustc` (the compiler's version, to notice an upgrade).

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::compiler::{Compiler, Toolchain};
use crate::command::output_of;

/// A tool chain that was proved to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub toolchain: Toolchain,
    pub linker: PathBuf,
    /// [`super::compiler::Version::text`] of the compiler.
    pub rustc: String,
}

impl Record {
    pub(crate) fn new(compiler: &Compiler, linker: &Path) -> Self {
        Self {
            toolchain: compiler.toolchain,
            linker: linker.to_path_buf(),
            rustc: compiler.version.text.clone(),
        }
    }

    /// The record in `file`; `None` when there is none or it cannot be understood, which setup
    /// answers by writing a new one.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>> {
        match fs::read_to_string(file) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes the record unless `file` says the same already: a new file time makes cargo run
    /// ipblock-datapath's build script again.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = self.to_text();
        if fs::read_to_string(file).is_ok_and(|old| old == text) {
            return Ok(());
        }
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Whether compiler and linker are still what was recorded, and still run.
    pub(crate) fn is_current(&self) -> bool {
        self.toolchain
            .version()
            .is_ok_and(|version| version.text == self.rustc)
            && output_of(Command::new(&self.linker).arg("--version")).is_ok()
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find_map(|(name, value)| (name == key).then_some(value))
        };
        Some(Self {
            toolchain: Toolchain::from_name(value("toolchain")?)?,
            linker: PathBuf::from(value("linker")?),
            rustc: value("rustc")?.to_owned(),
        })
    }

    fn to_text(&self) -> String {
        let core = if self.toolchain.has_prebuilt_core() {
            "prebuilt"
        } else {
            "rust-src"
        };
        format!(
            "# Written by `cargo xtask setup`, read by ipblock-ctl/datapath/build.rs.\n\
             toolchain={}\nlinker={}\ncore={core}\nrustc={}\n",
            self.toolchain.name(),
            self.linker.display(),
            self.rustc
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            toolchain: Toolchain::Distribution,
            linker: PathBuf::from("/checkout/.tools/llvm-22/bin/bpf-linker"),
            rustc: "rustc 1.96.0 (a=b) LLVM 22.1.8".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(Record::parse(&record().to_text()), Some(record()));
    }

    #[test]
    fn an_unknown_toolchain_or_a_missing_key_is_no_record() {
        let text = record().to_text();
        assert_eq!(Record::parse(&text.replace("ipblock-bpf", "other")), None);
        assert_eq!(Record::parse(&text.replace("linker=", "ld=")), None);
    }

    #[test]
    fn a_linker_that_is_gone_makes_the_record_stale() {
        assert!(!record().is_current());
    }
}
