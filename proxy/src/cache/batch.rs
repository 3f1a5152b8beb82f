//! What has come of bodies and is on its way to the disk: in batches, whose memory all fetches share.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Body;

/// Bytes of a batch: enough that the way to another thread and back costs little.
const MOST: usize = 1024 * 1024;
/// Bytes of a batch where too many bodies arrive at a time; it is not kept once it is written.
const LEAST: usize = 64 * 1024;
/// Kilobytes of all batches of [`MOST`].
const MEMORY: usize = 32 * 1024;

/// The memory that batches share.
#[derive(Clone)]
pub(super) struct Memory(Arc<Semaphore>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MEMORY)))
    }
}

/// Bytes gathered, to be written together.
pub(super) struct Batch {
    chunks: Vec<Bytes>,
    size: usize,
    most: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl Batch {
    pub(super) fn new(memory: &Memory) -> Self {
        let kilobytes = u32::try_from(MOST / 1024).unwrap_or(u32::MAX);
        let room = memory.0.clone().try_acquire_many_owned(kilobytes).ok();
        Self { chunks: Vec::new(), size: 0, most: if room.is_some() { MOST } else { LEAST }, room }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    pub(super) fn into_chunks(self) -> Vec<Bytes> {
        self.chunks
    }

    /// Waits for the next bytes, and takes along what else is there already; `true` when the body has ended.
    pub(super) async fn wait(&mut self, body: &mut Body) -> io::Result<bool> {
        while self.size < self.most {
            let frame = if self.is_empty() {
                body.frame().await
            } else {
                match body.frame().now_or_never() {
                    Some(frame) => frame,
                    None => break,
                }
            };
            let Some(frame) = frame else { return Ok(true) };
            self.add(frame?);
        }
        Ok(false)
    }

    /// Takes what comes until it is full, or the body has ended: then `true`. It may be cancelled, and called again.
    pub(super) async fn fill(&mut self, body: &mut Body) -> io::Result<bool> {
        while self.size < self.most {
            let Some(frame) = body.frame().await else { return Ok(true) };
            self.add(frame?);
        }
        Ok(false)
    }

    fn add(&mut self, frame: http_body::Frame<Bytes>) {
        if let Ok(chunk) = frame.into_data()
            && !chunk.is_empty()
        {
            self.size += chunk.len();
            self.chunks.push(chunk);
        }
    }

    /// The same once it is written, for those who read along; `from` is its position in the body. Nothing where memory
    /// is short.
    pub(super) fn recent(self, from: u64) -> Option<Recent> {
        let mut room = self.room?;
        let unused = room.num_permits().saturating_sub(self.size.div_ceil(1024));
        drop(room.split(unused));
        Some(Recent { from, chunks: self.chunks, _room: room })
    }
}

/// Bytes of a body that were written a moment ago.
#[derive(Debug)]
pub(super) struct Recent {
    from: u64,
    chunks: Vec<Bytes>,
    _room: OwnedSemaphorePermit,
}

impl Recent {
    /// What there is from a position on, without a copy, before `end`.
    pub(super) fn at(&self, position: u64, end: u64) -> Option<Bytes> {
        let mut from = self.from;
        for chunk in &self.chunks {
            let to = from + chunk.len() as u64;
            if (from..to).contains(&position) && position < end {
                let index = |position: u64| usize::try_from(position - from).unwrap_or(0);
                return Some(chunk.slice(index(position)..index(to.min(end))));
            }
            from = to;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_by_its_position() {
        let mut batch = Batch::new(&Memory::default());
        for part in ["abc", "defg", "h"] {
            batch.add(http_body::Frame::data(Bytes::from_static(part.as_bytes())));
        }
        let recent = batch.recent(10).unwrap();
        for (position, end, expected) in [
            (9, 99, None),
            (10, 99, Some("abc")),
            (11, 12, Some("b")),
            (12, 14, Some("c")),
            (13, 14, Some("d")),
            (16, 99, Some("g")),
            (17, 99, Some("h")),
            (17, 17, None),
            (18, 99, None),
        ] {
            assert_eq!(recent.at(position, end).as_deref(), expected.map(str::as_bytes), "{position} to {end}");
        }
    }

    #[test]
    fn memory_is_shared_and_given_back() {
        let memory = Memory::default();
        let mut all: Vec<Batch> = (0..MEMORY * 1024 / MOST).map(|_| Batch::new(&memory)).collect();
        let one_too_many = Batch::new(&memory);
        assert_eq!((one_too_many.most, one_too_many.room.is_none()), (LEAST, true));
        assert!(one_too_many.recent(0).is_none());
        let mut small = all.pop().unwrap();
        small.add(http_body::Frame::data(Bytes::from_static(b"x")));
        let kept = small.recent(0).unwrap();
        assert_eq!(memory.0.available_permits(), MOST / 1024 - 1);
        drop((all, kept));
        assert_eq!(memory.0.available_permits(), MEMORY);
    }
}
