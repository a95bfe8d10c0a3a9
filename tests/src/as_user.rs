//! Work as somebody else than root.

use std::{io, panic, thread};

use crate::Privileged;

/// Does something on a thread of this user, who has no capabilities; groups stay root's.
///
/// Who connects a unix socket is the thread that does it, so that what is connected here and given
/// back is this user's, whoever uses it.
///
/// # Panics
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
