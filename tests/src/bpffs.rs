//! A BPF file system that nobody else sees pins in.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Once,
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
};

use crate::{
    Privileged,
    leftovers::{leftovers, unique_name},
};

/// A bpffs mounted on a directory of its own. `Drop` unmounts it, which removes every pin in it:
/// links that nothing else holds are detached.
#[derive(Debug)]
pub struct Bpffs {
    path: PathBuf,
}

impl Bpffs {
    /// Mounts a fresh one below the directory for temporary files.
    pub fn mount(_root: Privileged) -> anyhow::Result<Self> {
        static SWEEP: Once = Once::new();
        let parent = std::env::temp_dir();
        SWEEP.call_once(|| {
            for name in leftovers(&parent) {
                remove_leftover(&parent.join(name));
            }
        });
        let path = parent.join(unique_name());
        fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        let mounted = mount(
            Some("bpf"),
            &path,
            Some("bpf"),
            MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC,
            Some("mode=0700"),
        );
        if let Err(error) = mounted {
            fs::remove_dir(&path)?;
            return Err(error).with_context(|| format!("mount bpffs on {}", path.display()));
        }
        Ok(Self { path })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Removes what a killed run left in the directory for temporary files: a bpffs, or a directory that
/// is no mount.
#[expect(clippy::print_stderr, reason = "nobody else to tell")]
fn remove_leftover(path: &Path) {
    let gone = match umount2(path, MntFlags::MNT_DETACH) {
        Ok(()) | Err(Errno::EINVAL) => fs::remove_dir_all(path),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = gone {
        eprintln!("leftover {} stays: {error}", path.display());
    }
}

impl Drop for Bpffs {
    #[expect(clippy::print_stderr, reason = "Drop has nobody else to tell")]
    fn drop(&mut self) {
        // Lazily: a process that is just dying may still have its working directory in it.
        let gone = umount2(&self.path, MntFlags::MNT_DETACH)
            .map_err(anyhow::Error::from)
            .and_then(|()| Ok(fs::remove_dir(&self.path)?));
        if let Err(error) = gone {
            eprintln!("bpffs {} stays behind: {error:#}", self.path.display());
        }
    }
}
