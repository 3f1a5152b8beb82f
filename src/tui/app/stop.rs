//! Stopping the process as the system does it (job control, POSIX "Terminal Access Control"), also where SIGTSTP is
//! caught: nobody but the kernel knows whether somebody would bring the process back.
#![expect(unsafe_code, reason = "sigaction has no safe wrapper; this module is all there is of it in the UI")]

use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::unistd::Pid;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::tui::msg::Msg;
use crate::tui::terminal;

/// What stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Everything in the foreground, as the terminal does at Ctrl-Z.
    Group,
    /// This process: whoever asked for it will continue this one alone.
    Oneself,
}

/// How long stopping may take. In a process group that nobody would bring back, it is ignored.
const STOPPING: Duration = Duration::from_millis(300);

/// Tells the UI that somebody has asked the process to stop (`kill -TSTP`), so that it first gives the terminal back.
/// Where the UI does not have the terminal, the process stops as it would have without this.
pub(super) fn watch(runtime: &Handle, messages: Sender<Msg>) {
    let Ok(true) = has_effect() else { return };
    let Ok(mut asked) = signal(SignalKind::from_raw(Signal::SIGTSTP as i32)) else { return };
    runtime.spawn(async move {
        while asked.recv().await.is_some() {
            if !terminal::is_taken() || messages.send(Msg::Stop).is_err() {
                let _ = stop(Whom::Oneself).await;
            }
        }
    });
}

/// Stops; returns when the process has been continued, or was not stopped.
pub(super) async fn stop(whom: Whom) -> io::Result<()> {
    let mut continued = signal(SignalKind::from_raw(Signal::SIGCONT as i32))?;
    let _default = Default::set()?;
    match whom {
        Whom::Group => kill(Pid::from_raw(0), Signal::SIGTSTP)?,
        Whom::Oneself => raise(Signal::SIGTSTP)?,
    }
    // This thread may run on for a moment, and must not take the terminal in it.
    let _ = tokio::time::timeout(STOPPING, continued.recv()).await;
    Ok(())
}

/// Whether SIGTSTP does something: whoever started the process may have seen to it that it does not.
fn has_effect() -> io::Result<bool> {
    Ok(!Default::set()?.ignored)
}

/// SIGTSTP has the effect it has without a handler, until dropped. One that was ignored stays so.
struct Default {
    before: SigAction,
    ignored: bool,
}

impl Default {
    fn set() -> io::Result<Self> {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default effect runs no code of this process.
        let before = unsafe { sigaction(Signal::SIGTSTP, &default) }?;
        let set = Self { before, ignored: matches!(before.handler(), SigHandler::SigIgn) };
        if set.ignored {
            set.put_back();
        }
        Ok(set)
    }

    fn put_back(&self) {
        // SAFETY: what is put back is what was there before, and has been running since the UI started.
        let _ = unsafe { sigaction(Signal::SIGTSTP, &self.before) };
    }
}

impl Drop for Default {
    fn drop(&mut self) {
        self.put_back();
    }
}
