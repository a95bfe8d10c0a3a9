//! Memory of the maps and the daemon.

use std::{collections::BTreeSet, fs, os::fd::AsRawFd as _, path::Path};

use anyhow::{Context as _, Result};
use ipblock_tests::bpf;

/// Returns MiB of everything pinned below a directory, each map and program once, as the kernel
/// accounts for it. For a trie this is its entries, without the intermediate nodes.
pub(crate) fn of_pinned(directory: &Path) -> Result<f64> {
    Ok(mib(bytes_of(directory, &mut BTreeSet::new())?))
}

/// Returns the maximum resident memory of a process in MiB.
pub(crate) fn peak_of_process(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = field(&status, "VmHWM:").context("no VmHWM")?;
    Ok(mib(kib * 1024))
}

fn bytes_of(directory: &Path, seen: &mut BTreeSet<String>) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            bytes += bytes_of(&entry.path(), seen)?;
            continue;
        }
        // A link has a pin as well, but its memory is negligible.
        let fd = bpf::open_pin(&entry.path())?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
        let id = info.lines().find(|line| line.starts_with("map_id:"));
        let id = id.or_else(|| info.lines().find(|line| line.starts_with("prog_id:")));
        if let (Some(id), Some(own)) = (id, field(&info, "memlock:"))
            && seen.insert(id.to_owned())
        {
            bytes += own;
        }
    }
    Ok(bytes)
}

/// The number behind this word at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "rounded when it is shown")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
