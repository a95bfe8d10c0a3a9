//! Makes the kernel refuse what a daemon writes.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// `BPF_MAP_FREEZE` of include/uapi/linux/bpf.h.
const BPF_MAP_FREEZE: libc::c_int = 22;

/// Freezes a map, for good: user space may read it and not write it; programs may do both.
pub fn freeze_map(map: impl AsFd) -> io::Result<()> {
    let attributes = [map.as_fd().as_raw_fd(), 0];
    let size = size_of_val(&attributes);
    // SAFETY: the kernel reads `size` bytes of the attributes, which live through the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_FREEZE, attributes.as_ptr(), size) };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
