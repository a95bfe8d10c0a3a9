//! Pinned objects that stay open: if another process removes or replaces a pin, this process can
//! restore it.

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use super::{error::DatapathError, sys};

/// An object with its pin.
#[derive(Debug)]
pub(super) struct HeldPin {
    path: PathBuf,
    object: OwnedFd,
    identity: Identity,
}

/// An id is unique only among objects of one kind.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    /// The kind of the descriptor: `anon_inode:bpf-map`, for example.
    kind: PathBuf,
    id: u32,
}

impl Identity {
    fn of(object: &OwnedFd) -> io::Result<Self> {
        Ok(Self {
            kind: fs::read_link(format!("/proc/self/fd/{}", object.as_raw_fd()))?,
            id: sys::object_id(object)?,
        })
    }
}

impl HeldPin {
    /// Opens a pin. (The descriptor of a new link is of another kind than one from an opened pin.)
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let object = sys::open_pin(&path)?;
        Ok(Self {
            identity: Identity::of(&object)?,
            path,
            object,
        })
    }

    /// Opens the existing ones of a directory's pins, in the order of `names`.
    pub(super) fn open_all<'a>(
        directory: &Path,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Self>, DatapathError> {
        let mut held = Vec::new();
        for name in names {
            let path = directory.join(name);
            match Self::open(path.clone()) {
                Ok(pin) => held.push(pin),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(DatapathError::pin(path, source)),
            }
        }
        Ok(held)
    }

    /// The path of the pin.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the pin to another path of the same bpffs, atomically.
    pub(super) fn move_to(&mut self, path: PathBuf) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::rename(&self.path, &path)?;
        self.path = path;
        Ok(())
    }

    /// The pin's file name.
    pub(super) fn name(&self) -> &str {
        let name = self.path.file_name();
        name.and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The kernel's id of the object, among objects of its kind.
    pub(super) fn id(&self) -> u32 {
        self.identity.id
    }

    /// Restores the pin if it is not this object. Returns whether that was necessary.
    pub(super) fn put_right(&self) -> Result<bool, DatapathError> {
        self.try_put_right()
            .map_err(|source| DatapathError::pin(self.path.clone(), source))
    }

    fn try_put_right(&self) -> io::Result<bool> {
        match sys::open_pin(&self.path) {
            Ok(found) if Identity::of(&found)? == self.identity => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Another object, or a file that is not an object.
            _ => remove_whatever(&self.path)?,
        }
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        sys::pin(&self.object, &self.path)?;
        Ok(true)
    }
}

impl AsFd for HeldPin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.object.as_fd()
    }
}

/// Restores pins in their order. Returns the number of restored pins and the first error.
pub(super) fn put_all_right<'a>(held: impl IntoIterator<Item = &'a HeldPin>) -> PutRight {
    let mut put = PutRight::default();
    for held in held {
        put.add(held.put_right().map(usize::from));
    }
    put
}

/// The result of a restoration of pins.
#[derive(Debug, Default)]
pub struct PutRight {
    /// Number of restored pins.
    pub count: usize,
    /// The first error.
    pub failed: Option<DatapathError>,
}

impl PutRight {
    fn add(&mut self, outcome: Result<usize, DatapathError>) {
        match outcome {
            Ok(count) => self.count += count,
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
    }

    /// Adds up two results.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.count += other.count;
        self.failed = self.failed.or(other.failed);
        self
    }
}

fn remove_whatever(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
