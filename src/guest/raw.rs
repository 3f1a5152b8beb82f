//! The system calls of guests that neither `rustix` nor `nix` wraps safely.
#![expect(unsafe_code, reason = "fork, _exit and seccomp have no safe wrapper; this module is all there is of them")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::libc;
use nix::unistd::{ForkResult, Pid};

/// Runs `child` in a forked process, which ends with the status it returns. Only for processes with one thread, where
/// the copy may do all that the original could.
pub(super) fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    // SAFETY: the helpers that call this have one thread, so no lock is held by a thread the copy does not have.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let status = catch_unwind(AssertUnwindSafe(child)).unwrap_or(125);
            // SAFETY: ends the process without running what the original registered for its own end.
            unsafe { libc::_exit(status) }
        }
    }
}

/// Installs a seccomp filter for the calling process and all it will run. Needs CAP_SYS_ADMIN.
pub(super) fn install_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, which lives through the call, and writes nothing.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
