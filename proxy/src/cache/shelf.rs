//! The store as the cache sees it: asynchronous, with a bounded front in memory.
//!
//! What is asked for again is answered from memory, or from a descriptor that is already open, without a system call
//! that could block. A blob is hashed before its first use in the process; afterwards size, inode and times vouch for it.

mod front;
mod small;

use std::collections::{HashMap, HashSet, hash_map};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lru::LruCache;

pub(crate) use self::front::InFile;
use self::front::Mark;
pub(super) use self::front::{Content, Found, Told};
use self::small::{SMALL, Small};
use super::room::Room;
use crate::coarse;
use crate::direct::WORTH;
use crate::inspect::{Dropped, Target};
use crate::near::Near;
use crate::spread::Spread;
use crate::store::{BlobWriter, Digest, Draft, Entry, Store, StoreError, Touch};

const RESOURCES: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");
const FILES: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
/// What a thread remembers for itself: what is asked for again and again.
const NEAR: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");
/// What a thread holds is not counted with the others: bodies for which counting users is dear, and so little of each.
const NEAR_SIZE: usize = 4 * 1024;
const NEAR_SMALL: NonZeroUsize = NonZeroUsize::new(64).expect("not zero");
/// A body never changes under its digest.
const SAME: u64 = 0;
const MARKS: NonZeroUsize = NonZeroUsize::new(256 * 1024).expect("not zero");
/// How long another process's changes to the index may stay unseen.
const TRUST: Duration = Duration::from_secs(1);
/// Notes of use are written to the index this many at a time, and at least so often while there are any.
const TOUCHES: usize = 256;
const TOUCHED: Duration = Duration::from_secs(5);

/// An index that is found damaged again and again is on a disk that does not keep it.
const MENDS: u32 = 3;

/// Notes of use, one for each key and entry.
struct Touches {
    notes: HashMap<([u8; 16], Option<i64>), Touch>,
    written: Duration,
}

/// Store and front. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shelf {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub store: Store,
    resources: Mutex<LruCache<[u8; 16], Arc<Found>>>,
    /// What a thread has looked up lately, and at which generation.
    near: Near<[u8; 16], Arc<Found>>,
    small: Mutex<Small>,
    near_small: Near<Digest, Bytes>,
    files: Mutex<LruCache<Digest, Arc<File>>>,
    /// Every file handed out, to see who still reads it.
    handed: Mutex<HashMap<Digest, Weak<File>>>,
    marks: Mutex<LruCache<Digest, Mark>>,
    touches: Spread<Touches>,
    pub room: Room,
    /// How often the index was mended.
    mended: Mutex<u32>,
    /// The index that is known here, by its number, and what was last written to it.
    index: AtomicU64,
    version: AtomicI64,
    /// Counts the changes made through this shelf.
    generation: AtomicU64,
    begun: Duration,
    checked: AtomicU64,
}

impl Shelf {
    pub(super) fn new(store: Store) -> Self {
        let shared = Shared {
            store,
            resources: Mutex::new(LruCache::new(RESOURCES)),
            near: Near::new(NEAR),
            small: Mutex::new(Small::new()),
            near_small: Near::new(NEAR_SMALL),
            files: Mutex::new(LruCache::new(FILES)),
            handed: Mutex::default(),
            marks: Mutex::new(LruCache::new(MARKS)),
            touches: Spread::new(|| Touches { notes: HashMap::new(), written: coarse::now() }),
            room: Room::default(),
            mended: Mutex::default(),
            index: AtomicU64::new(0),
            version: AtomicI64::new(-1),
            generation: AtomicU64::new(0),
            begun: coarse::now(),
            checked: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(super) fn room(&self) -> &Room {
        &self.shared.room
    }

    /// The stored responses of a URL, the newest first.
    pub(super) async fn lookup(&self, key: [u8; 16]) -> Result<Arc<Found>, StoreError> {
        if self.trusted()
            && let Some(found) = self.known(key)
        {
            return Ok(found);
        }
        self.mending(move |shared| {
            shared.notice_others()?;
            if let Some(found) = lock(&shared.resources).get(&key) {
                return Ok(found.clone());
            }
            let generation = shared.generation.load(Ordering::Acquire);
            let found = Arc::new(Found::new(shared.store.lookup(&key)?));
            let mut resources = lock(&shared.resources);
            // What was read before a change must not outlive it.
            if shared.generation.load(Ordering::Acquire) == generation {
                resources.put(key, found.clone());
            }
            Ok(found)
        })
        .await
    }

    /// What memory has of a key.
    fn known(&self, key: [u8; 16]) -> Option<Arc<Found>> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if let Some(found) = self.shared.near.get(&key, generation) {
            return Some(found);
        }
        let found = lock(&self.shared.resources).get(&key).cloned()?;
        let own = Arc::new(found.apart());
        self.shared.near.put(key, generation, own.clone());
        Some(own)
    }

    /// Makes the next look-up of a key read the index.
    pub(super) fn distrust(&self, key: &[u8; 16]) {
        self.shared.changed(key);
    }

    /// The body of an entry; an error when it is missing or not what it was.
    pub(super) async fn content(&self, entry: &Entry) -> io::Result<Content> {
        let digest = entry.digest;
        if let Some(bytes) = self.shared.near_small.get(&digest, SAME) {
            return Ok(Content::Memory(bytes, None));
        }
        let small = lock(&self.shared.small).get(&digest);
        if let Some((bytes, file)) = small {
            if bytes.len() > NEAR_SIZE {
                return Ok(Content::Memory(bytes, file));
            }
            let own = Bytes::from_owner(bytes);
            self.shared.near_small.put(digest, SAME, own.clone());
            return Ok(Content::Memory(own, None));
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
            let mut blob = writer.seal()?;
            let (file, key) = (blob.file(), draft.key);
            let entry = shared.mending(|shared| shared.store.enter(&mut blob, &draft))?;
            // Renames and removals of names changed the times; from here on nobody writes to the file.
            if let Ok(found) = file.metadata() {
                lock(&shared.marks).put(entry.digest, Mark::of(&found));
            }
            lock(&shared.handed).insert(entry.digest, Arc::downgrade(&file));
            shared.changed(&key);
            if shared.room.is_due(entry.size, &shared.store) {
                // Nobody waits for it: whoever wants this very body is answered as soon as it is in place.
                let shared = shared.clone();
                tokio::task::spawn_blocking(move || shared.make_room(run));
            }
            Ok(entry)
        })
        .await
    }

    /// Notes that upstream confirmed an entry.
    pub(super) async fn refresh(&self, entry: Entry) -> Result<(), StoreError> {
        self.mending(move |shared| {
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
        self.mending(move |shared| {
            shared.store.invalidate(&key)?;
            shared.changed(&key);
            Ok(())
        })
        .await
    }

    /// Removes the entries meant. Who is being served one gets it to the end.
    pub(super) async fn remove(&self, target: Target) -> Result<Dropped, StoreError> {
        self.mending(move |shared| {
            let dropped = shared.store.remove(&target, false)?;
            shared.forget_all();
            Ok(dropped)
        })
        .await
    }

    /// Removes a damaged blob and every entry that names it.
    pub(super) async fn forget(&self, digest: Digest) -> Result<(), StoreError> {
        self.mending(move |shared| {
            shared.store.forget_blob(&digest)?;
            shared.forget_all();
            lock(&shared.files).pop(&digest);
            lock(&shared.small).forget_file(&digest);
            lock(&shared.marks).pop(&digest);
            Ok(())
        })
        .await
    }

    /// Notes a use, to be written with others.
    pub(super) fn touch(&self, touch: Touch) {
        let due = {
            let mut touches = self.shared.touches.mine();
            match touches.notes.entry((touch.key, touch.entry)) {
                hash_map::Entry::Occupied(mut noted) => {
                    let uses = noted.get().uses + touch.uses;
                    noted.insert(Touch { uses, ..touch });
                }
                hash_map::Entry::Vacant(place) => {
                    place.insert(touch);
                }
            }
            touches.notes.len() >= TOUCHES || coarse::now().saturating_sub(touches.written) > TOUCHED
        };
        if due {
            let (shared, notes) = (self.shared.clone(), self.shared.take_notes());
            tokio::task::spawn_blocking(move || shared.note(&notes));
        }
    }

    /// Writes the notes, makes room where it is needed, and makes all of it durable.
    pub(super) async fn settle(&self, run: Option<SystemTime>) {
        let shared = self.shared.clone();
        let work = move || {
            shared.make_room_at_last(run);
            if let Err(error) = shared.store.settle() {
                tracing::debug!(%error, "the cache's index could not be made durable");
            }
        };
        let _ = tokio::task::spawn_blocking(work).await;
    }

    /// Does what may be done twice; where the index turns out damaged, it is mended in between.
    async fn mending<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = self.shared.clone();
        blocking(move || shared.mending(&mut work)).await
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
        u64::try_from(coarse::now().saturating_sub(self.begun).as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn mending<T>(&self, mut work: impl FnMut(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let index = self.store.index_id();
        match work(self) {
            Err(error) if error.is_damaged_index() => {
                self.mend(index, error)?;
                work(self)
            }
            other => other,
        }
    }

    /// Puts a new index in place of a damaged one, with one warning. What cannot be mended by then is given back.
    fn mend(&self, index: Option<u64>, error: StoreError) -> Result<(), StoreError> {
        let mut times = lock(&self.mended);
        if self.store.index_id() != index {
            return Ok(());
        }
        if *times == MENDS {
            return Err(error);
        }
        *times += 1;
        self.store.mend(index)?;
        self.forget_all();
        tracing::warn!(%error, "the cache's index was damaged: it was set aside, and a new one made of what can be read of it");
        recover_beside(&self.store);
        Ok(())
    }

    /// Empties the front, which knows the rows of an index that has changed as a whole.
    pub(super) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        lock(&self.resources).clear();
    }

    /// Empties the front when the index was written to elsewhere.
    fn notice_others(&self) -> Result<(), StoreError> {
        // Compared, since whoever writes may have followed it before.
        self.store.follow_replaced_index()?;
        let index = self.store.index_id().unwrap_or(0);
        if self.index.swap(index, Ordering::Relaxed) != index {
            self.forget_all();
        }
        let version = self.store.data_version()?;
        if self.version.swap(version, Ordering::Relaxed) != version {
            self.forget_all();
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
            let file = (size >= WORTH).then(|| Arc::new(file));
            lock(&self.small).keep(digest, bytes.clone(), file.clone());
            return Ok(Content::Memory(bytes, file));
        }
        if !known {
            if Digest::of_file(&file)? != digest {
                return Err(damaged(&digest));
            }
            lock(&self.marks).put(digest, mark);
        }
        let file = Arc::new(file);
        lock(&self.handed).insert(digest, Arc::downgrade(&file));
        lock(&self.files).put(digest, file.clone());
        Ok(Content::File(file))
    }

    fn note(&self, notes: &[Touch]) {
        if !notes.is_empty()
            && let Err(error) = self.store.touch(notes)
        {
            tracing::debug!(%error, keys = notes.len(), "uses could not be noted");
        }
    }

    /// Writes the notes of use.
    pub(super) fn write_notes(&self) {
        self.note(&self.take_notes());
    }

    /// Those of all threads: of a key's outcomes the last one stays, whoever noted it.
    fn take_notes(&self) -> Vec<Touch> {
        let mut notes: Vec<Touch> = self.touches.all().flat_map(|mut touches| touches.take()).collect();
        notes.sort_by_key(|touch| touch.at);
        notes
    }

    /// The bodies that somebody is reading.
    pub(super) fn in_use(&self) -> HashSet<Digest> {
        // These are held open only in case somebody asks again.
        lock(&self.files).clear();
        let mut handed = lock(&self.handed);
        handed.retain(|_, file| file.strong_count() > 0);
        handed.keys().copied().collect()
    }
}

impl Touches {
    fn take(&mut self) -> Vec<Touch> {
        self.written = coarse::now();
        std::mem::take(&mut self.notes).into_values().collect()
    }
}

/// Looks for what a dead process left, while requests are served. It takes as long as it takes: killed, the next
/// process begins anew.
pub(super) fn recover_beside(store: &Store) {
    let store = store.clone();
    let work = move || {
        if let Err(error) = store.recover() {
            tracing::debug!(%error, "the cache could not be put in order; the next run tries again");
        }
    };
    let _ = std::thread::Builder::new().name("cache-recovery".to_owned()).spawn(work);
}

/// Whether an error of [`Shelf::content`] says that the body is damaged or missing, rather than that it cannot be read
/// just now.
pub(super) fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::NotFound | Kind::InvalidData | Kind::UnexpectedEof)
        || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

fn damaged(digest: &Digest) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("blob {digest} is damaged"))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
