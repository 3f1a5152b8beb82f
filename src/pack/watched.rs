//! Bytes on their way, which can be stopped and counted.

use std::io::{self, Read, Write};

use tokio_util::sync::CancellationToken;

/// Passes on what is read from it or written to it, until it is cancelled.
pub struct Stoppable<'a, T> {
    inner: T,
    cancel: &'a CancellationToken,
}

impl<'a, T> Stoppable<'a, T> {
    /// Fails once `cancel` has fired.
    pub fn new(inner: T, cancel: &'a CancellationToken) -> Self {
        Self { inner, cancel }
    }

    /// Gives back what it passes on from or to.
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn check(&self) -> io::Result<()> {
        if self.cancel.is_cancelled() { Err(io::Error::other("cancelled")) } else { Ok(()) }
    }
}

impl<T: Read> Read for Stoppable<'_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for Stoppable<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Passes on what is written to it, until it is cancelled.
pub struct Watched<'a, W> {
    output: Stoppable<'a, W>,
    tell: &'a mut dyn FnMut(u64),
    done: u64,
}

impl<'a, W: Write> Watched<'a, W> {
    /// Fails once `cancel` has fired. `tell` is called now and then with how many bytes there have been.
    pub fn new(output: W, cancel: &'a CancellationToken, tell: &'a mut dyn FnMut(u64)) -> Self {
        Self { output: Stoppable::new(output, cancel), tell, done: 0 }
    }

    /// Gives the output back.
    pub fn into_inner(self) -> W {
        self.output.into_inner()
    }
}

impl<W: Write> Write for Watched<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
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
