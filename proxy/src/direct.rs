//! Stored bodies that the kernel sends from their file to a plain connection, without a copy in this process.
//!
//! hyper writes slices of memory. For a piece of a file it is given a slice of a region that holds nothing, and the
//! connection, to which hyper's slices come in their order, sends the piece in its place (sendfile(2)). Both sides agree
//! through an [`Outbox`], which only connections have that do this: no stand-in comes to TLS, or to HTTP/2.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::taking::Taking;

/// Most bytes of one piece: what others can wait for.
pub(crate) const PIECE: usize = 1024 * 1024;
/// Bytes given to the kernel at a time: the socket hears nothing of its reader meanwhile (docs/decisions/0011).
const AT_ONCE: usize = 256 * 1024;
/// From here on it is worth the second system call.
pub(crate) const WORTH: u64 = 16 * 1024;
/// Bytes copied at a time from a file that the kernel does not send.
const COPIED: usize = 64 * 1024;

/// Bytes that are copied to be written as one.
const SMALL: usize = 4 * 1024;

/// Never read: the pages of it do not exist.
static STAND_IN: [u8; PIECE] = [0; PIECE];

/// Pieces of files that hyper has been given stand-ins for, in the order in which they come to the connection.
pub(crate) struct Outbox {
    pieces: Mutex<VecDeque<Piece>>,
    /// hyper asks for the next piece only when this one is sent, which takes a slow client its time.
    taking: Arc<Taking>,
}

/// Bytes `begin..end` of a file, of which those up to `at` are sent.
struct Piece {
    file: Arc<File>,
    begin: u64,
    at: u64,
    end: u64,
}

impl Outbox {
    /// What stands for bytes `from..to` of a file, or as many of them as are sent at a time; to be given to hyper next.
    pub(crate) fn stand_in(&self, file: Arc<File>, from: u64, to: u64) -> Bytes {
        let end = to.min(from + PIECE as u64);
        self.lock().push_back(Piece { file, begin: from, at: from, end });
        Bytes::from_static(&STAND_IN[..usize::try_from(end - from).unwrap_or(PIECE)])
    }

    /// Sends what is ahead of a stand-in, and of what it stands for as much as the socket takes.
    fn send(&self, socket: &TcpStream, ahead: &[IoSlice<'_>], stand_in: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        if !ahead.is_empty() {
            let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
            let none = || SendAncillaryBuffer::default();
            sent = retry_on_intr(|| rustix::net::sendmsg(socket, ahead, &mut none(), flags))?;
            if sent < ahead.iter().map(|slice| slice.len()).sum() {
                return Ok(sent);
            }
        }
        let mut rest = stand_in;
        while !rest.is_empty() {
            match self.send_piece(socket, rest) {
                Ok(count) => (sent, rest) = (sent + count, &rest[count..]),
                // It is met again, if it is not over by then.
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    fn send_piece(&self, socket: &TcpStream, stand_in: &[u8]) -> io::Result<usize> {
        let mut pieces = self.lock();
        let piece = pieces.front_mut().filter(|piece| piece.is_meant_by(stand_in));
        // Nothing is better than bytes of something else.
        let piece =
            piece.ok_or_else(|| io::Error::other("an answer's bytes came to the connection in another order"))?;
        let (mut at, count) = (piece.at, stand_in.len().min(AT_ONCE));
        let count = match rustix::fs::sendfile(socket, &piece.file, Some(&mut at), count) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => piece.copy(socket)?,
            sent => sent?,
        };
        if count == 0 {
            let message = "the stored body is shorter than its entry says";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        self.taking.took();
        piece.at += count as u64;
        if piece.at >= piece.end {
            pieces.pop_front();
        }
        Ok(count)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Piece {
    /// Whether a stand-in is for exactly what is left of it.
    fn is_meant_by(&self, stand_in: &[u8]) -> bool {
        let sent = usize::try_from(self.at - self.begin).unwrap_or(usize::MAX);
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        STAND_IN.get(sent..).is_some_and(|rest| rest.as_ptr() == stand_in.as_ptr()) && left == stand_in.len()
    }

    /// Sends by a copy, for file systems that cannot do without.
    fn copy(&self, socket: &TcpStream) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let mut buffer = vec![0; left.min(COPIED)];
        let read = self.file.read_at(&mut buffer, self.at)?;
        Ok(retry_on_intr(|| rustix::net::send(socket, &buffer[..read], SendFlags::NOSIGNAL))?)
    }
}

fn is_stand_in(slice: &[u8]) -> bool {
    !slice.is_empty() && STAND_IN.as_ptr_range().contains(&slice.as_ptr())
}

/// A plain connection that sends what stand-ins stand for.
pub(crate) struct Direct {
    stream: TcpStream,
    outbox: Arc<Outbox>,
}

impl Direct {
    /// Tells `taking` of what its client takes of files.
    pub(crate) fn new(stream: TcpStream, taking: Arc<Taking>) -> Self {
        Self { stream, outbox: Arc::new(Outbox { pieces: Mutex::default(), taking }) }
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

thread_local! {
    static TOGETHER: RefCell<Vec<u8>> = RefCell::default();
}

impl Direct {
    /// Writes what is small as one slice, which costs the kernel less than two.
    fn write_together(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        match slices {
            [one] => stream.poll_write(cx, one),
            _ if slices.iter().map(|slice| slice.len()).sum::<usize>() > SMALL => {
                stream.poll_write_vectored(cx, slices)
            }
            _ => TOGETHER.with_borrow_mut(|together| {
                together.clear();
                for slice in slices {
                    together.extend_from_slice(slice);
                }
                stream.poll_write(cx, together)
            }),
        }
    }
}

impl AsyncRead for Direct {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Direct {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(at) = slices.iter().position(|slice| is_stand_in(slice)) else {
            return self.write_together(cx, slices);
        };
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            let send = || self.outbox.send(&self.stream, &slices[..at], &slices[at]);
            match self.stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
