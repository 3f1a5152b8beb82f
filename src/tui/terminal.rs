//! The terminal: taken over, handed over, given back.
//!
//! While the UI has it, standard error leads to the UI's messages, so that nothing can be written across the screen.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use ratatui::crossterm::terminal::{EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{execute, queue};
use rustix::termios::{OptionalActions, OutputModes, Termios};

/// What has to be put back; none while the terminal is as it was.
static TAKEN: Mutex<Option<Taken>> = Mutex::new(None);

struct Taken {
    terminal: File,
    termios: Termios,
    stderr: Option<OwnedFd>,
    /// Whether the alternate screen is on.
    screen: bool,
}

fn taken() -> MutexGuard<'static, Option<Taken>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the UI draws on.
pub type Screen = Terminal<CrosstermBackend<BufWriter<File>>>;

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

/// Takes the terminal, and lets `aside` take the place of standard error. Taking it again changes the mode.
pub fn take(mode: Mode, aside: BorrowedFd<'_>) -> io::Result<()> {
    let mut slot = taken();
    let state = match &mut *slot {
        Some(state) => state,
        None => {
            let terminal = open()?;
            let termios = rustix::termios::tcgetattr(&terminal)?;
            slot.insert(Taken { terminal, termios, stderr: None, screen: false })
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
            execute!(state.terminal, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
            if mouse {
                execute!(state.terminal, EnableMouseCapture)?;
            }
            state.screen = true;
        }
        Mode::Stream => leave_screen(state)?,
    }
    Ok(())
}

fn leave_screen(state: &mut Taken) -> io::Result<()> {
    if std::mem::take(&mut state.screen) {
        // A frame may have been given up half-way.
        queue!(state.terminal, EndSynchronizedUpdate)?;
        queue!(state.terminal, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show)?;
    }
    state.terminal.flush()
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

/// Does `draw` if the UI has the terminal. It is not given back meanwhile: what is drawn later would stay.
pub fn draw(draw: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let slot = taken();
    if slot.as_ref().is_some_and(|state| state.screen) { draw() } else { Ok(()) }
}

/// Puts everything back as it was. Does nothing where that has been done already: it may be called from anywhere, any
/// number of times.
pub fn restore() {
    crate::output::terminal::restore();
    let Some(mut state) = taken().take() else { return };
    // A terminal that is gone needs nothing put back.
    let _ = leave_screen(&mut state);
    let _ = rustix::termios::tcsetattr(&state.terminal, OptionalActions::Now, &state.termios);
    if let Some(stderr) = &state.stderr {
        let _ = nix::unistd::dup2_stderr(stderr);
    }
}

/// Something to draw on: a duplicate of the terminal taken.
pub fn screen() -> io::Result<Screen> {
    let slot = taken();
    let state = slot.as_ref().ok_or_else(|| io::Error::other("the terminal has not been taken"))?;
    let file = state.terminal.try_clone()?;
    Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, file)))
}
