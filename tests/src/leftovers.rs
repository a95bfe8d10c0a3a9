//! Names with the process id of their creator, so that the next run can detect what a killed one
//! left.

use std::{
    env,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Where iproute2 keeps named namespaces.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// Prefix of everything that the harness creates in shared places.
const PREFIX: &str = "ipbt";

/// Returns a unique name on this machine: `ipbt-PID-COUNTER`.
pub(crate) fn unique_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}-{}-{counter}", process::id())
}

/// Returns names in `dir` whose creator no longer runs.
pub(crate) fn leftovers(dir: &Path) -> Vec<String> {
    made_by(dir, |pid| !Path::new("/proc").join(pid).exists())
}

/// Returns namespaces, mounts and directories that this process created and that still exist.
///
/// Empty after everything was dropped, unless something could not be removed.
#[must_use]
pub fn left_behind() -> Vec<PathBuf> {
    let own = process::id().to_string();
    [PathBuf::from(NETNS_DIR), env::temp_dir()]
        .iter()
        .flat_map(|dir| {
            let names = made_by(dir, |pid| pid == own);
            names.into_iter().map(|name| dir.join(name))
        })
        .collect()
}

/// Returns names of ours in `dir` whose creator's process id is `wanted`.
fn made_by(dir: &Path, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let Ok(entries) = dir.read_dir() else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| maker(name).is_some_and(&wanted))
        .collect()
}

/// The process id in a name of ours.
fn maker(name: &str) -> Option<&str> {
    let mut parts = name.split('-');
    let (prefix, pid) = (parts.next()?, parts.next()?);
    (prefix == PREFIX && pid.parse::<u32>().is_ok()).then_some(pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_processes_are_leftovers() {
        let dir = tempfile::tempdir().unwrap();
        let dead = format!("ipbt-{}-3", i32::MAX);
        for name in [dead.as_str(), &unique_name(), "ipbt-x-1", "eth-1-1"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(leftovers(dir.path()), [dead]);
    }
}
