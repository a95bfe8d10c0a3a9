//! The peer of a socket, as reported by the kernel.

use std::{
    io,
    os::fd::{AsFd, AsRawFd as _},
};

/// `SO_PEERGROUPS` of include/uapi/asm-generic/socket.h, since Linux 4.13.
const SO_PEERGROUPS: libc::c_int = 59;

/// `NGROUPS_MAX` of include/uapi/linux/limits.h.
const MOST_GROUPS: usize = 65_536;

/// Returns the supplementary groups of a unix socket's peer at the time of its connection.
pub(super) fn supplementary_groups(socket: impl AsFd) -> io::Result<Vec<libc::gid_t>> {
    let fd = socket.as_fd().as_raw_fd();
    // Nearly all peers have fewer. For the others a second call has room for all.
    for room in [64, MOST_GROUPS] {
        let mut groups: Vec<libc::gid_t> = vec![0; room];
        let size = size_of_val(groups.as_slice());
        let mut len = libc::socklen_t::try_from(size).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the buffer is `len` bytes long, and any bytes are group ids.
        let result = unsafe {
            libc::getsockopt(
                fd,
                libc::SOL_SOCKET,
                SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        if result == 0 {
            let len = usize::try_from(len).unwrap_or_default();
            groups.truncate(len / size_of::<libc::gid_t>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) {
            return Err(error);
        }
    }
    Err(io::Error::from_raw_os_error(libc::ERANGE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_groups_of_a_peer_are_those_of_its_process() {
        let (here, _there) = UnixStream::pair().unwrap();
        let mut found = supplementary_groups(&here).unwrap();
        let mut own: Vec<_> = nix::unistd::getgroups().unwrap();
        found.sort_unstable();
        own.sort_unstable_by_key(|group| group.as_raw());
        assert_eq!(
            found,
            own.iter().map(|group| group.as_raw()).collect::<Vec<_>>()
        );
    }
}
