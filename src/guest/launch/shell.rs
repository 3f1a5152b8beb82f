//! A shell of a guest, in a terminal of the guest's own.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::{Exit, Guest, ProcessControl, ended};
use crate::engine::shell::WindowSize;
use crate::error::{Error, Result};
use crate::guest::protocol::Request;
use crate::guest::pty::Session;

/// Shells of guests, the most convenient first.
const SHELLS: [&str; 5] = ["/bin/bash", "/usr/bin/bash", "/bin/zsh", "/bin/ash", "/bin/sh"];

/// A shell running in a guest.
#[derive(Debug)]
pub struct Shell {
    /// The side of its terminal that a person sits at. Once closed, the shell is told that nobody does.
    pub terminal: OwnedFd,
    /// Signals it.
    pub control: ProcessControl,
    /// Its end.
    pub exit: Exit,
}

impl Guest {
    /// Starts the best shell there is as a login shell of root, whose whole environment is `env` (and `SHELL`).
    pub async fn shell(&self, size: WindowSize, env: BTreeMap<String, String>) -> Result<Shell> {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let session = Session { shells: words(&SHELLS), directories: words(&["/root", "/"]), env, size };
        let (sender, terminal) = oneshot::channel();
        let begun = self.line.begin_with(|waiting, id| drop(waiting.terminals.insert(id, sender)));
        let (id, receiver) = begun?;
        let sent = self.line.send(&Request::Shell { id, session }, &[]).await;
        let answer = match sent {
            Ok(()) => terminal.await.map_err(|_| ended()),
            Err(error) => Err(error),
        };
        match answer {
            Ok(Ok(terminal)) => Ok(Shell {
                terminal,
                control: ProcessControl { id, line: self.line.clone() },
                exit: Exit { receiver: Some(receiver), status: None },
            }),
            Ok(Err(refused)) => {
                self.line.forget(id);
                Err(Error::new(format!("cannot open a terminal in the guest: {refused}")))
            }
            Err(error) => {
                self.line.forget(id);
                Err(error)
            }
        }
    }
}
