//! Ctrl-C and SIGTERM: the first cleans up, the second leaves at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::engine::cancel::{Cancel, Cause};
use crate::error::{Context as _, Result};

/// The signals that end a run.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes them over from here on.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context(|| "cannot listen for signals".to_owned());
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for one, and says which.
    pub(super) async fn next(&mut self) -> Cause {
        tokio::select! {
            _ = self.interrupt.recv() => Cause::Interrupt,
            _ = self.terminate.recv() => Cause::Terminate,
            _ = self.hangup.recv() => Cause::Terminate,
        }
    }
}

/// Cancels `cancel` at the first SIGINT, SIGTERM or SIGHUP, calls `told` with the cause, and at the second calls
/// `leave`. Runs until dropped.
pub(super) async fn watch(cancel: Cancel, told: impl Fn(&Cause), leave: impl FnOnce()) -> Result<()> {
    let mut signals = Signals::listen()?;
    let cause = signals.next().await;
    cancel.cancel(cause.clone());
    told(&cause);
    signals.next().await;
    leave();
    Ok(())
}
