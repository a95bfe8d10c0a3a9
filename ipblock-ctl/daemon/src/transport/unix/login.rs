//! The login uid of a peer: who logged in, whatever user they became since with sudo or su.
//!
//! The kernel keeps it for each process, and only a process with `CAP_AUDIT_CONTROL` can change it
//! once it is set.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{getsockopt, sockopt::PeerPidfd},
};
use tokio::net::UnixStream;

/// Returns the login uid of the process that connected. `None` if it has none, as in a container or
/// a job of cron, if the process is gone, or if /proc does not show it.
pub(super) fn login_uid(stream: &UnixStream) -> Option<u32> {
    let credentials = stream.peer_cred().ok()?;
    let process = credentials.pid().filter(|process| *process > 0)?;
    let handle = getsockopt(stream, PeerPidfd).ok();
    let mut file = File::open(format!("/proc/{process}/loginuid")).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let is_the_peer = match handle {
        // As long as it runs, its id is not used again.
        Some(handle) => is_running(&handle),
        // Before Linux 6.5. A peer can end and leave its id only to a process of the same user.
        None => (file.metadata()).is_ok_and(|status| status.uid() == credentials.uid()),
    };
    if !is_the_peer {
        return None;
    }
    // `AUDIT_UID_UNSET` of include/uapi/linux/audit.h.
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
}

/// A handle of a process is readable once the process has ended.
fn is_running(process: impl AsFd) -> bool {
    let mut ended = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut ended, PollTimeout::ZERO) == Ok(0)
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use super::*;

    #[tokio::test]
    async fn the_login_uid_of_a_peer_is_that_of_its_process() -> io::Result<()> {
        let (here, _there) = UnixStream::pair()?;
        let own = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
        let own = own.trim().parse().ok().filter(|uid| *uid != u32::MAX);
        assert_eq!(login_uid(&here), own);
        Ok(())
    }
}
