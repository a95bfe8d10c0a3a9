//! A lock that allows one daemon per directory of pins.

use std::{
    fs::{File, TryLockError},
    io,
};

use super::{error::DatapathError, pins::PinDirectory};

/// Locks a directory of pins until it is dropped; the kernel releases the lock when the process
/// ends. Two daemons with one filter would undo each other's changes, even with copies of the same
/// store.
#[derive(Debug)]
pub struct PinLock {
    _directory: File,
}

impl PinLock {
    /// Takes the lock. Returns `None` if nothing was pinned yet.
    pub fn take(pins: &PinDirectory) -> Result<Option<Self>, DatapathError> {
        let path = pins.root();
        let directory = match File::open(path) {
            Ok(directory) => directory,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DatapathError::pin(path, source)),
        };
        match directory.try_lock() {
            Ok(()) => Ok(Some(Self {
                _directory: directory,
            })),
            Err(TryLockError::WouldBlock) => Err(DatapathError::PinsInUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(DatapathError::pin(path, source)),
        }
    }
}
