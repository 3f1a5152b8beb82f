//! The system calls of guests that neither `rustix` nor `nix` wraps safely.
#![expect(
    unsafe_code,
    reason = "fork, _exit, sigaction, seccomp and landlock have no safe wrapper; this module is all there is of them"
)]

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::libc;
use nix::sys::signal::{self, SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction};
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

/// SIGTSTP has the effect it has without a handler, until this is dropped. Where it was ignored it stays so.
pub(super) struct DefaultStop {
    before: SigAction,
    ignored: bool,
}

impl DefaultStop {
    pub(super) fn set() -> io::Result<Self> {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default effect runs no code of this process.
        let before = unsafe { sigaction(Signal::SIGTSTP, &default) }?;
        let set = Self { before, ignored: matches!(before.handler(), SigHandler::SigIgn) };
        if set.ignored {
            set.put_back();
        }
        Ok(set)
    }

    pub(super) fn is_ignored(&self) -> bool {
        self.ignored
    }

    fn put_back(&self) {
        // SAFETY: what is put back is what was there before, and could run then.
        let _ = unsafe { sigaction(Signal::SIGTSTP, &self.before) };
    }
}

impl Drop for DefaultStop {
    fn drop(&mut self) {
        self.put_back();
    }
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
pub(crate) fn inherited(number: i32) -> io::Result<OwnedFd> {
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

/// Keeps the calling process and all it will run from the abstract Unix sockets of everybody else (landlock(7), Linux
/// 6.12). Needs CAP_SYS_ADMIN. Says whether the kernel could.
pub(super) fn fence_abstract_sockets() -> io::Result<bool> {
    /// `struct landlock_ruleset_attr`.
    #[repr(C)]
    struct Ruleset {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
    let ruleset = Ruleset { handled_access_fs: 0, handled_access_net: 0, scoped: SCOPE_ABSTRACT_UNIX_SOCKET };
    // SAFETY: the kernel copies the structure, of the size that is named, and returns a descriptor or an error.
    let made = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size_of::<Ruleset>(), 0) };
    let Ok(descriptor @ 0..) = i32::try_from(made) else {
        let error = io::Error::last_os_error();
        let unknown = matches!(
            error.raw_os_error(),
            Some(libc::ENOSYS | libc::EOPNOTSUPP | libc::E2BIG | libc::EINVAL | libc::ENOMSG)
        );
        return if unknown { Ok(false) } else { Err(error) };
    };
    // SAFETY: it was made a moment ago, and nothing else has it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    // SAFETY: takes a descriptor and flags, and changes nothing of this program's memory.
    match unsafe { libc::syscall(libc::SYS_landlock_restrict_self, descriptor.as_raw_fd(), 0) } {
        0 => Ok(true),
        _ => Err(io::Error::last_os_error()),
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
