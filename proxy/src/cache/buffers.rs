//! The buffers that large bodies are read into, used again and again: a fresh one costs as much as reading into it,
//! since its pages are cleared first.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of a buffer.
pub(super) const SIZE: usize = 256 * 1024;
/// Buffers kept for the next: 8 MB.
const KEPT: usize = 32;

/// Buffers that wait for use.
pub(super) struct Buffers {
    free: Mutex<Vec<Box<[u8]>>>,
}

/// A buffer in use; it goes back when it is dropped.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    /// How much of it is wanted, or filled.
    count: usize,
    home: &'static Buffers,
}

impl Buffers {
    pub(super) const fn new() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }

    /// A buffer for so many bytes, with anything in it. Only those of [`SIZE`] are kept: many slow clients must not hold
    /// more than they need.
    pub(super) fn take(&'static self, count: usize) -> Buffer {
        let kept = if count == SIZE { self.free.lock().unwrap_or_else(PoisonError::into_inner).pop() } else { None };
        let bytes = kept.unwrap_or_else(|| vec![0; count].into_boxed_slice());
        Buffer { bytes, count, home: self }
    }
}

impl Buffer {
    /// Where the bytes go.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first bytes of it, without a copy.
    pub(super) fn filled(mut self, count: usize) -> Bytes {
        self.count = count.min(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.free.lock().unwrap_or_else(PoisonError::into_inner);
        if self.bytes.len() == SIZE && free.len() < KEPT {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_nobody_reads_it() {
        static BUFFERS: Buffers = Buffers::new();
        let mut buffer = BUFFERS.take(SIZE);
        buffer.room()[..3].copy_from_slice(b"abc");
        let bytes = buffer.filled(3);
        let place = bytes.as_ptr();
        let part = bytes.slice(1..);
        drop(bytes);
        let other = BUFFERS.take(SIZE);
        assert_ne!(other.bytes.as_ptr(), place, "it is still being read");
        assert_eq!(&part[..], b"bc");
        drop(part);
        assert_eq!(BUFFERS.take(SIZE).bytes.as_ptr(), place);
        drop((other, BUFFERS.take(100)));
        let many: Vec<_> = (0..2 * KEPT).map(|_| BUFFERS.take(SIZE)).collect();
        drop(many);
        let free = BUFFERS.free.lock().unwrap();
        assert!(free.len() == KEPT && free.iter().all(|buffer| buffer.len() == SIZE));
    }
}
