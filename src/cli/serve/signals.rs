//! The signals of a service: SIGTERM and SIGINT stop, SIGHUP reads the settings anew, SIGUSR1 opens the log anew.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Context as _, Result};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Stop,
    Reload,
    Reopen,
}

pub(super) struct Events {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    user: Signal,
    /// Whether SIGHUP says that the terminal has gone.
    terminal: bool,
}

impl Events {
    /// Takes them over from here on.
    pub(super) fn listen(terminal: bool) -> Result<Self> {
        let listen = |kind| signal(kind).context(|| "cannot listen for signals".to_owned());
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
            terminal,
        })
    }

    /// Waits for one, and says what it asks for.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.terminate.recv() => Event::Stop,
            _ = self.hangup.recv() => if self.terminal { Event::Stop } else { Event::Reload },
            _ = self.user.recv() => Event::Reopen,
        }
    }

    /// Waits for one that asks to stop; the others have no meaning any more.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Event::Stop {}
    }
}
