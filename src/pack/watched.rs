//! Bytes on their way, which can be stopped and counted.

use std::io::{self, Write};

use tokio_util::sync::CancellationToken;

/// Passes on what is written to it, until it is cancelled.
pub struct Watched<'a, W> {
    output: W,
    cancel: &'a CancellationToken,
    tell: &'a mut dyn FnMut(u64),
    done: u64,
}

impl<'a, W: Write> Watched<'a, W> {
    /// Fails once `cancel` has fired. `tell` is called now and then with how many bytes there have been.
    pub fn new(output: W, cancel: &'a CancellationToken, tell: &'a mut dyn FnMut(u64)) -> Self {
        Self { output, cancel, tell, done: 0 }
    }

    /// Gives the output back.
    pub fn into_inner(self) -> W {
        self.output
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let count = self.output.write(bytes)?;
        let before = self.done;
        self.done += count as u64;
        // Once a mebibyte.
        if before >> 20 != self.done >> 20 {
            (self.tell)(self.done);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
