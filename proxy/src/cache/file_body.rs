//! A body read from a file: a stored blob, or one that is still arriving.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use rustix::io::ReadWriteFlags;
use tokio::sync::{mpsc, watch};

use super::buffers::{self, Buffers};
use super::progress::{End, Progress};
use crate::direct::{Outbox, PIECE};
use crate::flow::FlowRecorder;

/// Bytes given until others have their turn.
const TURN: u64 = buffers::SIZE as u64;

static BUFFERS: Buffers = Buffers::new();

type Waiting = Pin<Box<dyn Future<Output = io::Result<Event>> + Send + Sync>>;

/// The rest of a body that the store had no room for.
struct Tail {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// Position in the body of the next chunk; set when the tail begins.
    position: Option<u64>,
}

enum Event {
    Bytes(Bytes),
    /// The fetch moved on.
    Moved(watch::Receiver<Progress>),
}

/// Bytes `offset..end` of a file.
pub(super) struct FileBody {
    file: Arc<File>,
    offset: u64,
    /// Where to stop; `None` for a body whose length is not known yet.
    end: Option<u64>,
    /// The fetch that writes the file, while it is arriving.
    progress: Option<watch::Receiver<Progress>>,
    waiting: Option<Waiting>,
    /// What comes after the file, should the store fail; only who began the fetch has it.
    tail: Option<Tail>,
    /// Counts the bytes as read from the cache.
    counter: Option<Arc<FlowRecorder>>,
    /// Of a connection that sends files itself.
    outbox: Option<Arc<Outbox>>,
    /// Bytes given since others had their turn.
    given: u64,
}

impl FileBody {
    /// Part of a file that is whole.
    pub(super) fn whole(file: Arc<File>, part: (u64, u64), counter: Option<Arc<FlowRecorder>>) -> Self {
        Self {
            file,
            offset: part.0,
            end: Some(part.1),
            progress: None,
            waiting: None,
            tail: None,
            counter,
            outbox: None,
            given: 0,
        }
    }

    /// The same, sent by the connection as far as the disk need not be waited for.
    pub(super) fn by(self, outbox: Arc<Outbox>) -> Self {
        Self { outbox: Some(outbox), ..self }
    }

    /// Part of a file that is arriving.
    pub(super) fn arriving(
        file: Arc<File>,
        part: (u64, Option<u64>),
        progress: watch::Receiver<Progress>,
        tail: Option<mpsc::Receiver<io::Result<Bytes>>>,
        counter: Option<Arc<FlowRecorder>>,
    ) -> Self {
        let tail = tail.map(|chunks| Tail { chunks, position: None });
        Self {
            file,
            offset: part.0,
            end: part.1,
            progress: Some(progress),
            waiting: None,
            tail,
            counter,
            outbox: None,
            given: 0,
        }
    }

    fn emit(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.offset += bytes.len() as u64;
        self.given += bytes.len() as u64;
        if let Some(counter) = &self.counter {
            counter.update(|flow| flow.bytes_cache += bytes.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    /// How far the file may be read now, or how the body ended.
    fn readable(&mut self) -> io::Result<Readable> {
        if self.end.is_some_and(|end| self.offset >= end) {
            return Ok(Readable::End);
        }
        let Some(progress) = &mut self.progress else {
            return Ok(Readable::To(self.end.unwrap_or(self.offset)));
        };
        let seen = progress.borrow_and_update();
        let limit = self.end.map_or(seen.available, |end| end.min(seen.available));
        if limit > self.offset {
            let recent = seen.recent.as_ref().and_then(|recent| recent.at(self.offset, limit));
            return Ok(recent.map_or(Readable::To(limit), Readable::Memory));
        }
        match &seen.end {
            None => Ok(Readable::Later),
            Some(End::Whole) if self.end.is_none() => Ok(Readable::End),
            Some(End::Whole) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body is shorter than announced")),
            Some(End::Spilled) => match &mut self.tail {
                Some(tail) => {
                    tail.position.get_or_insert(seen.available);
                    Ok(Readable::Tail)
                }
                None => Err(io::Error::other("the cache could not be written")),
            },
            Some(End::Broken(why)) => Err(io::Error::other(why.to_string())),
        }
    }

    /// The wanted part of the tail's next chunk, which may be empty.
    fn poll_tail(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(tail) = &mut self.tail else { return Poll::Ready(None) };
        let at = tail.position.unwrap_or(self.offset);
        match std::task::ready!(tail.chunks.poll_recv(context)) {
            Some(Ok(chunk)) => {
                let end = at + chunk.len() as u64;
                tail.position = Some(end);
                let index = |position: u64| usize::try_from(position.clamp(at, end) - at).unwrap_or(0);
                Poll::Ready(Some(Ok(chunk.slice(index(self.offset)..index(self.end.unwrap_or(end))))))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None if self.end.is_some() => {
                Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "upstream ended too early"))))
            }
            None => Poll::Ready(None),
        }
    }

    fn wait(&mut self) {
        if let Some(mut progress) = self.progress.take() {
            self.waiting = Some(Box::pin(async move {
                // A fetch that vanished without an end was cancelled.
                progress.changed().await.map_err(|_| io::Error::other("the fetch was cancelled"))?;
                Ok(Event::Moved(progress))
            }));
        }
    }

    fn read_blocking(&mut self, count: usize) {
        let (file, offset) = (self.file.clone(), self.offset);
        let task = tokio::task::spawn_blocking(move || {
            let mut buffer = BUFFERS.take(count);
            let read = file.read_at(buffer.room(), offset)?;
            Ok(buffer.filled(read))
        });
        self.waiting = Some(Box::pin(async move { task.await.map_err(io::Error::other)?.map(Event::Bytes) }));
    }
}

enum Readable {
    To(u64),
    Memory(Bytes),
    Later,
    Tail,
    End,
}

/// Reads what the page cache holds; `None` when the disk would have to be waited for.
fn read_cached(file: &File, offset: u64, count: usize) -> Option<Bytes> {
    let mut buffer = BUFFERS.take(count);
    let mut slices = [IoSliceMut::new(buffer.room())];
    // Whatever the error, the blocking read meets it again and reports it.
    match rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
        Ok(0) | Err(_) => None,
        Ok(read) => Some(buffer.filled(read)),
    }
}

/// Whether the page cache holds a byte; what is before it has been read before it.
fn is_cached(file: &File, at: u64) -> bool {
    let mut byte = [0];
    matches!(rustix::io::preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT), Ok(1))
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        // What is in memory is always ready: a client that reads as fast as we write would keep the thread to itself, and
        // two hundred of them would keep everybody else waiting for seconds.
        if self.given >= TURN {
            self.given = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                let event = std::task::ready!(waiting.as_mut().poll(context));
                self.waiting = None;
                match event? {
                    Event::Moved(progress) => self.progress = Some(progress),
                    Event::Bytes(bytes) if bytes.is_empty() => {
                        let message = "the stored body is shorter than its entry says";
                        return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))));
                    }
                    Event::Bytes(bytes) => return self.emit(bytes),
                }
            }
            match self.readable()? {
                Readable::End => return Poll::Ready(None),
                Readable::Later => self.wait(),
                Readable::Memory(bytes) => return self.emit(bytes),
                Readable::Tail => match std::task::ready!(self.poll_tail(context)) {
                    Some(Ok(bytes)) if bytes.is_empty() => {}
                    Some(Ok(bytes)) => return self.emit(bytes),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => return Poll::Ready(None),
                },
                Readable::To(limit) => {
                    let left = usize::try_from(limit - self.offset).unwrap_or(usize::MAX);
                    let count = left.min(buffers::SIZE);
                    let ready = match &self.outbox {
                        Some(outbox) => is_cached(&self.file, limit.min(self.offset + PIECE as u64) - 1)
                            .then(|| outbox.stand_in(self.file.clone(), self.offset, limit)),
                        None => read_cached(&self.file, self.offset, count),
                    };
                    match ready {
                        Some(bytes) => return self.emit(bytes),
                        None => self.read_blocking(count),
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.end.is_some_and(|end| self.offset >= end)
    }

    fn size_hint(&self) -> SizeHint {
        self.end.map_or_else(SizeHint::default, |end| SizeHint::with_exact(end.saturating_sub(self.offset)))
    }
}
