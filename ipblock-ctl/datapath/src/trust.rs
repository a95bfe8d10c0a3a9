//! Checks that only root and this process's user can change the directories of pins.
//!
//! A bpffs that was mounted without options allows every user to create directories in it (mode
//! 1777). The owner of `ipblock` there could move the pins away, and the filter would end with this
//! process.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::unistd::{AccessFlags, Uid, User, access, getegid, geteuid};

use super::error::{DatapathError, mount_command};

const STICKY: u32 = 0o1000;

/// Rejects a bpffs in which another user could replace the directory of this one. With the sticky
/// bit other users can create entries, but cannot move or remove ours.
pub(super) fn require_own_mount(bpffs: &Path) -> Result<(), DatapathError> {
    let found = look(bpffs)?;
    let mode = found.permissions().mode();
    let others_may_write = mode & STICKY == 0 && is_writable_to_others(&found);
    require(bpffs, bpffs, &found, others_may_write)
}

/// Rejects a directory of pins that another user owns or can write to. A missing one is fine.
pub(super) fn require_own_directory(directory: &Path, bpffs: &Path) -> Result<(), DatapathError> {
    match look(directory) {
        Ok(found) if !found.is_dir() => Err(DatapathError::Untrusted {
            path: directory.to_owned(),
            problem: "is not a directory".to_owned(),
            cure: "find out who put it there, and move it away".to_owned(),
        }),
        Ok(found) => require(directory, bpffs, &found, is_writable_to_others(&found)),
        Err(DatapathError::Pin { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Rejects a directory in which this process cannot create an entry.
pub(super) fn require_writable(directory: &Path) -> Result<(), DatapathError> {
    let mode = AccessFlags::W_OK | AccessFlags::X_OK;
    access(directory, mode).map_err(|errno| DatapathError::pin(directory, errno.into()))
}

fn look(path: &Path) -> Result<Metadata, DatapathError> {
    fs::symlink_metadata(path).map_err(|source| DatapathError::pin(path, source))
}

fn is_writable_to_others(found: &Metadata) -> bool {
    let mode = found.permissions().mode();
    let own_group = found.gid() == 0 || found.gid() == getegid().as_raw();
    mode & 0o002 != 0 || (mode & 0o020 != 0 && !own_group)
}

fn require(
    path: &Path,
    bpffs: &Path,
    found: &Metadata,
    others_may_write: bool,
) -> Result<(), DatapathError> {
    let owner = Uid::from_raw(found.uid());
    let untrusted = |problem, cure| {
        Err(DatapathError::Untrusted {
            path: path.to_owned(),
            problem,
            cure,
        })
    };
    let shown = path.display();
    let me = named(geteuid());
    if !owner.is_root() && owner != geteuid() {
        let owner = named(owner);
        return untrusted(
            format!(
                "belongs to {owner}, and not to root or {me}: that user could remove the filter"
            ),
            format!(
                "if an ipblockd of {owner} filters by it, run ipblockd as that user; if not, remove \
                 {shown} and keep others out of the bpffs: `{}`",
                mount_command(bpffs)
            ),
        );
    }
    if others_may_write {
        return untrusted(
            "can be changed by other users, who could remove the filter".to_owned(),
            format!("`chmod go-w {shown}`, after a look at what is in it (`ls -lR {shown}`)"),
        );
    }
    Ok(())
}

fn named(user: Uid) -> String {
    let name = User::from_uid(user).ok().flatten().map(|user| user.name);
    match name {
        Some(name) => format!("user {user} ({name})"),
        None => format!("user {user}"),
    }
}

#[cfg(test)]
mod tests {
    use ipblock_policy::Hinted;

    use super::*;

    fn problem(directory: &Path) -> Option<String> {
        let found = require_own_directory(directory, Path::new("/sys/fs/bpf"));
        found
            .err()
            .map(|error| format!("{error}; {}", error.hint().unwrap()))
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let set = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for fine in [0o700, 0o711, 0o755] {
            set(fine);
            assert_eq!(problem(path), None, "{fine:o}");
        }
        for bad in [0o777, 0o1777, 0o702] {
            set(bad);
            let problem = problem(path).unwrap();
            assert!(problem.contains("changed by other users"), "{problem}");
            assert!(problem.contains("chmod go-w"), "{problem}");
        }
        // For the mount itself the sticky bit is enough.
        set(0o1777);
        assert!(require_own_mount(path).is_ok());
        set(0o777);
        assert!(require_own_mount(path).is_err());
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_obstacle() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(problem(&directory.path().join("ipblock")), None);
        fs::write(directory.path().join("file"), "").unwrap();
        let problem = problem(&directory.path().join("file")).unwrap();
        assert!(problem.contains("is not a directory"), "{problem}");
    }
}
