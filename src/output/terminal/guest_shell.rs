//! A shell in a guest, at the user's terminal.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::OFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Held, Terminal};
use crate::engine::component::Communicator;
use crate::engine::shell::{GuestShell, ShellSpec, WindowSize};
use crate::error::{Context as _, Error, Result};
use crate::event::question::{Question, Reason};
use crate::output::text::printable;

/// How long a terminal may take to show the last of what a shell wrote.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Most of what is typed ahead, in bytes.
const TYPED_AHEAD: usize = 64 * 1024;

/// Log lines that a banner shows.
const BANNER_LINES: usize = 20;

/// Kinds of terminals that every distribution's smallest `terminfo` knows.
const KNOWN_TERMS: [&str; 12] = [
    "ansi",
    "dumb",
    "linux",
    "rxvt",
    "screen",
    "screen-256color",
    "tmux",
    "tmux-256color",
    "vt100",
    "vt220",
    "xterm",
    "xterm-256color",
];

/// What is said before a shell opens: where it is, what happened there, and how to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banner {
    /// Name of the build.
    pub build: String,
    /// Name of the step.
    pub step: String,
    /// Why there is a question: what failed, or what the pause is for.
    pub reason: String,
    /// The last lines of the step.
    pub lines: Vec<String>,
    /// Whether the question has a deadline, which does not pass meanwhile.
    pub deadline: bool,
}

impl Banner {
    /// What a question says.
    pub fn of(question: &Question) -> Self {
        let (reason, lines) = match &question.reason {
            Reason::Failed { failure, lines, .. } => (failure.message.clone(), lines.clone()),
            Reason::Pause { note } => (note.clone(), Vec::new()),
        };
        let deadline = question.deadline.is_some();
        Self { deadline, build: question.build.to_string(), step: question.step.to_string(), reason, lines }
    }

    /// The text, for a terminal in raw mode.
    fn text(&self) -> String {
        let mut text = vec![format!("==> {}: shell in the guest, at step \"{}\"", self.build, self.step)];
        if !self.reason.is_empty() {
            text.push(format!("    {}", self.reason));
        }
        let lines = &self.lines[self.lines.len().saturating_sub(BANNER_LINES)..];
        if !lines.is_empty() {
            text.push(format!("    Its last {}:", if lines.len() == 1 { "line" } else { "lines" }));
            text.extend(lines.iter().map(|line| format!("    | {line}")));
        }
        text.push("    Changes stay in the guest. `exit` (or Ctrl-D) comes back to the question.".to_owned());
        if self.deadline {
            text.push("    Its time-out waits until then, and begins anew.".to_owned());
        }
        let mut shown: String = text.iter().map(|line| printable(line) + "\r\n").collect();
        shown.push_str("\r\n");
        shown
    }
}

/// What of the user's environment a shell is given.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    term: String,
    env: BTreeMap<String, String>,
}

impl Surroundings {
    /// Those of a process with these variables.
    pub fn of(env: &BTreeMap<String, String>) -> Self {
        let term = env.get("TERM").map_or("", String::as_str);
        let passed_on = ["COLORTERM", "NO_COLOR"].iter().filter_map(|&name| {
            let value = env.get(name)?;
            Some((name.to_owned(), value.clone()))
        });
        Self { term: guest_term(term).to_owned(), env: passed_on.collect() }
    }
}

/// The kind of terminal to name in a guest, which may not know the user's own.
fn guest_term(term: &str) -> &str {
    match term {
        known if KNOWN_TERMS.contains(&known) => known,
        "" => "dumb",
        other if other.starts_with("screen") => "screen",
        other if other.starts_with("rxvt") => "rxvt",
        // All that draw windows of today take its sequences.
        _ => "xterm-256color",
    }
}

/// Opens a shell in the guest and lets the user have it, until it ends, the guest does, or `cancel` fires. Returns its
/// exit status. The terminal is then as it was before.
///
/// Nothing else may read from the terminal or write to it meanwhile.
pub async fn run(
    communicator: &dyn Communicator,
    banner: &Banner,
    terminal: &Terminal,
    surroundings: &Surroundings,
    cancel: &CancellationToken,
) -> Result<i32> {
    let spec = ShellSpec { term: surroundings.term.clone(), size: terminal.size(), env: surroundings.env.clone() };
    let shell = communicator.shell(spec).await?;
    let mut ways = watch(terminal).context(|| "cannot watch the terminal".to_owned())?;
    let said = ways.1.write_all(banner.text().as_bytes()).await;
    said.context(|| "cannot write to the terminal".to_owned())?;
    let held = terminal.hold()?;
    let ended = relay(shell, &held, ways, cancel).await;
    drop(held);
    ended
}

/// Both ways of a terminal.
type Ways = (pipe::Receiver, pipe::Sender);

/// A terminal, of which each side is read and written as a pipe is.
fn watch(terminal: impl AsFd) -> io::Result<Ways> {
    let clone = || rustix::io::fcntl_dupfd_cloexec(&terminal, 3);
    Ok((pipe::Receiver::from_owned_fd_unchecked(clone()?)?, pipe::Sender::from_owned_fd_unchecked(clone()?)?))
}

/// Passes on what is typed and what is shown, until one side ends.
async fn relay(shell: GuestShell, held: &Held, terminal: Ways, cancel: &CancellationToken) -> Result<i32> {
    let watching = || "cannot watch the guest's terminal".to_owned();
    rustix::fs::fcntl_setfl(&shell.terminal, OFlags::NONBLOCK).context(watching)?;
    let guest = watch(&shell.terminal).context(watching)?;
    let ended = CancellationToken::new();
    let shown = show(guest.0, held, terminal.1, &ended);
    let typed = type_in(terminal.0, guest.1);
    let sized = follow_size(held, &shell.terminal);
    tokio::pin!(shown, typed, sized);
    let mut all_shown = false;
    let mut end = shell.end;
    let status = loop {
        tokio::select! {
            status = &mut end => break status,
            lost = &mut shown, if !all_shown => match lost {
                Ok(()) => all_shown = true,
                Err(error) => break Err(Error::new("cannot write to the terminal").caused_by(error)),
            },
            error = &mut typed => break Err(Error::new("the terminal was closed").caused_by(error)),
            error = &mut sized => break Err(error),
            () = cancel.cancelled() => break Err(Error::new("the shell was ended: the build was cancelled")),
        }
    };
    ended.cancel();
    if status.is_ok() && !all_shown {
        // A terminal that is not read from does not hold up the build for ever.
        let _ = tokio::time::timeout(LAST_WORDS, shown).await;
    }
    status
}

/// Shows what the shell writes, until nobody writes to its terminal any more or, once `ended` fires, what has been
/// written by then. What it left in the background may hold its terminal open.
async fn show(
    mut guest: pipe::Receiver,
    held: &Held,
    mut terminal: pipe::Sender,
    ended: &CancellationToken,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = tokio::select! {
            read = guest.read(&mut buffer) => read,
            () = ended.cancelled() => break,
        };
        match read {
            // EIO: the other side is closed.
            Ok(0) | Err(_) => return Ok(()),
            Ok(length) => terminal.write_all(&held.pass(&buffer[..length])).await?,
        }
    }
    // Read past the runtime, which may not have heard yet that there is something.
    while let Ok(length @ 1..) = rustix::io::read(&guest, &mut buffer) {
        terminal.write_all(&held.pass(&buffer[..length])).await?;
    }
    Ok(())
}

/// Passes on what is typed. Ends only when the terminal does.
async fn type_in(mut terminal: pipe::Receiver, mut guest: pipe::Sender) -> io::Error {
    let mut buffer = [0; 4096];
    let mut ahead: VecDeque<u8> = VecDeque::new();
    loop {
        tokio::select! {
            typed = terminal.read(&mut buffer), if ahead.len() < TYPED_AHEAD => match typed {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(length) => ahead.extend(&buffer[..length]),
                Err(error) => return error,
            },
            written = guest.write(ahead.as_slices().0), if !ahead.is_empty() => match written {
                Ok(length) => drop(ahead.drain(..length)),
                // Nobody reads it any more: the shell's end will be told.
                Err(_) => ahead.clear(),
            },
        }
    }
}

/// Tells the shell of each new size of the terminal, and puts the terminal in raw mode again when Larder has been
/// stopped and goes on: whoever stopped it took the terminal back. Ends only by an error.
async fn follow_size(held: &Held, guest: &OwnedFd) -> Error {
    let listen = |kind| signal(kind).context(|| "cannot listen for the terminal's signals".to_owned());
    let signals = listen(SignalKind::window_change()).and_then(|size| Ok((size, listen(SignalKind::from_raw(CONT))?)));
    let (mut resized, mut continued) = match signals {
        Ok(signals) => signals,
        Err(error) => return error,
    };
    loop {
        // Once before the first signal, too: it may have changed while the shell was being started.
        set_size(guest, held.terminal.size());
        tokio::select! {
            _ = resized.recv() => {}
            _ = continued.recv() => drop(held.make_raw()),
        }
    }
}

const CONT: i32 = nix::libc::SIGCONT;

fn set_size(guest: &OwnedFd, size: WindowSize) {
    let size = rustix::termios::Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // Refused only by a terminal whose shell is about to be told as ended.
    let _ = rustix::termios::tcsetwinsize(guest, size);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_says_where_one_is_and_lets_no_log_line_speak_to_the_terminal() {
        let banner = Banner {
            deadline: true,
            build: "rootfs.debian".to_owned(),
            step: "provision shell 2/3".to_owned(),
            reason: "script exited with status 100".to_owned(),
            lines: (0..30).map(|n| format!("line {n}\x1b]52;c;eA==\x07\x1b[2J")).collect(),
        };
        let text = banner.text();
        assert!(
            text.starts_with("==> rootfs.debian: shell in the guest, at step \"provision shell 2/3\"\r\n"),
            "{text}"
        );
        assert!(text.contains("status 100") && text.contains("`exit`") && text.contains("time-out waits"));
        assert!(!Banner { deadline: false, ..banner.clone() }.text().contains("time-out"));
        assert!(!text.contains("line 9") && text.contains("| line 10\r\n") && text.contains("| line 29\r\n"));
        assert!(!text.contains('\x1b') && text.matches('\n').count() == text.matches("\r\n").count());
    }

    #[test]
    fn a_guest_is_told_of_a_terminal_it_knows() {
        for (term, told) in [
            ("xterm-256color", "xterm-256color"),
            ("xterm-kitty", "xterm-256color"),
            ("alacritty", "xterm-256color"),
            ("tmux-256color", "tmux-256color"),
            ("screen.xterm-256color", "screen"),
            ("linux", "linux"),
            ("", "dumb"),
        ] {
            assert_eq!(guest_term(term), told, "{term}");
        }
    }
}
