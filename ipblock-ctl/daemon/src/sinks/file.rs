//! Alerts in a file, one JSON object per line, with rotation.
//!
//! The file is opened for each batch, so a program that renames or removes it (logrotate) does not
//! have to signal the daemon.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use ipblock_policy::Diagnostic;
use nix::{
    fcntl::OFlag,
    unistd::{Uid, geteuid},
};

use super::{Batch, DeliveryError, Receiver};

/// Alerts per write: few, so that a file ends near its maximum size.
const BATCH: usize = 100;

/// Readable by its group, such as `adm`; alerts contain people's addresses.
const MODE: u32 = 0o640;

/// A file with its renamed predecessors.
pub(super) struct File {
    path: PathBuf,
    max_bytes: u64,
    keep: u32,
}

impl File {
    /// Returns a file that is not opened yet.
    pub(super) fn new(path: PathBuf, max_bytes: u64, keep: u32) -> Self {
        Self {
            path,
            max_bytes,
            keep,
        }
    }

    /// Returns the name of a renamed file; 1 is the newest.
    fn renamed(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }

    /// Makes room for a new file. After a failure at any step, a later call finds all existing
    /// files.
    fn rotate(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            rename_if_there(&self.renamed(number), &self.renamed(number + 1))?;
        }
        rename_if_there(&self.path, &self.renamed(1))
    }

    /// Opens the file, and creates it if it is missing. Follows no link, and accepts no file that
    /// another user has put there: otherwise a user with write access to the directory could make
    /// root write to any file, or read the alerts.
    fn open(&self) -> io::Result<fs::File> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(MODE)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NOCTTY).bits())
            .open(&self.path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("is not a regular file"));
        }
        if found.nlink() > 1 {
            let why = "has a second name (a hard link), and could be any file: remove one of them";
            return Err(io::Error::other(why));
        }
        let owner = Uid::from_raw(found.uid());
        if !owner.is_root() && owner != geteuid() {
            let why = format!("belongs to user {owner}, who could read the alerts: move it away");
            return Err(io::Error::other(why));
        }
        Ok(file)
    }

    fn write(&self, lines: &[u8]) -> Result<(), String> {
        let at = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOENT) => "its directory does not exist: make it".to_owned(),
            Some(libc::ELOOP) => {
                "is a symbolic link, which is not followed: write as `path` where it leads"
                    .to_owned()
            }
            _ => error.to_string(),
        };
        let mut file = self.open().map_err(at)?;
        let mut length = file.metadata().map_err(at)?.len();
        if length > 0 && length.saturating_add(lines.len() as u64) > self.max_bytes {
            self.rotate()
                .map_err(|error| format!("cannot be renamed: {error}"))?;
            file = self.open().map_err(at)?;
            length = file.metadata().map_err(at)?.len();
        }
        append(&mut file, length, lines).map_err(at)
    }
}

impl Receiver for File {
    fn batch(&self) -> usize {
        BATCH
    }

    fn deliver(&mut self, batch: &Batch) -> Result<(), DeliveryError> {
        let mut lines = Vec::new();
        for alert in batch.iter() {
            serde_json::to_writer(&mut lines, alert).map_err(|error| DeliveryError::Refused {
                detail: error.to_string(),
            })?;
            lines.push(b'\n');
        }
        self.write(&lines)
            .map_err(|why| DeliveryError::again(format!("{}: {why}", self.path.display())))
    }
}

/// Returns why nothing can be written to this path, and what to do, as far as that is known without
/// creating the file.
pub(crate) fn obstacle(path: &Path) -> Option<Diagnostic> {
    let directory = path.parent().unwrap_or(path);
    let shown = directory.display();
    let other = "write another `path`";
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => {
            return Some(Diagnostic::new(format!("{shown} is not a directory")).with_hint(other));
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Some(
                Diagnostic::new(format!("{shown} is not in a directory")).with_hint(other),
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some(
                Diagnostic::new(format!("the directory {shown} does not exist"))
                    .with_hint(format!("make it (mkdir -p {shown}), or {other}")),
            );
        }
        Ok(_) | Err(_) => {}
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Some(Diagnostic::new("it is not a regular file").with_hint(other))
        }
        Ok(_) | Err(_) => None,
    }
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Appends whole lines, or nothing. First ends a line that was truncated earlier (by a power loss),
/// so that it damages no other.
fn append(file: &mut fs::File, length: u64, lines: &[u8]) -> io::Result<()> {
    let mut text = Vec::new();
    if let Some(last) = length.checked_sub(1) {
        let mut byte = [b'\n'];
        file.read_at(&mut byte, last)?;
        if byte != [b'\n'] {
            text.push(b'\n');
        }
    }
    text.extend_from_slice(lines);
    file.write_all(&text).inspect_err(|_| {
        // A part may have been written. The file is still longer than before, so no other process
        // has emptied it meanwhile.
        if file.metadata().is_ok_and(|now| now.len() > length) {
            // If this fails too, the next write ends the truncated line.
            drop(file.set_len(length));
        }
    })
}
