//! The terminal: taken over, handed over, given back.
//!
//! While the UI has it, standard error leads to the UI's messages, so that nothing can be written across the screen.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::queue;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, OutputModes, Termios};

/// What has to be put back; none while the terminal is as it was.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

/// How often the terminal was given back: what was made to draw on before that draws no more.
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);

/// How long a terminal that does not read may hold up giving it back.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

struct Taken {
    terminal: File,
    termios: Termios,
    stderr: Option<OwnedFd>,
    /// Whether the alternate screen is on.
    screen: bool,
    /// Whether a title was set.
    titled: bool,
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal, for drawing; fails once the terminal has been given back.
pub struct Surface {
    file: File,
    made: u64,
}

impl Surface {
    fn is_current(&self) -> io::Result<()> {
        let current = GIVEN_BACK.load(Ordering::Acquire) == self.made;
        if current { Ok(()) } else { Err(io::Error::other("the terminal has been given back")) }
    }
}

impl Write for Surface {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_current()?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the UI draws on.
pub type Screen = Terminal<CrosstermBackend<BufWriter<Surface>>>;

/// How the terminal is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The alternate screen, for the UI; with the mouse or without.
    Screen {
        /// Whether the mouse is the UI's.
        mouse: bool,
    },
    /// The normal screen with lines written as ever, and keys without echo.
    Stream,
}

/// The terminal the person sits at: standard error, else standard input.
fn open() -> io::Result<File> {
    let stderr = io::stderr();
    let fd = if rustix::termios::isatty(&stderr) {
        stderr.as_fd().try_clone_to_owned()?
    } else {
        io::stdin().as_fd().try_clone_to_owned()?
    };
    Ok(File::from(fd))
}

/// Takes the terminal, and lets `aside` take the place of standard error. Taking it again changes the mode. Where that
/// fails, what was done by then is put back.
pub fn take(mode: Mode, aside: BorrowedFd<'_>) -> io::Result<()> {
    let taken = try_take(mode, aside);
    if taken.is_err() {
        restore();
    }
    taken
}

fn try_take(mode: Mode, aside: BorrowedFd<'_>) -> io::Result<()> {
    let mut slot = taken();
    let state = match &mut *slot {
        Some(state) => state,
        None => {
            let terminal = open()?;
            let termios = rustix::termios::tcgetattr(&terminal)?;
            slot.insert(Taken { terminal, termios, stderr: None, screen: false, titled: false })
        }
    };
    let mut raw = state.termios.clone();
    raw.make_raw();
    if mode == Mode::Stream {
        raw.output_modes |= state.termios.output_modes & (OutputModes::OPOST | OutputModes::ONLCR);
    }
    rustix::termios::tcsetattr(&state.terminal, OptionalActions::Now, &raw)?;
    if state.stderr.is_none() {
        state.stderr = Some(io::stderr().as_fd().try_clone_to_owned()?);
        nix::unistd::dup2_stderr(aside)?;
    }
    match mode {
        Mode::Screen { mouse } => {
            state.screen = true;
            let mut bytes = Vec::new();
            queue!(bytes, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
            if mouse {
                queue!(bytes, EnableMouseCapture)?;
            }
            state.terminal.write_all(&bytes)
        }
        Mode::Stream => leave_screen(state),
    }
}

fn leave_screen(state: &mut Taken) -> io::Result<()> {
    let mut bytes = Vec::new();
    if std::mem::take(&mut state.screen) {
        // A frame may have been under way.
        queue!(bytes, EndSynchronizedUpdate, ResetColor, DisableMouseCapture, DisableBracketedPaste)?;
        queue!(bytes, LeaveAlternateScreen, Show)?;
    }
    if std::mem::take(&mut state.titled) {
        bytes.extend_from_slice(POP_TITLE);
    }
    if bytes.is_empty() {
        return Ok(());
    }
    // One that takes nothing any more must not keep the process from ending.
    let mut ready = [PollFd::new(&state.terminal, PollFlags::OUT)];
    if poll(&mut ready, Some(&PATIENCE))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    state.terminal.write_all(&bytes)
}

/// Whether the UI has it. For panic hooks: it does not wait.
pub fn is_taken() -> bool {
    match TAKEN.try_lock() {
        Ok(slot) => slot.is_some(),
        Err(TryLockError::Poisoned(slot)) => slot.into_inner().is_some(),
        // By whoever panicked, or somebody who is about to give it back.
        Err(TryLockError::WouldBlock) => true,
    }
}

/// Puts everything back as it was. Does nothing where that has been done already: it may be called from anywhere, any
/// number of times.
pub fn restore() {
    crate::output::terminal::restore();
    let Some(mut state) = taken().take() else { return };
    GIVEN_BACK.fetch_add(1, Ordering::AcqRel);
    // A terminal that is gone needs nothing put back.
    let _ = leave_screen(&mut state);
    let _ = rustix::termios::tcsetattr(&state.terminal, OptionalActions::Now, &state.termios);
    if let Some(stderr) = &state.stderr {
        let _ = nix::unistd::dup2_stderr(stderr);
    }
}

/// Something to draw on: a duplicate of the terminal taken, cleared.
pub fn screen() -> io::Result<Screen> {
    let slot = taken();
    let state = slot.as_ref().ok_or_else(|| io::Error::other("the terminal has not been taken"))?;
    let surface = Surface { file: state.terminal.try_clone()?, made: GIVEN_BACK.load(Ordering::Acquire) };
    drop(slot);
    // `Terminal::clear` would ask the terminal where its cursor is, and wait for the answer among the keys.
    let mut backend = CrosstermBackend::new(BufWriter::with_capacity(1 << 16, surface));
    ratatui::backend::Backend::clear(&mut backend)?;
    Terminal::new(backend)
}

/// Saves the terminal's title, and puts it back (xterm's window operations 22 and 23).
const PUSH_TITLE: &[u8] = b"\x1b[22;2t";
const POP_TITLE: &[u8] = b"\x1b[23;2t";

/// What sets the title; the old one is put back when the terminal is. To be written where frames are.
pub fn title(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(state) = &mut *taken()
        && !std::mem::replace(&mut state.titled, true)
    {
        bytes.extend_from_slice(PUSH_TITLE);
    }
    let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
    bytes.extend_from_slice(format!("\x1b]2;{text}\x07").as_bytes());
    bytes
}

/// Writes a line where standard error was before the terminal was taken.
pub fn tell(line: &str) {
    let slot = taken();
    let stderr = slot.as_ref().and_then(|state| state.stderr.as_ref()).and_then(|fd| fd.try_clone().ok());
    drop(slot);
    // Without anybody to read it there is nobody to tell.
    let _ = match stderr {
        Some(fd) => writeln!(File::from(fd), "{line}"),
        None => writeln!(io::stderr(), "{line}"),
    };
}
