//! Ctrl-C and SIGTERM: the first cleans up, the second leaves at once.

use tokio::signal::unix::{SignalKind, signal};

use crate::engine::cancel::{Cancel, Cause};
use crate::error::{Context as _, Result};

/// Cancels `cancel` at the first SIGINT, SIGTERM or SIGHUP, calls `told` with the cause, and at the second calls
/// `leave`. Runs until dropped.
pub async fn watch(cancel: Cancel, told: impl Fn(&Cause), leave: impl FnOnce()) -> Result<()> {
    let listen = |kind| signal(kind).context(|| "cannot listen for signals".to_owned());
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut next = async || {
        tokio::select! {
            _ = interrupt.recv() => Cause::Interrupt,
            _ = terminate.recv() => Cause::Terminate,
            _ = hangup.recv() => Cause::Terminate,
        }
    };
    let cause = next().await;
    cancel.cancel(cause.clone());
    told(&cause);
    next().await;
    leave();
    Ok(())
}
