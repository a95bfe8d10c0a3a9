//! The injected faults, for docs/reliability.md.

use std::{env, fs, path::PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::stage::{Flow, Stage};

/// One line of docs/reliability.md.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    /// Its part of the page.
    pub(crate) part: &'a str,
    /// What was done to the daemon, the kernel or the machine.
    pub(crate) fault: &'a str,
    /// Number of injections.
    pub(crate) injected: u64,
    /// The assertions beyond the invariant.
    pub(crate) outcome: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    entry: Entry<'a>,
    packets: u64,
    blocked: u64,
    /// Packets with a wrong verdict, lost acknowledged changes, leftover pins: a test that finds
    /// one fails earlier.
    lost: u64,
}

/// Ends a test: accounts for every packet of its stage, and records the injected faults.
pub(crate) fn close(stage: Stage, entry: Entry<'_>) -> anyhow::Result<()> {
    record(entry, &stage.finish()?)
}

/// Records an entry after its test has asserted it, if `cargo xtask reliability` requests it.
pub(crate) fn record(entry: Entry<'_>, flow: &Flow) -> anyhow::Result<()> {
    let line = Line {
        entry,
        packets: flow.packets,
        blocked: flow.blocked,
        lost: 0,
    };
    let text = serde_json::to_string(&line)?;
    println!("{text}");
    let page = include_str!("../../../../docs/reliability.md");
    let directory = env::var_os("IPBLOCK_RELIABILITY").map(PathBuf::from);
    assert!(
        directory.is_some() || page.contains(&format!("| {} |", line.entry.fault)),
        "docs/reliability.md is not of this suite: `cargo xtask reliability` makes it"
    );
    let Some(directory) = directory else {
        return Ok(());
    };
    let name: String = format!("{} {}", line.entry.part, line.entry.fault)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let path = directory.join(format!("{name}.json"));
    fs::write(&path, text).with_context(|| path.display().to_string())
}
