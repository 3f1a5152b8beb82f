//! The terminal that questions are put on.

use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::oneshot;

use super::super::Env;
use super::super::environment::is_unattended;
use super::super::settings::Ui;
use crate::error::{Context as _, Result};
use crate::output::held::{Held, Hold};

/// Whether somebody is there to be asked in lines of text: at standard input and error, and not in a CI job.
pub(in crate::cli) fn is_there(ui: Ui, env: &Env) -> bool {
    matches!(ui, Ui::Auto | Ui::Plain) && !is_unattended(env) && io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A person at a terminal. What is typed is read only while something is asked: an editor or a shell reads it, too.
pub(super) struct Terminal {
    input: Arc<OwnedFd>,
    output: Held<Stdout>,
}

impl Terminal {
    /// The terminal at standard input and error; `output` is what builds write meanwhile.
    pub(super) fn new(output: Held<Stdout>) -> Result<Self> {
        let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3);
        Ok(Self { input: Arc::new(input.context(|| "cannot read from the terminal".to_owned())?), output })
    }

    /// Forgets what was typed before anything was asked.
    pub(super) fn forget_typed(&self) {
        let _ = tcflush(&self.input, QueueSelector::IFlush);
    }

    /// Shows text. Best effort: there is nowhere else to say that it failed.
    #[expect(clippy::unused_self, reason = "whoever shows something has the terminal")]
    pub(super) fn show(&self, text: &str) {
        // In one write: the lines of builds come between two.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Waits for a line; `None` when the terminal is gone. May be dropped and called again.
    pub(super) async fn line(&self) -> Option<String> {
        // Reading from a terminal takes a thread, which must not outlive the wish to read.
        let (wished, wish) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).ok()?;
        let (sender, receiver) = oneshot::channel();
        let input = self.input.clone();
        let thread = thread::Builder::new().name("prompt".into());
        thread.spawn(move || sender.send(read_line(&input, &wished))).ok()?;
        let line = receiver.await.ok().flatten();
        drop(wish);
        line
    }

    /// Lends the terminal to a program of the user's: the lines of builds wait until what is returned is dropped.
    pub(super) fn lend(&self) -> Hold<Stdout> {
        self.output.hold()
    }
}

/// Waits for a line from the terminal, until the other end of `wished` is closed.
fn read_line(input: &OwnedFd, wished: &OwnedFd) -> Option<String> {
    loop {
        let mut waiting = [PollFd::new(wished, PollFlags::IN), PollFd::new(input, PollFlags::IN)];
        match poll(&mut waiting, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) => {}
        }
        let [wished, input_ready] = waiting.map(|waiting| !waiting.revents().is_empty());
        if wished {
            return None;
        }
        if input_ready {
            break;
        }
    }
    // A terminal gives a line at a time.
    let mut buffer = [0; 4096];
    match rustix::io::read(input, &mut buffer) {
        Ok(0) | Err(_) => None,
        Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).trim().to_owned()),
    }
}
