//! Pinned objects, held open: a pin that somebody removes, or replaces by another object, can be put
//! back as long as this process lives.

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

/// Ids count each kind of object apart.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    /// What the descriptor is said to be: `anon_inode:bpf-map`, say.
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
    /// What is pinned at a path. (The descriptor that made a link is of another kind than one that
    /// opened its pin.)
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let object = sys::open_pin(&path)?;
        Ok(Self {
            identity: Identity::of(&object)?,
            path,
            object,
        })
    }

    /// Those of a directory's pins that are there, in the order of their names here.
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

    /// Where it is pinned.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Pins it at another place of the same bpffs, in one step.
    pub(super) fn move_to(&mut self, path: PathBuf) -> io::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::rename(&self.path, &path)?;
        self.path = path;
        Ok(())
    }

    /// Its file name.
    pub(super) fn name(&self) -> &str {
        let name = self.path.file_name();
        name.and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The kernel's id of it, among objects of its kind.
    pub(super) fn id(&self) -> u32 {
        self.identity.id
    }

    /// Pins the object again unless it is what is pinned there; whether that was needed.
    pub(super) fn put_right(&self) -> Result<bool, DatapathError> {
        self.try_put_right()
            .map_err(|source| DatapathError::pin(self.path.clone(), source))
    }

    fn try_put_right(&self) -> io::Result<bool> {
        match sys::open_pin(&self.path) {
            Ok(found) if Identity::of(&found)? == self.identity => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Something else, or nothing that can be opened as an object.
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

/// Puts pins right, in their order; how many had to be, and the first that could not.
pub(super) fn put_all_right<'a>(held: impl IntoIterator<Item = &'a HeldPin>) -> PutRight {
    let mut put = PutRight::default();
    for held in held {
        put.add(held.put_right().map(usize::from));
    }
    put
}

/// What became of some pins.
#[derive(Debug, Default)]
pub struct PutRight {
    /// How many were pinned again.
    pub count: usize,
    /// Why the first that could not be could not.
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

    /// Both together.
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
