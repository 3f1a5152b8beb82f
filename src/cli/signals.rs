//! Ctrl-C and SIGTERM: the first cleans up, the second leaves at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::cancel::{Cancel, Cause};
use crate::error::{Context as _, Result};

/// The signals that end a run.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    passed_on: PassedOn,
}

/// Signals that come from another process of Larder's, which the terminal and users talk to.
enum PassedOn {
    /// There is none.
    No,
    /// By number. Signals to this process itself are then not heeded: the terminal sends them to both.
    From(UnboundedReceiver<i32>),
    /// It has gone, which has been told.
    Gone,
}

impl PassedOn {
    async fn next(&mut self) -> Cause {
        if let Self::From(receiver) = self {
            let number = receiver.recv().await;
            if number.is_none() {
                *self = Self::Gone;
            }
            return if number == Some(SignalKind::interrupt().as_raw_value()) {
                Cause::Interrupt
            } else {
                Cause::Terminate
            };
        }
        std::future::pending().await
    }
}

impl Signals {
    /// Takes them over from here on.
    pub(super) fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context(|| "cannot listen for signals".to_owned());
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            passed_on: PassedOn::No,
        })
    }

    /// Heeds only those that another process passes on, if there is one.
    pub(super) fn from(mut self, passed_on: Option<UnboundedReceiver<i32>>) -> Self {
        self.passed_on = passed_on.map_or(PassedOn::No, PassedOn::From);
        self
    }

    /// Waits for one, and says which.
    pub(super) async fn next(&mut self) -> Cause {
        let direct = matches!(self.passed_on, PassedOn::No);
        tokio::select! {
            _ = self.interrupt.recv(), if direct => Cause::Interrupt,
            _ = self.terminate.recv(), if direct => Cause::Terminate,
            _ = self.hangup.recv(), if direct => Cause::Terminate,
            cause = self.passed_on.next() => cause,
        }
    }
}

/// Cancels `cancel` at the first SIGINT, SIGTERM or SIGHUP, calls `told` with the cause, and at the second calls
/// `leave`. Runs until dropped.
pub(super) async fn watch(signals: &mut Signals, cancel: Cancel, told: impl Fn(&Cause), leave: impl FnOnce()) {
    let cause = signals.next().await;
    cancel.cancel(cause.clone());
    told(&cause);
    signals.next().await;
    leave();
}
