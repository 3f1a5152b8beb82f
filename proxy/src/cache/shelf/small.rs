//! Small bodies in memory, with the files that connections had better send them from.

use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;

use crate::descriptors;
use crate::direct::WORTH;
use crate::store::Digest;

/// Bodies up to this size are kept in memory.
pub(super) const SMALL: u64 = 64 * 1024;
const BUDGET: usize = 64 * 1024 * 1024;
/// As many as the largest of them fill the budget.
const FILES: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

/// Those that were asked for last.
pub(super) struct Small {
    bodies: LruCache<Digest, Bytes>,
    bytes: usize,
    files: LruCache<Digest, Arc<File>>,
}

impl Small {
    pub(super) fn new() -> Self {
        let files = LruCache::new(descriptors::share(FILES));
        Self { bodies: LruCache::unbounded(), bytes: 0, files }
    }

    /// A body, and its file where that is worth while.
    pub(super) fn get(&mut self, digest: &Digest) -> Option<(Bytes, Option<Arc<File>>)> {
        let bytes = self.bodies.get(digest)?.clone();
        let file = if bytes.len() as u64 >= WORTH { self.files.get(digest).cloned() } else { None };
        Some((bytes, file))
    }

    /// Keeps a body in place of those that were not asked for the longest.
    pub(super) fn keep(&mut self, digest: Digest, bytes: Bytes, file: Option<Arc<File>>) {
        if let Some(file) = file {
            self.files.put(digest, file);
        }
        self.bytes += bytes.len();
        if let Some(old) = self.bodies.put(digest, bytes) {
            self.bytes -= old.len();
        }
        while self.bytes > BUDGET {
            let Some((digest, old)) = self.bodies.pop_lru() else { break };
            self.bytes -= old.len();
            self.files.pop(&digest);
        }
    }

    /// Lets go of a file, which is damaged: what is in memory was checked.
    pub(super) fn forget_file(&mut self, digest: &Digest) {
        self.files.pop(digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_files_are_bounded_together() {
        let mut small = Small::new();
        let file = Arc::new(tempfile::tempfile().unwrap());
        let body = |number: usize| Bytes::from(vec![number.to_le_bytes()[0]; 60 * 1024 + number]);
        let digest = |number: usize| Digest::of(&number.to_le_bytes());
        let count = BUDGET / (60 * 1024) + 50;
        for number in 0..count {
            small.keep(digest(number), body(number), Some(file.clone()));
            // The same again is counted once.
            small.keep(digest(number), body(number), Some(file.clone()));
            assert!(small.get(&digest(0)).is_some(), "what is asked for stays");
        }
        assert!(small.bytes <= BUDGET && small.bytes > BUDGET - 128 * 1024);
        assert_eq!(small.bytes, small.bodies.iter().map(|(_, body)| body.len()).sum::<usize>());
        assert!(small.get(&digest(1)).is_none() && small.get(&digest(count - 1)).is_some());
        assert!(Arc::strong_count(&file) <= FILES.get() + 1);
        small.forget_file(&digest(0));
        assert!(matches!(small.get(&digest(0)), Some((bytes, None)) if bytes == body(0)));
        // A file is no use for what is smaller than its own system call.
        small.keep(digest(count), Bytes::from_static(b"x"), Some(file));
        assert!(matches!(small.get(&digest(count)), Some((_, None))));
    }
}
