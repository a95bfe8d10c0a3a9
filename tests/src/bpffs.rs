//! Private file systems for tests: a bpffs whose pins are invisible to others, and a disk that can
//! be full.

use std::{
    fs::{self, File},
    io::{self, Write as _},
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

/// A bpffs mounted on its own directory. `Drop` unmounts it, which removes every pin in it: links
/// without another holder are detached.
#[derive(Debug)]
pub struct Bpffs(Mounted);

/// A file system in memory with a limited size.
#[derive(Debug)]
pub struct TinyDisk(Mounted);

/// A file system on a directory of its own, below that for temporary files.
#[derive(Debug)]
struct Mounted {
    path: PathBuf,
}

impl Bpffs {
    /// Mounts a fresh one.
    pub fn mount(_root: Privileged) -> anyhow::Result<Self> {
        let mounted = Mounted::empty()?;
        mounted.share()?;
        mounted.bpffs()?;
        Ok(Self(mounted))
    }

    /// Returns the mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Unmounts it, with every pin in it. The directory stays.
    pub fn unmount(&self) -> anyhow::Result<()> {
        Ok(umount2(&self.0.path, MntFlags::MNT_DETACH)?)
    }

    /// Mounts an empty one where it was unmounted.
    pub fn mount_again(&self) -> anyhow::Result<()> {
        self.0.bpffs()
    }
}

impl TinyDisk {
    /// Mounts an empty one.
    pub fn mount(_root: Privileged, bytes: u64) -> anyhow::Result<Self> {
        let mounted = Mounted::empty()?;
        mounted.mount("tmpfs", MsFlags::empty(), &format!("size={bytes}"))?;
        Ok(Self(mounted))
    }

    /// Returns the mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Makes it read-only, or writable again.
    pub fn set_read_only(&self, read_only: bool) -> anyhow::Result<()> {
        let flag = if read_only {
            MsFlags::MS_RDONLY
        } else {
            MsFlags::empty()
        };
        let none = None::<&str>;
        let flags = MsFlags::MS_REMOUNT | flag;
        Ok(mount(none, &self.0.path, none, flags, none)?)
    }

    fn filler(&self) -> PathBuf {
        self.0.path.join("filler")
    }

    /// Fills it to its last page.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut filler = File::options()
            .create(true)
            .append(true)
            .open(self.filler())?;
        while filler.write_all(&[0; 4096]).is_ok() {}
        Ok(())
    }

    /// Removes what [`TinyDisk::fill`] wrote.
    pub fn make_room(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.filler())?)
    }
}

impl Mounted {
    /// A directory with nothing mounted yet.
    fn empty() -> anyhow::Result<Self> {
        static SWEEP: Once = Once::new();
        let parent = std::env::temp_dir();
        SWEEP.call_once(|| {
            for name in leftovers(&parent) {
                remove_leftover(&parent.join(name));
            }
        });
        let path = parent.join(unique_name());
        fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self { path })
    }

    /// Makes mounts here visible in the mount namespaces of daemons as well, even if the machine's
    /// own mounts are not shared.
    fn share(&self) -> anyhow::Result<()> {
        let none = None::<&str>;
        let path = Some(self.path.as_path());
        mount(path, &self.path, none, MsFlags::MS_BIND, none)?;
        Ok(mount(none, &self.path, none, MsFlags::MS_SHARED, none)?)
    }

    fn bpffs(&self) -> anyhow::Result<()> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        self.mount("bpf", flags, "mode=0700")
    }

    fn mount(&self, kind: &str, flags: MsFlags, options: &str) -> anyhow::Result<()> {
        mount(Some(kind), &self.path, Some(kind), flags, Some(options))
            .with_context(|| format!("mount {kind} on {}", self.path.display()))
    }
}

/// Removes what a killed run left in the directory for temporary files: a bpffs, or a directory
/// without a mount.
#[expect(clippy::print_stderr, reason = "nobody else to tell")]
fn remove_leftover(path: &Path) {
    if let Err(error) = unmount_all(path).and_then(|()| fs::remove_dir_all(path)) {
        eprintln!("leftover {} stays: {error}", path.display());
    }
}

/// Unmounts all mounts at this path.
fn unmount_all(path: &Path) -> io::Result<()> {
    loop {
        match umount2(path, MntFlags::MNT_DETACH) {
            Ok(()) => {}
            // No mount any more.
            Err(Errno::EINVAL) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Drop for Mounted {
    #[expect(clippy::print_stderr, reason = "Drop has nobody else to tell")]
    fn drop(&mut self) {
        // Lazily: a process that is just dying may still have its working directory in it.
        if let Err(error) = unmount_all(&self.path).and_then(|()| fs::remove_dir(&self.path)) {
            eprintln!("{} stays behind: {error:#}", self.path.display());
        }
    }
}
