//! The environments of the processes that led to this one: sudo and su remove variables of a session
//! from the environment that they pass on.

use std::{fs, iter, path::Path};

/// A longer chain of ancestors is a loop of process ids that were reused meanwhile.
const MAX_ANCESTORS: usize = 64;

/// Returns the environment of each ancestor but process 1, the nearest first; empty where it cannot
/// be read.
pub(crate) fn environments(proc: &Path, process: u32) -> impl Iterator<Item = Vec<u8>> {
    let first = parent(proc, process);
    iter::successors(first, move |process| parent(proc, *process))
        .take_while(|process| *process > 1)
        .take(MAX_ANCESTORS)
        .map(move |process| {
            fs::read(proc.join(process.to_string()).join("environ")).unwrap_or_default()
        })
}

fn parent(proc: &Path, process: u32) -> Option<u32> {
    let status = fs::read(proc.join(process.to_string()).join("status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}
