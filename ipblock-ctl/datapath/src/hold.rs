//! Holding an interface: nothing that comes in by it reaches the stack for as long as its filter is off.

use std::{fs, io, os::fd::OwnedFd, path::PathBuf};

use super::{clock::Now, error::DatapathError, interface::Interface, pins::PinDirectory, sys};

/// How long a hold outlives a daemon that is killed, in [`sys::HOLD_TICK_NS`]: service managers start it
/// again within a second or two, and a host that it does not come back to must be reachable again.
const OUTLIVES: u64 = 10;

/// Drops what comes in by an interface, behind its XDP program and before the stack, until it is
/// dropped itself. When the process dies, a pinned link goes on with it for some seconds of the kernel's
/// clock: until the next start has put the filter back.
#[derive(Debug)]
pub struct Hold {
    path: PathBuf,
    _while_alive: OwnedFd,
    _pinned: OwnedFd,
}

impl Hold {
    /// Holds an interface; `None` where the kernel cannot (tcx came with Linux 6.6).
    pub fn on(pins: &PinDirectory, interface: &Interface) -> Result<Option<Self>, DatapathError> {
        let drop_until = |until| match sys::drop_incoming(interface.index, until) {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            Err(source) => Err(DatapathError::Hold {
                interface: interface.name.clone(),
                source,
            }),
        };
        let Some(while_alive) = drop_until(i32::MAX)? else {
            return Ok(None);
        };
        let end = Now::read().boot_ns / sys::HOLD_TICK_NS + OUTLIVES;
        let Some(pinned) = drop_until(i32::try_from(end).unwrap_or(i32::MAX))? else {
            return Ok(None);
        };
        let path = pins.make_hold(&interface.name)?;
        sys::pin(&pinned, &path).map_err(|source| DatapathError::pin(path.clone(), source))?;
        Ok(Some(Self {
            path,
            _while_alive: while_alive,
            _pinned: pinned,
        }))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a hold that ends by itself stays pinned");
        }
    }
}

/// Lets an interface go that a daemon which was killed had held; whether it was held.
pub fn let_go(pins: &PinDirectory, interface: &str) -> Result<bool, DatapathError> {
    let path = pins.hold(interface);
    remove(&path).map_err(|source| DatapathError::pin(path, source))
}

fn remove(path: &std::path::Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
