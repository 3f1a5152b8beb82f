//! What digest a body must have: as its URL says, or as an index said that passed.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};
use http::header::CONTENT_ENCODING;
use lru::LruCache;

use super::learn::{promise_key, same_origin};
use super::{Inner, Key};
use crate::near::Near;
use crate::rules::{Nature, Promised, Verdict};
use crate::store::{Digest, Entry, Learnt, Store};

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(64 * 1024).expect("not zero");
/// What a thread remembers for itself.
const NEAR: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// What is known of a body before it is there.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub promised: Promised,
    /// The same, where it is the digest that bodies are named by.
    pub sha256: Option<Digest>,
    pub size: Option<u64>,
    /// The index that says so; `None` where it is the URL itself.
    pub source: Option<String>,
    /// Whether a body that differs is wrong. What an index of an earlier run said of something that changes only helps
    /// to recognise it.
    pub binding: bool,
}

/// The front of the promises in memory.
#[derive(Debug)]
pub(super) struct Promises {
    learnt: Mutex<LruCache<[u8; 16], Option<Arc<Learnt>>>>,
    /// Counts how often all was forgotten.
    generation: AtomicU64,
    /// Whether a blob has a digest that is not its name.
    checked: Mutex<LruCache<(Digest, String), bool>>,
    /// Indexes whose promises upstream does not keep: they may be old.
    suspects: Mutex<HashSet<[u8; 16]>>,
    /// How many those are, to be looked at first.
    suspected: AtomicUsize,
    /// What a thread has found lately, and at which generation.
    near: Near<[u8; 16], Option<Arc<Learnt>>>,
}

impl Default for Promises {
    fn default() -> Self {
        Self {
            learnt: Mutex::new(LruCache::new(REMEMBERED)),
            generation: AtomicU64::new(0),
            checked: Mutex::new(LruCache::new(REMEMBERED)),
            suspects: Mutex::default(),
            suspected: AtomicUsize::new(0),
            near: Near::new(NEAR),
        }
    }
}

impl Promises {
    /// Makes every look-up read the index again.
    pub(super) fn forget_all(&self) {
        let mut learnt = self.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::AcqRel);
        learnt.clear();
    }

    /// Has the next request for an index ask upstream, past every cache.
    pub(super) fn suspect(&self, source: [u8; 16]) {
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.insert(source);
        self.suspected.store(suspects.len(), Ordering::Release);
    }

    /// Whether an index is suspect; asked once.
    pub(super) fn take_suspect(&self, key: &[u8; 16]) -> bool {
        if self.suspected.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut suspects = self.suspects.lock().unwrap_or_else(PoisonError::into_inner);
        let was = suspects.remove(key);
        self.suspected.store(suspects.len(), Ordering::Release);
        was
    }
}

impl Known {
    /// Whether the entry's body is the one promised; `None` where nobody can tell.
    pub(super) fn vouches(&self, promises: &Promises, entry: &Entry) -> Option<bool> {
        let draft = &entry.draft;
        if draft.status != 200 || draft.part.is_some() {
            return None;
        }
        let same = if let Some(digest) = self.sha256 {
            digest == entry.digest
        } else {
            let key = (entry.digest, self.promised.hex.clone());
            *promises.checked.lock().unwrap_or_else(PoisonError::into_inner).get(&key)?
        };
        // A coding that the origin applied on the way is not part of what is promised.
        if !same && draft.headers.contains_key(CONTENT_ENCODING) { None } else { Some(same) }
    }
}

impl Inner {
    /// What is known of the body of a URL.
    pub(super) async fn known(&self, key: &Key, verdict: &Verdict) -> Option<Known> {
        if let Some(promised) = &verdict.promised {
            let sha256 = as_name(promised);
            return Some(Known { promised: promised.clone(), sha256, size: None, source: None, binding: true });
        }
        let learnt = self.learnt(promise_key(key)).await?;
        let is_package = matches!(verdict.nature, Nature::Immutable | Nature::Lasting);
        let binding = learnt.at >= self.since() || is_package && same_origin(&learnt.source, &key.url);
        Some(Known {
            sha256: as_name(&learnt.promise.promised),
            promised: learnt.promise.promised.clone(),
            size: learnt.promise.size,
            source: Some(learnt.source.clone()),
            binding,
        })
    }

    /// Since when a confirmation counts: the run's beginning, or when the cache was made.
    pub(super) fn since(&self) -> SystemTime {
        self.confirmed_since().unwrap_or(self.made)
    }

    async fn learnt(&self, key: [u8; 16]) -> Option<Arc<Learnt>> {
        let shelf = self.shelf.as_ref()?;
        let generation = self.promises.generation.load(Ordering::Acquire);
        if let Some(found) = self.promises.near.get(&key, generation) {
            return found;
        }
        if let Some(found) = self.promises.learnt.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            self.promises.near.put(key, generation, found.clone());
            return found.clone();
        }
        let store = shelf.store().clone();
        let found = tokio::task::spawn_blocking(move || store.promised(&key)).await;
        let found = match found {
            Ok(Ok(found)) => found.map(Arc::new),
            Ok(Err(error)) => {
                tracing::debug!(%error, "promised digests could not be looked up");
                return None;
            }
            Err(_) => return None,
        };
        let mut learnt = self.promises.learnt.lock().unwrap_or_else(PoisonError::into_inner);
        // What was read before more was learnt must not outlive it.
        if self.promises.generation.load(Ordering::Acquire) == generation {
            learnt.put(key, found.clone());
        }
        drop(learnt);
        found
    }

    /// Finds out whether a stored body is the one promised, where that takes reading it.
    pub(super) async fn check(&self, known: Option<&Known>, entry: &Entry) {
        let Some(known) = known.filter(|known| known.sha256.is_none()) else { return };
        if entry.draft.status != 200 || known.vouches(&self.promises, entry).is_some() {
            return;
        }
        let Some(shelf) = &self.shelf else { return };
        let (store, digest, size, promised) = (shelf.store().clone(), entry.digest, entry.size, known.promised.clone());
        let found = tokio::task::spawn_blocking(move || has_digest(&store, digest, size, &promised)).await;
        if let Ok(Ok(same)) = found {
            let key = (digest, known.promised.hex.clone());
            self.promises.checked.lock().unwrap_or_else(PoisonError::into_inner).put(key, same);
        }
    }
}

/// A promised digest, where it is the one that bodies are named by.
fn as_name(promised: &Promised) -> Option<Digest> {
    Digest::from_hex(&promised.hex).filter(|_| promised.algorithm == &SHA256)
}

/// Whether a blob has another digest than the one it is named by.
pub(crate) fn has_digest(store: &Store, digest: Digest, size: u64, promised: &Promised) -> std::io::Result<bool> {
    let mut file = store.open_blob(&digest, size)?;
    let mut context = Context::new(promised.algorithm);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)?;
        if count == 0 {
            return Ok(hex::encode(context.finish()) == promised.hex);
        }
        context.update(&buffer[..count]);
    }
}
