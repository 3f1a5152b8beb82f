//! The terminal that questions are put on.

use std::io::{self, IsTerminal as _, Stdout, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

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
    /// The line that is waited for, by somebody or by nobody at present.
    reading: Option<Reading>,
}

impl Terminal {
    /// The terminal at standard input and error; `output` is what builds write meanwhile.
    pub(super) fn new(output: Held<Stdout>) -> Result<Self> {
        let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3);
        let input = Arc::new(input.context(|| "cannot read from the terminal".to_owned())?);
        Ok(Self { input, output, reading: None })
    }

    /// Forgets what was typed before anything was asked.
    pub(super) fn forget_typed(&mut self) {
        self.leave();
        let _ = tcflush(&self.input, QueueSelector::IFlush);
    }

    /// Shows text. Best effort: there is nowhere else to say that it failed.
    #[expect(clippy::unused_self, reason = "whoever shows something has the terminal")]
    pub(super) fn show(&self, text: &str) {
        // In one write: the lines of builds come between two.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Waits for a line; `None` when the terminal is gone. May be dropped and called again: the line that comes
    /// meanwhile is the next one's.
    pub(super) async fn line(&mut self) -> Option<String> {
        let reading = match &mut self.reading {
            Some(reading) => reading,
            none => none.insert(Reading::start(&self.input)?),
        };
        let line = (&mut reading.line).await.ok().flatten();
        self.reading = None;
        line
    }

    /// Reads no longer: nothing is asked.
    pub(super) fn leave(&mut self) {
        self.reading = None;
    }

    /// Lends the terminal to a program of the user's: the lines of builds wait until what is returned is dropped.
    pub(super) fn lend(&mut self) -> Hold<Stdout> {
        self.leave();
        self.output.hold()
    }
}

/// A thread that waits for one line, as reading from a terminal takes. It ends, at the latest, when this is dropped.
struct Reading {
    line: oneshot::Receiver<Option<String>>,
    wish: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    fn start(input: &Arc<OwnedFd>) -> Option<Self> {
        let (wished, wish) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).ok()?;
        let (sender, line) = oneshot::channel();
        let input = input.clone();
        let thread = thread::Builder::new().name("prompt".into());
        let thread = thread.spawn(move || drop(sender.send(read_line(&input, &wished)))).ok()?;
        Some(Self { line, wish: Some(wish), thread: Some(thread) })
    }
}

impl Drop for Reading {
    /// Once it has ended, no line goes to a reader whom nobody asks.
    fn drop(&mut self) {
        self.wish = None;
        let _ = self.thread.take().map(JoinHandle::join);
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use rustix::pty::OpenptFlags;

    use super::*;

    /// A terminal, and the side on which somebody types.
    fn terminal() -> (Terminal, File) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let input = Arc::new(rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap());
        (Terminal { input, output: Held::new(io::stdout()), reading: None }, master.into())
    }

    async fn next(terminal: &mut Terminal) -> Option<String> {
        tokio::time::timeout(Duration::from_secs(30), terminal.line()).await.expect("a line")
    }

    #[tokio::test]
    async fn a_line_that_comes_while_something_else_is_heard_is_not_lost() {
        let (mut terminal, mut keys) = terminal();
        assert!(tokio::time::timeout(Duration::ZERO, terminal.line()).await.is_err());
        // Nobody waits at the moment.
        keys.write_all(b"r\n").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while !terminal.reading.as_ref().unwrap().thread.as_ref().unwrap().is_finished() {
            assert!(std::time::Instant::now() < deadline, "the line is not read");
            thread::yield_now();
        }
        assert_eq!(next(&mut terminal).await.as_deref(), Some("r"));
    }

    #[tokio::test]
    async fn whoever_is_lent_the_terminal_gets_what_is_typed() {
        let (mut terminal, mut keys) = terminal();
        assert!(tokio::time::timeout(Duration::ZERO, terminal.line()).await.is_err());
        let lent = terminal.lend();
        keys.write_all(b"theirs\n").unwrap();
        let mut buffer = [0; 64];
        let length = rustix::io::read(&terminal.input, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"theirs\n");
        drop(lent);
        keys.write_all(b"k\n").unwrap();
        assert_eq!(next(&mut terminal).await.as_deref(), Some("k"));
    }

    #[tokio::test]
    async fn what_was_typed_before_a_question_is_no_answer() {
        let (mut terminal, mut keys) = terminal();
        keys.write_all(b"early\n").unwrap();
        poll(&mut [PollFd::new(&*terminal.input, PollFlags::IN)], None).unwrap();
        terminal.forget_typed();
        keys.write_all(b"k\n").unwrap();
        assert_eq!(next(&mut terminal).await.as_deref(), Some("k"));
        // The window is closed.
        drop(keys);
        assert_eq!(next(&mut terminal).await, None);
    }
}
