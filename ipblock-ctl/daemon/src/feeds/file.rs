//! Reading list files: only below the lists directory, only regular files, only so large, and never
//! from a request that did not ask for it.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_policy::{
    Classified, Hinted, ListElement, ListFile, ListName,
    exchange::{self, ContentError},
    text::counted,
};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
};
use thiserror::Error;

/// Largest list file, in bytes: some two million addresses with notes.
const MAX_FILE: u64 = 64 << 20;

/// Why a list file gives no content.
#[derive(Debug, Error)]
pub(crate) enum ListReadError {
    /// The lists directory or the file cannot be opened or read.
    #[error("{path}: {source}", path = .path.display())]
    Unreadable {
        /// The file, or the lists directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A symbolic link leads out of the lists directory.
    #[error("{path}: leads out of {directory}", path = .path.display(), directory = .directory.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// The lists directory.
        directory: PathBuf,
    },
    /// A directory, a pipe, a device.
    #[error("{path}: not a regular file", path = .path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// More than [`MAX_FILE`] bytes.
    #[error("{path}: larger than {MAX_FILE} bytes", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Something writes to it.
    #[error("{path}: was written while it was read", path = .path.display())]
    Written {
        /// The file.
        path: PathBuf,
    },
    /// Not UTF-8.
    #[error("{path}: not text in UTF-8, from byte {valid} on", path = .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// How many bytes are.
        valid: usize,
    },
    /// A line that is no address, or more than a filter holds.
    #[error("{path}: {error}", path = .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ContentError,
    },
    /// No address in it.
    #[error("{path}: holds no address", path = .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Much less than before.
    #[error("{path}: has shrunk from {prefixes} to {now}, by more than {percent} %",
        path = .path.display(), prefixes = counted(.before, "prefix", "prefixes"),
        percent = max_shrink * 100.0)]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// The list.
        list: ListName,
        /// Prefixes that the last good content has.
        before: usize,
        /// Prefixes that the file has.
        now: usize,
        /// The share that may go at once.
        max_shrink: f64,
    },
}

impl Classified for ListReadError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Hinted for ListReadError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => return None,
            Self::Outside { directory, .. } => format!(
                "put the file itself into {}, or link to a place inside it by a relative path",
                directory.display()
            ),
            Self::NotRegular { .. } => "write the addresses into a plain file".to_owned(),
            Self::TooLarge { .. } => "split it into several lists".to_owned(),
            Self::Written { .. } => {
                "write a file beside it and rename that to it, then try again".to_owned()
            }
            Self::NotText { .. } => "write it in UTF-8".to_owned(),
            Self::Content { error, .. } => return error.hint.clone(),
            Self::Empty { .. } => "write an address, a prefix or a range a line".to_owned(),
            Self::Shrunk { list, .. } => {
                format!("if that is right: ipblock-ctl list accept {list}")
            }
        })
    }
}

impl ListReadError {
    /// As the answer to a request that named the list.
    pub(crate) fn of_list(&self, list: &ListName) -> ApiError {
        let mut error = ApiError::of(self);
        error.message = format!("list `{list}`: {self}");
        error
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: (u64, u64),
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// When its inode changed last: a write within one tick of the clock, or with its time set back.
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The present state of a list file.
pub(crate) fn stamp(directory: &Path, file: &ListFile) -> Result<Stamp, ListReadError> {
    open(directory, file).map(|(_, metadata)| Stamp::from(&metadata))
}

/// Reads a list file; what it holds is never empty.
pub(crate) fn read(
    directory: &Path,
    file: &ListFile,
) -> Result<(Stamp, Vec<ListElement>), ListReadError> {
    let path = directory.join(file.as_path());
    let (open, metadata) = open(directory, file)?;
    let before = Stamp::from(&metadata);
    if before.size > MAX_FILE {
        return Err(ListReadError::TooLarge { path });
    }
    let unreadable = |source| ListReadError::Unreadable {
        path: path.clone(),
        source,
    };
    let mut bytes = Vec::new();
    let mut bounded = (&open).take(MAX_FILE + 1);
    bounded.read_to_end(&mut bytes).map_err(unreadable)?;
    let after = Stamp::from(&open.metadata().map_err(unreadable)?);
    // Where several writers are at work, half a file may look like a whole one.
    if before != after || bytes.len() as u64 != before.size {
        return Err(ListReadError::Written { path });
    }
    let content = |error| ListReadError::Content {
        path: path.clone(),
        error,
    };
    exchange::refuse_binary(&bytes).map_err(content)?;
    let text = String::from_utf8(bytes).map_err(|error| ListReadError::NotText {
        path: path.clone(),
        valid: error.utf8_error().valid_up_to(),
    })?;
    let elements = exchange::read_list(&text).map_err(content)?;
    if elements.is_empty() {
        return Err(ListReadError::Empty { path });
    }
    Ok((before, elements))
}

/// Opens a regular file without ever leaving the directory, whatever links stand in the way.
fn open(directory: &Path, file: &ListFile) -> Result<(File, Metadata), ListReadError> {
    let path = directory.join(file.as_path());
    let unreadable = |path: &Path, source: io::Error| ListReadError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let root = File::open(directory).map_err(|source| unreadable(directory, source))?;
    // Opening a pipe must not wait for a writer.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags).resolve(beneath);
    let opened = match openat2(&root, file.as_path(), how) {
        Ok(opened) => File::from(opened),
        Err(Errno::EXDEV) => {
            let directory = directory.to_owned();
            return Err(ListReadError::Outside { path, directory });
        }
        Err(errno) => return Err(unreadable(&path, errno.into())),
    };
    let metadata = opened
        .metadata()
        .map_err(|source| unreadable(&path, source))?;
    if !metadata.is_file() {
        return Err(ListReadError::NotRegular { path });
    }
    Ok((opened, metadata))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tempfile::TempDir;

    use super::*;

    fn file(path: &str) -> ListFile {
        path.parse().unwrap()
    }

    #[track_caller]
    fn refused(directory: &TempDir, path: &str) -> String {
        read(directory.path(), &file(path)).unwrap_err().to_string()
    }

    #[test]
    fn a_file_below_the_directory_is_read_also_through_a_link_that_stays_inside() {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("feeds")).unwrap();
        fs::write(directory.path().join("feeds/a.txt"), "192.0.2.1\n").unwrap();
        symlink("feeds/a.txt", directory.path().join("b.txt")).unwrap();
        for path in ["feeds/a.txt", "b.txt"] {
            let (seen, elements) = read(directory.path(), &file(path)).unwrap();
            assert_eq!(elements.len(), 1);
            assert_eq!(seen, stamp(directory.path(), &file(path)).unwrap());
        }
    }

    #[test]
    fn nothing_outside_of_the_directory_is_read() {
        let outside = TempDir::new().unwrap();
        fs::write(outside.path().join("a.txt"), "192.0.2.1\n").unwrap();
        let directory = TempDir::new().unwrap();
        symlink(outside.path().join("a.txt"), directory.path().join("file")).unwrap();
        symlink(outside.path(), directory.path().join("folder")).unwrap();
        let up = outside.path().file_name().unwrap();
        symlink(Path::new("..").join(up), directory.path().join("up")).unwrap();
        symlink("/proc/self/cwd/hosts", directory.path().join("magic")).unwrap();
        for path in ["file", "folder/a.txt", "up/a.txt", "magic"] {
            let said = refused(&directory, path);
            assert!(said.contains("leads out of"), "{path}: {said}");
        }
    }

    #[test]
    fn what_is_no_regular_text_file_with_an_address_says_what_it_is() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("comments"), "# nothing\n").unwrap();
        fs::write(at("latin"), b"192.0.2.1 caf\xe9\n").unwrap();
        fs::write(at("bad"), "192.0.2.1\n192.0.2.1/24\n").unwrap();
        fs::write(at("gzip"), b"\x1f\x8b\x08\0\xff").unwrap();
        fs::write(at("utf16"), b"\xff\xfe1\x009\x002\0").unwrap();
        fs::write(at("timed"), "add a 192.0.2.1 timeout 60\n").unwrap();
        let large = File::create(at("large")).unwrap();
        large.set_len(MAX_FILE + 1).unwrap();
        symlink("loop", at("loop")).unwrap();
        for (path, part) in [
            ("folder", "not a regular file"),
            ("pipe", "not a regular file"),
            ("empty", "holds no address"),
            ("comments", "holds no address"),
            ("latin", "not text in UTF-8, from byte 13 on"),
            ("bad", "line 2: `192.0.2.1/24`: host bits set"),
            ("gzip", "gzip data"),
            ("utf16", "text in UTF-16"),
            ("timed", "1 entry has an end"),
            ("large", "larger than 67108864 bytes"),
            ("none", "No such file"),
            ("loop", "symbolic links"),
        ] {
            let said = refused(&directory, path);
            assert!(said.contains(part) && said.contains(path), "{path}: {said}");
        }
        let gone = directory.path().join("gone");
        let said = read(&gone, &file("a")).unwrap_err().to_string();
        assert!(said.starts_with(&gone.display().to_string()), "{said}");
    }

    #[test]
    fn a_file_that_is_written_again_has_another_stamp() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "192.0.2.1\n").unwrap();
        let first = stamp(directory.path(), &file("a")).unwrap();
        fs::write(directory.path().join("b"), "192.0.2.2\n").unwrap();
        fs::rename(directory.path().join("b"), &path).unwrap();
        assert_ne!(first, stamp(directory.path(), &file("a")).unwrap());
    }
}
