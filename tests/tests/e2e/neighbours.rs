//! What the programs beside ipblock really print: each is started with a configuration of its own, in
//! a namespace and a folder of its own, and what is read of its output is what it holds.

mod crowdsec;
mod fail2ban;
mod firewalls;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::Context as _;
use ipblock_policy::{
    address::{aggregate, push_short},
    exchange::{FileFormat, Parsed, ReadOptions, read_with},
};
use ipblock_tests::{binaries, report_not_run};

/// Returns the folder of an unpacked package (`xtask/src/setup/neighbours.rs`), or reports why the
/// test cannot run.
fn unpacked(package: &str) -> Option<PathBuf> {
    let above = |path: &Path| path.parent().map(Path::to_owned);
    let target = above(&binaries().ipblockd).and_then(|profile| above(&profile));
    let folder = target.map(|target| target.join("neighbours").join(package));
    if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
        return Some(folder);
    }
    missing(&format!(
        "{package} is not unpacked in target/neighbours\nhint: cargo xtask test"
    ));
    None
}

/// Whether a program runs, or reports why the test cannot run.
fn has_program(program: &str) -> bool {
    let runs = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if runs.is_ok() {
        return true;
    }
    missing(&format!("there is no {program}\nhint: cargo xtask test"));
    false
}

fn missing(why: &str) {
    let required = std::env::var("IPBLOCK_REQUIRE_PRIVILEGED");
    assert!(required.as_deref() != Ok("1"), "{why}");
    report_not_run(why);
}

/// A server that ends with the test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already needs no signal.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end and returns what it printed.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Reads a text, whose format is found, as a list without rejected entries.
#[track_caller]
fn taken(text: &str, format: FileFormat, sets: &[&str]) -> Parsed {
    let options = ReadOptions {
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
        ..ReadOptions::default()
    };
    let parsed = read_with(text.as_bytes(), &options).expect("a text that can be read");
    assert_eq!(parsed.format, format, "{text}");
    assert_eq!(parsed.refused, [], "{text}");
    parsed
}

/// The prefixes of a list, as commands print them.
fn prefixes(parsed: &Parsed) -> BTreeSet<String> {
    let all = aggregate(parsed.elements.iter().map(|element| element.prefix));
    let shown = all.into_iter().map(|prefix| {
        let mut text = String::new();
        push_short(&mut text, prefix);
        text
    });
    shown.collect()
}

/// The number of entries that are passed over for this reason.
fn passed_over(parsed: &Parsed, what: &str) -> u64 {
    let found = parsed.passed_over.iter().find(|place| place.what == what);
    found.map_or(0, |place| place.count)
}

fn set<const N: usize>(texts: [&str; N]) -> BTreeSet<String> {
    texts.into_iter().map(str::to_owned).collect()
}
