//! Control groups that limit the memory of a daemon.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use ipblock_tests::{DEADLINE, Privileged, wait_for};

/// A private control group that limits memory, including that of kernel maps.
pub(crate) struct Group {
    path: PathBuf,
    limit: &'static str,
}

impl Group {
    /// A group without a limit yet.
    pub(crate) fn new(_root: Privileged, name: &str) -> anyhow::Result<Self> {
        let name = format!("ipbt-{}-{name}", std::process::id());
        let (first, second) = ("/sys/fs/cgroup/memory", "/sys/fs/cgroup");
        let (parent, limit) = if PathBuf::from(first).is_dir() {
            (first, "memory.limit_in_bytes")
        } else {
            let control = PathBuf::from(second).join("cgroup.subtree_control");
            // It stays on: other groups may have come to rely on it.
            fs::write(&control, "+memory").with_context(|| control.display().to_string())?;
            (second, "memory.max")
        };
        sweep(parent);
        let path = PathBuf::from(parent).join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path, limit })
    }

    /// Moves a process into it; its earlier memory is not counted here.
    pub(crate) fn take_in(&self, pid: u32) -> anyhow::Result<()> {
        Ok(fs::write(self.path.join("cgroup.procs"), pid.to_string())?)
    }

    /// Limits what its processes take from now on.
    pub(crate) fn limit(&self, bytes: u64) -> anyhow::Result<()> {
        Ok(fs::write(self.path.join(self.limit), bytes.to_string())?)
    }
}

/// Removes groups that killed runs left: those that are empty.
fn sweep(parent: &str) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("ipbt-") {
            // One that is in use stays.
            drop(fs::remove_dir(entry.path()));
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have to be gone: they are the daemon's, which is dropped first.
        drop(wait_for(DEADLINE, "the control group to be empty", || {
            fs::remove_dir(&self.path).ok()
        }));
    }
}
