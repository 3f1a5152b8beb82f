//! How far a long reading or writing is, on one line of a terminal.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::output::text::bytes;

const OFTEN: Duration = Duration::from_millis(200);

/// A line that is written over, and gone at the end. Without a terminal there is none.
pub(super) struct Progress {
    what: &'static str,
    last: Cell<Option<Instant>>,
    terminal: bool,
    shown: Cell<bool>,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        Self {
            what,
            last: Cell::new(Some(Instant::now())),
            terminal: io::stderr().is_terminal(),
            shown: Cell::new(false),
        }
    }

    pub(super) fn show(&self, done: u64, total: Option<u64>) {
        if !self.terminal || self.last.get().is_some_and(|last| last.elapsed() < OFTEN) {
            return;
        }
        self.last.set(Some(Instant::now()));
        self.shown.set(true);
        let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
        let _ = write!(io::stderr().lock(), "\r\x1b[K{} {}{of}", self.what, bytes(done));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.get() {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}
