//! A terminal of the guest's own, for a shell that somebody sits at.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use serde::{Deserialize, Serialize};

use crate::engine::shell::WindowSize;

/// Where a new terminal is opened. Not `/dev/ptmx`, which the guest may have replaced: this lies in a file system whose
/// names nobody can change, mounted where nobody can take it away.
const MASTER: &str = "/dev/pts/ptmx";

/// `DEVPTS_SUPER_MAGIC`.
const DEVPTS: u32 = 0x1cd1;

/// What is to run in the terminal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Session {
    /// Programs to try, the best first; each is run as a login shell.
    pub(super) shells: Vec<String>,
    /// Working directories to try, the best first.
    pub(super) directories: Vec<String>,
    pub(super) env: std::collections::BTreeMap<String, String>,
    pub(super) size: WindowSize,
}

/// Both ends of a terminal.
pub(super) struct Pty {
    /// For Larder.
    pub(super) master: OwnedFd,
    /// For the shell.
    pub(super) slave: OwnedFd,
}

/// Opens a terminal of the guest. To be called by its init: `/` is the guest's root.
pub(super) fn open(size: WindowSize) -> io::Result<Pty> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let master = rustix::fs::open(MASTER, flags, Mode::empty())?;
    if u32::try_from(rustix::fs::fstatfs(&master)?.f_type) != Ok(DEVPTS) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{MASTER} is not a terminal's")));
    }
    rustix::pty::unlockpt(&master)?;
    // Not opened by its name, which belongs to the guest.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
    let size = rustix::termios::Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size)?;
    Ok(Pty { master, slave })
}

/// Makes the calling process, just forked, leader of a session whose terminal this is.
pub(super) fn take(slave: &OwnedFd) -> io::Result<()> {
    nix::unistd::setsid()?;
    rustix::process::ioctl_tiocsctty(slave.as_fd())?;
    nix::unistd::dup2_stdin(slave)?;
    nix::unistd::dup2_stdout(slave)?;
    Ok(nix::unistd::dup2_stderr(slave)?)
}
