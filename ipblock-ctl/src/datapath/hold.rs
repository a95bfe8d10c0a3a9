//! Holding an interface: nothing that comes in by it reaches the stack for as long as its filter is off.

use std::os::fd::OwnedFd;

use super::{error::DatapathError, interface::Interface, sys};

/// Drops whatever comes in by an interface, behind its XDP program and before the stack. Ends when it
/// goes, also by the end of this process: an interface is never held without somebody who waits for it.
#[derive(Debug)]
pub struct Hold {
    _link: OwnedFd,
}

impl Hold {
    /// Holds an interface; `None` where the kernel cannot (tcx came with Linux 6.6).
    pub fn on(interface: &Interface) -> Result<Option<Self>, DatapathError> {
        match sys::drop_incoming(interface.index) {
            Ok(link) => Ok(Some(Self { _link: link })),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
            Err(source) => Err(DatapathError::Hold {
                interface: interface.name.clone(),
                source,
            }),
        }
    }
}
