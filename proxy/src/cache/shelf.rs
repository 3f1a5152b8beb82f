//! The store as the cache sees it: asynchronous, with a bounded front in memory.
//!
//! What is asked for again is answered from memory, or from a descriptor that is already open, without a system call
//! that could block. A blob is hashed before its first use in the process; afterwards size, inode and times vouch for it.

use std::collections::{HashMap, hash_map};
use std::fs::{File, Metadata};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use lru::LruCache;

use crate::inspect::{Dropped, Limits, Target};
use crate::store::{BlobWriter, Digest, Draft, Entry, Store, StoreError, Touch};

/// Bodies up to this size are kept in memory.
const SMALL: u64 = 64 * 1024;
const SMALL_BUDGET: usize = 64 * 1024 * 1024;
const RESOURCES: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");
const FILES: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
const MARKS: NonZeroUsize = NonZeroUsize::new(256 * 1024).expect("not zero");
/// How long another process's changes to the index may stay unseen.
const TRUST: Duration = Duration::from_secs(1);
/// Notes of use are written to the index this many at a time, and at least so often while there are any.
const TOUCHES: usize = 256;
const TOUCHED: Duration = Duration::from_secs(5);

/// A stored body, ready to be read.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Memory(Bytes),
    File(Arc<File>),
}

/// What identifies a file's content as long as nobody writes to it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(found: &Metadata) -> Self {
        Self {
            inode: found.ino(),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

struct Small {
    bodies: LruCache<Digest, Bytes>,
    bytes: usize,
}

/// Notes of use, one for each key and entry.
struct Touches {
    notes: HashMap<([u8; 16], Option<i64>), Touch>,
    written: Instant,
}

/// Store and front. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shelf {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    resources: Mutex<LruCache<[u8; 16], Arc<Vec<Entry>>>>,
    small: Mutex<Small>,
    files: Mutex<LruCache<Digest, Arc<File>>>,
    marks: Mutex<LruCache<Digest, Mark>>,
    touches: Mutex<Touches>,
    /// Most bytes to be stored.
    limit: AtomicU64,
    /// Bytes stored since the limit was last looked at.
    unlooked: AtomicU64,
    making_room: Mutex<()>,
    version: AtomicI64,
    /// Counts the changes made through this shelf.
    generation: AtomicU64,
    begun: Instant,
    checked: AtomicU64,
}

impl Shelf {
    pub(super) fn new(store: Store) -> Self {
        let small = Small { bodies: LruCache::unbounded(), bytes: 0 };
        let shared = Shared {
            store,
            resources: Mutex::new(LruCache::new(RESOURCES)),
            small: Mutex::new(small),
            files: Mutex::new(LruCache::new(FILES)),
            marks: Mutex::new(LruCache::new(MARKS)),
            touches: Mutex::new(Touches { notes: HashMap::new(), written: Instant::now() }),
            limit: AtomicU64::new(u64::MAX),
            unlooked: AtomicU64::new(0),
            making_room: Mutex::default(),
            version: AtomicI64::new(-1),
            generation: AtomicU64::new(0),
            begun: Instant::now(),
            checked: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Sets the most bytes to be stored.
    pub(super) fn keep_below(&self, bytes: u64) {
        self.shared.limit.store(bytes, Ordering::Relaxed);
    }

    /// The stored responses of a URL, the newest first.
    pub(super) async fn lookup(&self, key: [u8; 16]) -> Result<Arc<Vec<Entry>>, StoreError> {
        if self.trusted()
            && let Some(found) = lock(&self.shared.resources).get(&key)
        {
            return Ok(found.clone());
        }
        let shared = self.shared.clone();
        blocking(move || {
            shared.notice_others()?;
            if let Some(found) = lock(&shared.resources).get(&key) {
                return Ok(found.clone());
            }
            let generation = shared.generation.load(Ordering::Acquire);
            let found = Arc::new(shared.store.lookup(&key)?);
            let mut resources = lock(&shared.resources);
            // What was read before a change must not outlive it.
            if shared.generation.load(Ordering::Acquire) == generation {
                resources.put(key, found.clone());
            }
            Ok(found)
        })
        .await
    }

    /// Makes the next look-up of a key read the index.
    pub(super) fn distrust(&self, key: &[u8; 16]) {
        self.shared.changed(key);
    }

    /// The body of an entry; an error when it is missing or not what it was.
    pub(super) async fn content(&self, entry: &Entry) -> io::Result<Content> {
        let digest = entry.digest;
        if let Some(bytes) = lock(&self.shared.small).bodies.get(&digest) {
            return Ok(Content::Memory(bytes.clone()));
        }
        if let Some(file) = lock(&self.shared.files).get(&digest) {
            return Ok(Content::File(file.clone()));
        }
        let (shared, size) = (self.shared.clone(), entry.size);
        tokio::task::spawn_blocking(move || shared.load(digest, size)).await.map_err(io::Error::other)?
    }

    /// Makes a blob durable, puts it in place and makes it the answer of its URL. What was used in `run` stays when
    /// room has to be made.
    pub(super) async fn commit(
        &self,
        writer: BlobWriter,
        draft: Draft,
        run: Option<SystemTime>,
    ) -> Result<Entry, StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            let blob = writer.seal()?;
            let (file, key) = (blob.file(), draft.key);
            let entry = shared.store.commit(blob, draft)?;
            // The rename changed the times; from here on nobody writes to the file.
            if let Ok(found) = file.metadata() {
                lock(&shared.marks).put(entry.digest, Mark::of(&found));
            }
            shared.changed(&key);
            let limit = shared.limit.load(Ordering::Relaxed);
            if shared.unlooked.fetch_add(entry.size, Ordering::Relaxed) + entry.size > limit / 64 {
                shared.make_room(run);
            }
            Ok(entry)
        })
        .await
    }

    /// Notes that upstream confirmed an entry.
    pub(super) async fn refresh(&self, entry: Entry) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            shared.store.refresh(&entry)?;
            shared.changed(&entry.draft.key);
            Ok(())
        })
        .await
    }

    /// The entries whose body is the blob.
    pub(super) async fn holders(&self, digest: Digest) -> Result<Vec<Entry>, StoreError> {
        let shared = self.shared.clone();
        blocking(move || shared.store.holders(&digest)).await
    }

    /// Makes a stored blob the answer of one more URL or variant; `None` when it is no longer there.
    pub(super) async fn adopt(&self, digest: Digest, draft: Draft) -> Result<Option<Entry>, StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            let key = draft.key;
            let entry = shared.store.adopt(&digest, draft)?;
            shared.changed(&key);
            Ok(entry)
        })
        .await
    }

    /// Removes the entries of a URL.
    pub(super) async fn invalidate(&self, key: [u8; 16]) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            shared.store.invalidate(&key)?;
            shared.changed(&key);
            Ok(())
        })
        .await
    }

    /// Removes the entries meant. Who is being served one gets it to the end.
    pub(super) async fn remove(&self, target: Target) -> Result<Dropped, StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            let dropped = shared.store.remove(&target, false)?;
            shared.generation.fetch_add(1, Ordering::AcqRel);
            lock(&shared.resources).clear();
            Ok(dropped)
        })
        .await
    }

    /// Removes a damaged blob and every entry that names it.
    pub(super) async fn forget(&self, digest: Digest) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        blocking(move || {
            shared.store.forget_blob(&digest)?;
            shared.generation.fetch_add(1, Ordering::AcqRel);
            lock(&shared.resources).clear();
            lock(&shared.files).pop(&digest);
            lock(&shared.marks).pop(&digest);
            Ok(())
        })
        .await
    }

    /// Notes a use, to be written with others.
    pub(super) fn touch(&self, touch: Touch) {
        let due = {
            let mut touches = lock(&self.shared.touches);
            match touches.notes.entry((touch.key, touch.entry)) {
                hash_map::Entry::Occupied(mut noted) => {
                    let uses = noted.get().uses + touch.uses;
                    noted.insert(Touch { uses, ..touch });
                }
                hash_map::Entry::Vacant(place) => {
                    place.insert(touch);
                }
            }
            let due = touches.notes.len() >= TOUCHES || touches.written.elapsed() > TOUCHED;
            due.then(|| touches.take())
        };
        if let Some(notes) = due {
            let shared = self.shared.clone();
            tokio::task::spawn_blocking(move || shared.note(&notes));
        }
    }

    /// Writes the notes, and makes room where it is needed.
    pub(super) async fn settle(&self, run: Option<SystemTime>) {
        let shared = self.shared.clone();
        let _ = tokio::task::spawn_blocking(move || shared.make_room(run)).await;
    }

    fn trusted(&self) -> bool {
        let checked = self.shared.checked.load(Ordering::Relaxed);
        checked != 0 && self.shared.elapsed().saturating_sub(checked) < u64::try_from(TRUST.as_millis()).unwrap_or(0)
    }
}

impl Shared {
    fn changed(&self, key: &[u8; 16]) {
        let mut resources = lock(&self.resources);
        self.generation.fetch_add(1, Ordering::AcqRel);
        resources.pop(key);
    }

    /// Milliseconds since the shelf was made, at least one.
    fn elapsed(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Empties the front when the index was written to elsewhere.
    fn notice_others(&self) -> Result<(), StoreError> {
        let version = self.store.data_version()?;
        if self.version.swap(version, Ordering::Relaxed) != version {
            lock(&self.resources).clear();
        }
        self.checked.store(self.elapsed(), Ordering::Relaxed);
        Ok(())
    }

    fn load(&self, digest: Digest, size: u64) -> io::Result<Content> {
        let file = self.store.open_blob(&digest, size)?;
        let mark = Mark::of(&file.metadata()?);
        let known = lock(&self.marks).get(&digest) == Some(&mark);
        if size <= SMALL {
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            file.read_exact_at(&mut bytes, 0)?;
            if !known && Digest::of(&bytes) != digest {
                return Err(damaged(&digest));
            }
            lock(&self.marks).put(digest, mark);
            let bytes = Bytes::from(bytes);
            self.keep_small(digest, bytes.clone());
            return Ok(Content::Memory(bytes));
        }
        if !known {
            if Digest::of_file(&file)? != digest {
                return Err(damaged(&digest));
            }
            lock(&self.marks).put(digest, mark);
        }
        let file = Arc::new(file);
        lock(&self.files).put(digest, file.clone());
        Ok(Content::File(file))
    }

    fn keep_small(&self, digest: Digest, bytes: Bytes) {
        let mut small = lock(&self.small);
        small.bytes += bytes.len();
        if let Some(old) = small.bodies.put(digest, bytes) {
            small.bytes -= old.len();
        }
        while small.bytes > SMALL_BUDGET {
            let Some((_, old)) = small.bodies.pop_lru() else { break };
            small.bytes -= old.len();
        }
    }

    fn note(&self, notes: &[Touch]) {
        if !notes.is_empty()
            && let Err(error) = self.store.touch(notes)
        {
            tracing::debug!(%error, keys = notes.len(), "uses could not be noted");
        }
    }

    /// Writes the notes; then, where more is stored than there may be, removes what was used least recently.
    fn make_room(&self, run: Option<SystemTime>) {
        let notes = lock(&self.touches).take();
        self.note(&notes);
        let limit = self.limit.load(Ordering::Relaxed);
        self.unlooked.store(0, Ordering::Relaxed);
        let Ok(_only) = self.making_room.try_lock() else { return };
        if self.store.bytes().is_ok_and(|bytes| bytes <= limit) {
            return;
        }
        // A little more than needed, so that it is not needed again at once.
        let limits = Limits { max_bytes: Some(limit - limit / 16), keep_since: run, ..Limits::default() };
        match self.store.make_room(&limits, SystemTime::now()) {
            Ok(removed) => {
                self.generation.fetch_add(1, Ordering::AcqRel);
                lock(&self.resources).clear();
                tracing::info!(entries = removed.entries, bytes = removed.bytes, "made room in the cache");
            }
            Err(error) => tracing::warn!(%error, "no room could be made in the cache"),
        }
    }
}

impl Touches {
    fn take(&mut self) -> Vec<Touch> {
        self.written = Instant::now();
        let mut notes: Vec<Touch> = std::mem::take(&mut self.notes).into_values().collect();
        // Of a key's outcomes the last one stays.
        notes.sort_by_key(|touch| touch.at);
        notes
    }
}

fn damaged(digest: &Digest) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("blob {digest} is damaged"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Stopped(error.to_string())),
    }
}
