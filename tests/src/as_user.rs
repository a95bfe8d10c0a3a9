//! Runs code as a user other than root.

use std::{io, panic, thread};

use crate::Privileged;

/// Runs a function on a thread with this user id and without capabilities; the groups of root stay.
///
/// The owner of a unix socket's connection is the thread that connects. So a connection made here
/// belongs to this user, even after it is returned.
///
/// # Panics
/// If the thread cannot become that user, or `work` panics.
/// When the thread cannot become that user, or `work` panics.
pub fn as_user<T: Send>(_root: Privileged, uid: u32, work: impl FnOnce() -> T + Send) -> T {
    let done = thread::scope(|scope| {
        scope
            .spawn(|| {
                // SAFETY: takes three numbers. The system call itself, because glibc's function of that
                // name would change every thread of the process.
                let result = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
                let error = io::Error::last_os_error();
                assert_eq!(result, 0, "cannot become uid {uid}: {error}");
                work()
            })
            .join()
    });
    done.unwrap_or_else(|panic| panic::resume_unwind(panic))
}
