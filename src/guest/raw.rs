//! The system calls of guests that neither `rustix` nor `nix` wraps safely.
#![expect(unsafe_code, reason = "fork, _exit and seccomp have no safe wrapper; this module is all there is of them")]

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::libc;
use nix::sys::signal::{self, SigHandler, SigSet, SigmaskHow, Signal};
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

/// Gives every signal its default effect and blocks none: a program takes over both from whoever runs it, and Larder
/// may have been started with some ignored.
pub(super) fn reset_signals() -> io::Result<()> {
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            // SAFETY: no handler is installed, so nothing runs when the signal comes.
            unsafe { signal::signal(signal, SigHandler::SigDfl) }?;
        }
    }
    Ok(signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?)
}

/// Closes every descriptor but the standard three: what Larder itself was given by whoever started it.
pub(super) fn close_strays() -> io::Result<()> {
    // SAFETY: called first thing by a helper, when nothing owns a descriptor above the standard three.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a descriptor that was inherited under a number, and keeps it from being inherited further.
pub(super) fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: nothing is done with it but to ask for its flags, which fails if there is no such descriptor.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if number < 3 || flags == -1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is open, and its number came as an argument from the process that opened it for this one alone.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)?;
    Ok(descriptor)
}

/// Installs a seccomp filter for the calling process and all it will run. Needs CAP_SYS_ADMIN.
pub(super) fn install_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the program, which lives through the call, and writes nothing.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
