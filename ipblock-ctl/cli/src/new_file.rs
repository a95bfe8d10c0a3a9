//! A named output file, often written as root: completely or not at all, only for its owner, and
//! never through a file that another user has put there.

use std::{
    fs::{self, File, FileType, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::error::CliError;

/// Bytes of a file that determine its kind.
const HEAD: u64 = 100;

/// A checked name for a new file.
pub(super) struct NewFile {
    path: PathBuf,
    /// Whether it replaces a file with this name.
    exists: bool,
}

impl NewFile {
    /// Rejects anything except a regular file, and one whose first bytes `is_ours` does not
    /// recognise, unless `force` allows its replacement.
    pub(super) fn at(
        path: &Path,
        force: bool,
        is_ours: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Self, CliError> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    path: path.to_owned(),
                    exists: false,
                });
            }
            Err(error) => return Err(failed(path)(error)),
        };
        if !found.is_file() {
            return Err(not_a_file(path, found));
        }
        // `mktemp` creates an empty one.
        if !force && !head(path).is_ok_and(|head| head.is_empty() || is_ours(&head)) {
            let path = path.to_owned();
            return Err(CliError::Exists { path });
        }
        Ok(Self {
            path: path.to_owned(),
            exists: true,
        })
    }

    /// Writes it. The name refers to the old file until the new one is on the disk.
    ///
    /// Until then the new file has a random name in the same directory, which another user cannot
    /// have prepared (`O_EXCL`), and mode 0600.
    pub(super) fn write(&self, content: &[u8]) -> Result<(), CliError> {
        self.try_write(content).map_err(failed(&self.path))
    }

    fn try_write(&self, content: &[u8]) -> io::Result<()> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".ipblock-")
            .tempfile_in(directory)
            .map_err(unnamed)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        let named = if self.exists {
            file.persist(&self.path)
        } else {
            file.persist_noclobber(&self.path)
        };
        named.map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    }
}

/// Removes the random name from the error, because the operator has not typed it.
fn unnamed(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((why, _)) => io::Error::new(error.kind(), why),
        None => error,
    }
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head)?;
    Ok(head)
}

fn not_a_file(path: &Path, found: FileType) -> CliError {
    let what = if found.is_symlink() {
        match fs::read_link(path) {
            Ok(target) => format!("a symbolic link to {}", target.display()),
            Err(_) => "a symbolic link".to_owned(),
        }
    } else if found.is_dir() {
        "a directory".to_owned()
    } else if found.is_fifo() {
        "a FIFO".to_owned()
    } else if found.is_socket() {
        "a socket".to_owned()
    } else {
        "a device".to_owned()
    };
    CliError::Usage {
        message: format!("{} is {what}, not a regular file", path.display()),
        hint: "give the name of a file, or `-` for standard output".to_owned(),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File {
        verb: "write",
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use ipblock_policy::Hinted;
    use nix::{sys::stat::Mode, unistd::mkfifo};

    use super::*;

    fn is_ours(head: &[u8]) -> bool {
        head.starts_with(b"ours")
    }

    fn write(path: &Path, force: bool) -> Result<(), CliError> {
        NewFile::at(path, force, is_ours)?.write(b"ours, new")
    }

    fn names(directory: &Path) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    #[test]
    fn a_new_file_is_its_owners_alone_and_nothing_is_left_beside_it() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("backup");
        for _ in 0..2 {
            write(&path, false)?;
            assert_eq!(fs::read(&path)?, b"ours, new");
            assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
            assert_eq!(names(directory.path())?, ["backup"]);
        }
        Ok(())
    }

    #[test]
    fn a_refusal_names_the_file_that_was_asked_for() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("none").join("backup");
        let error = write(&path, false).expect_err("no such directory");
        let said = "No such file or directory (os error 2)";
        assert_eq!(
            error.to_string(),
            format!("cannot write {}: {said}", path.display())
        );
        Ok(())
    }

    /// Earlier, the name with `.new` was opened, and an existing file or link there was written to.
    #[test]
    fn what_another_user_has_put_beside_it_is_not_written_through() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious")?;
        symlink(&victim, directory.path().join("backup.new"))?;
        write(&directory.path().join("backup"), false)?;
        assert_eq!(fs::read_to_string(&victim)?, "precious");
        assert_eq!(names(directory.path())?, ["backup", "backup.new", "victim"]);
        Ok(())
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_and_stays() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let victim = directory.path().join("victim");
        fs::write(&victim, "ours, old")?;
        let link = directory.path().join("link");
        symlink(&victim, &link)?;
        let fifo = directory.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU)?;
        for (path, what) in [
            (link.as_path(), "a symbolic link to "),
            (&fifo, "a FIFO"),
            (directory.path(), "a directory"),
            (Path::new("/dev/null"), "a device"),
            (Path::new("/dev/stdout"), "a symbolic link to "),
        ] {
            for force in [false, true] {
                let error = write(path, force).expect_err("not a file");
                assert!(error.to_string().contains(what), "{error}");
                assert_eq!(error.exit_code(), 2);
                let hint = error.hint().unwrap_or_default();
                assert!(hint.contains("`-` for standard output"), "{hint}");
            }
        }
        assert_eq!(fs::read_to_string(&victim)?, "ours, old");
        assert!(fs::symlink_metadata(&fifo)?.file_type().is_fifo());
        Ok(())
    }

    #[test]
    fn a_file_of_something_else_is_replaced_by_force_alone() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("notes");
        fs::write(&path, "precious")?;
        let error = write(&path, false).expect_err("another file");
        assert_eq!(error.exit_code(), 3);
        assert!(
            error.hint().unwrap_or_default().contains("--force"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path)?, "precious");
        write(&path, true)?;
        assert_eq!(fs::read(&path)?, b"ours, new");
        fs::write(&path, "")?;
        write(&path, false)?;
        assert_eq!(fs::read(&path)?, b"ours, new");
        Ok(())
    }

    #[test]
    fn a_file_that_appears_meanwhile_stays() -> anyhow::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("backup");
        let new = NewFile::at(&path, false, is_ours)?;
        fs::write(&path, "precious")?;
        assert!(new.write(b"ours, new").is_err());
        assert_eq!(fs::read_to_string(&path)?, "precious");
        assert_eq!(names(directory.path())?, ["backup"]);
        Ok(())
    }
}
