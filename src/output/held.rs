//! Output that is held back while the terminal belongs to somebody else: an editor, a shell in a guest.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many bytes are kept to be shown later; the logs have everything.
const LIMIT: usize = 1 << 20;

/// A writer whose output can be held back. Clones write to the same place.
#[derive(Debug)]
pub struct Held<W: Write> {
    shared: Arc<Mutex<State<W>>>,
}

#[derive(Debug)]
struct State<W> {
    out: W,
    holders: usize,
    kept: Vec<u8>,
    /// Lines that were not kept.
    lines: usize,
}

impl<W: Write> Clone for Held<W> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<W: Write> Held<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { shared: Arc::new(Mutex::new(State { out, holders: 0, kept: Vec::new(), lines: 0 })) }
    }

    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the output back until what is returned is dropped.
    #[must_use]
    pub fn hold(&self) -> Hold<W> {
        self.lock().holders += 1;
        Hold(self.clone())
    }
}

impl<W: Write> Write for Held<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.holders == 0 {
            return state.out.write(bytes);
        }
        if state.lines == 0 && state.kept.len() + bytes.len() <= LIMIT {
            state.kept.extend_from_slice(bytes);
        } else {
            state.lines += bytes.split(|byte| *byte == b'\n').count() - 1;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut state = self.lock();
        if state.holders == 0 { state.out.flush() } else { Ok(()) }
    }
}

/// Holds output back for as long as it lives.
#[derive(Debug)]
pub struct Hold<W: Write>(Held<W>);

impl<W: Write> Drop for Hold<W> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.holders -= 1;
        if state.holders > 0 {
            return;
        }
        let (kept, lines) = (std::mem::take(&mut state.kept), std::mem::take(&mut state.lines));
        // Whoever closed it hears of it at the next write.
        let _ = state.out.write_all(&kept);
        if lines > 0 {
            let _ = writeln!(state.out, "({lines} lines more: they are in the logs of the builds)");
        }
        let _ = state.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_meanwhile_comes_afterwards() {
        let mut held = Held::new(Vec::new());
        let seen = |held: &Held<Vec<u8>>| String::from_utf8(held.lock().out.clone()).unwrap();
        held.write_all(b"a\n").unwrap();
        let (one, two) = (held.hold(), held.hold());
        held.write_all(b"b\n").unwrap();
        drop(one);
        assert_eq!(seen(&held), "a\n");
        drop(two);
        assert_eq!(seen(&held), "a\nb\n");
        let hold = held.hold();
        held.write_all(&vec![b'x'; LIMIT]).unwrap();
        held.write_all(b"\nc\nd\n").unwrap();
        drop(hold);
        let seen = seen(&held);
        assert!(seen.ends_with("(3 lines more: they are in the logs of the builds)\n"), "{}", &seen[seen.len() - 80..]);
    }
}
