//! Stopping this process as the system does it (job control, POSIX "Terminal Access Control"), also where SIGTSTP is caught:
//! nobody but the kernel knows whether somebody would bring the process back.

use std::io;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};

use super::raw::DefaultStop;

/// What stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Everything in the foreground, as the terminal does at Ctrl-Z.
    Group,
    /// This process: whoever asked for it will continue this one alone.
    Oneself,
}

/// How long stopping may take. In a process group that nobody would bring back, it is ignored.
const STOPPING: Duration = Duration::from_millis(300);

/// The times that somebody asks this process to stop, which from now on it does not by itself. None where that is ignored:
/// whoever started the process has seen to it.
pub fn asked() -> io::Result<Option<Signals>> {
    if DefaultStop::set()?.is_ignored() {
        return Ok(None);
    }
    signal(SignalKind::from_raw(Signal::SIGTSTP as i32)).map(Some)
}

/// Stops; returns when the process has been continued, or was not stopped.
pub async fn stop(whom: Whom) -> io::Result<()> {
    let mut continued = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
    let _default = DefaultStop::set()?;
    match whom {
        Whom::Group => kill(Pid::from_raw(0), Signal::SIGTSTP)?,
        Whom::Oneself => raise(Signal::SIGTSTP)?,
    }
    // This thread may run on for a moment, and must not take the terminal in it.
    let _ = tokio::time::timeout(STOPPING, continued.recv()).await;
    Ok(())
}
