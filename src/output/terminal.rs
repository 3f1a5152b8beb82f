//! The user's terminal, handed over: to a shell in a guest, to an editor, to a pager.
//!
//! It is opened anew for that, so that its descriptor can be read without waiting and nothing of it shows in those that
//! Larder has inherited. However a hand-over ends, the terminal gets back what it had: [`Held`] does so when dropped,
//! and [`restore`] for those who end the process without unwinding.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, Termios};

use crate::engine::shell::WindowSize;
use crate::error::{Context as _, Error, Result};
use filter::Filter;

pub mod filter;
pub mod guest_shell;
pub mod program;

/// What the terminal is given back, while it is handed over to a guest. There is one terminal in a process.
static HELD: Mutex<Option<Saved>> = Mutex::new(None);

struct Saved {
    terminal: Arc<OwnedFd>,
    attributes: Termios,
    filter: Arc<Mutex<Filter>>,
}

/// The terminal that this process was started from.
#[derive(Clone, Debug)]
pub struct Terminal {
    descriptor: Arc<OwnedFd>,
}

impl Terminal {
    /// Opens the controlling terminal.
    pub fn open() -> Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::open("/dev/tty", flags, Mode::empty());
        let descriptor = opened.map_err(|error| {
            Error::new("cannot open the terminal (/dev/tty)")
                .caused_by(io::Error::from(error))
                .hint("start Larder from a terminal; in a container, with `-it`")
        })?;
        Ok(Self { descriptor: Arc::new(descriptor) })
    }

    /// Its size; 80x24 for one that does not know.
    pub fn size(&self) -> WindowSize {
        match rustix::termios::tcgetwinsize(&self.descriptor) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => WindowSize { rows: size.ws_row, columns: size.ws_col },
            _ => WindowSize { rows: 24, columns: 80 },
        }
    }

    /// Puts it in raw mode: each key is a guest's.
    fn hold(&self) -> Result<Held> {
        let saving = || "cannot ask for the terminal's settings".to_owned();
        let attributes = rustix::termios::tcgetattr(&self.descriptor).context(saving)?;
        let filter = Arc::new(Mutex::new(Filter::default()));
        let held = {
            let mut held = lock(&HELD);
            if held.is_some() {
                return Err(Error::new("the terminal is handed over already").hint("end that shell first"));
            }
            *held = Some(Saved {
                terminal: self.descriptor.clone(),
                attributes: attributes.clone(),
                filter: filter.clone(),
            });
            Held { terminal: self.clone(), attributes, filter }
        };
        held.make_raw().context(|| "cannot put the terminal in raw mode".to_owned())?;
        Ok(held)
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// A terminal in raw mode, until dropped.
struct Held {
    terminal: Terminal,
    attributes: Termios,
    filter: Arc<Mutex<Filter>>,
}

impl Held {
    fn make_raw(&self) -> io::Result<()> {
        let mut raw = self.attributes.clone();
        raw.make_raw();
        Ok(rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, &raw)?)
    }

    /// What a guest may do to the terminal of what it wrote.
    fn pass(&self, bytes: &[u8]) -> Vec<u8> {
        lock(&self.filter).pass(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back what it had before it was handed over to a guest, if it is. For panic hooks, and before the
/// process is ended at once.
pub fn restore() {
    let Some(saved) = lock(&HELD).take() else { return };
    // A panic hook may run while the filter is at work.
    let reset = match saved.filter.try_lock() {
        Ok(mut filter) => filter.reset(),
        Err(TryLockError::Poisoned(filter)) => filter.into_inner().reset(),
        Err(TryLockError::WouldBlock) => Filter::default().reset(),
    };
    let _ = rustix::io::write(&saved.terminal, &reset);
    let _ = rustix::termios::tcsetattr(&saved.terminal, OptionalActions::Now, &saved.attributes);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
