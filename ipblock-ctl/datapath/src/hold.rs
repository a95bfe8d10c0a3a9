//! Holds an interface: no incoming packet reaches the stack while its filter is detached.

use std::{fs, io, os::fd::OwnedFd, path::PathBuf};

use super::{clock::Now, error::DatapathError, interface::Interface, pins::PinDirectory, sys};

/// How long a hold outlives a killed daemon, in [`sys::HOLD_TICK_NS`]. Service managers restart it
/// within a second or two. If it does not come back, the host must become reachable again.
const OUTLIVES: u64 = 10;

/// Drops the incoming packets of an interface, after its XDP program and before the stack, until
/// this value is dropped. If the process dies, a pinned link continues for some seconds of the
/// kernel's clock: the next start puts the filter back in this time.
#[derive(Debug)]
pub struct Hold {
    path: PathBuf,
    _while_alive: OwnedFd,
    _pinned: OwnedFd,
}

impl Hold {
    /// Holds an interface. Returns `None` if the kernel cannot (tcx requires Linux 6.6).
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

/// Releases an interface that a killed daemon held. Returns whether it was held.
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
