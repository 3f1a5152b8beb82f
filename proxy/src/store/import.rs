//! Answers that come from elsewhere than upstream, such as a bundle: all of them, or none.
//!
//! Bodies are first written to a directory of their own, in the cache's file system. Only when all are there and durable
//! do they get their places, and then the rows of all answers are entered in one transaction.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use http::Uri;
use rusqlite::{OptionalExtension as _, Transaction, TransactionBehavior, params};
use rustix::fs::{FlockOperation, flock, syncfs};

use super::index::{insert_blob, insert_entry, limit_variants, remove_unused_blobs};
use super::parts::{has_newer_parts, remove_superseded};
use super::row::{digest_at, from_millis, millis};
use super::{Digest, Draft, Provenance, Store, StoreError, VaryField, row};
use crate::cache::Key;
use crate::flow::Class;
use crate::policy::storable::{TOO_LARGE, is_too_large};
use crate::rules::Nature;

/// Directories of bodies on their way in, in `tmp`.
const PREFIX: &str = "import-";
/// The file in such a directory that its writer holds locked.
const LOCK: &str = "lock";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// An answer to be stored, and the body that goes with it.
#[derive(Clone, Debug)]
pub struct Arrival {
    draft: Draft,
    digest: Digest,
    size: u64,
}

/// What an [`Arrival`] is made of. None of it is believed.
#[derive(Clone, Debug)]
pub struct ArrivalParts {
    /// Absolute URL, as requests have it.
    pub url: String,
    /// Status.
    pub status: u16,
    /// Fields.
    pub headers: http::HeaderMap,
    /// What it varies on.
    pub vary: Vec<VaryField>,
    /// When it was fetched.
    pub fetched: SystemTime,
    /// Kind of content.
    pub class: Class,
    /// Whether it is for runs offline only, as redirects are, and that something is not there; see [`Key::aside`].
    pub aside: bool,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// Bytes of the body.
    pub size: u64,
    /// Where it comes from; shown by `larder cache explain`.
    pub provenance: Provenance,
}

impl Arrival {
    /// An answer to a GET; why not, where the cache could not have stored such a one.
    pub fn new(parts: ArrivalParts) -> Result<Self, &'static str> {
        let ArrivalParts { url, status, headers, vary, fetched, class, aside, digest, size, provenance } = parts;
        let key = url.parse::<Uri>().ok().and_then(|uri| Key::of(&uri)).ok_or("not an absolute http or https URL")?;
        if key.url != url {
            return Err("not the URL in its canonical form");
        }
        if !(200..600).contains(&status) || [206, 304].contains(&status) {
            return Err("an answer of this status is not stored");
        }
        let mut headers = crate::cache::to_store(headers, Nature::Immutable);
        for name in ["content-length", "set-cookie2", "authorization", "proxy-authorization", "cookie"] {
            headers.remove(name);
        }
        if crate::policy::vary::names(&headers).is_none() {
            return Err("the answer varies on everything");
        }
        if is_too_large(&headers) {
            return Err(TOO_LARGE);
        }
        if vary.iter().any(|(name, value)| crate::cache::is_credential(name) && value.is_some()) {
            return Err("the answer is for certain credentials only");
        }
        // Times beyond today would make it younger than anything fetched later.
        let fetched = fetched.min(SystemTime::now());
        let draft = Draft {
            key: if aside { key.aside() } else { key.hash },
            url,
            status,
            headers,
            vary,
            requested: fetched,
            responded: fetched,
            class,
            part: None,
            provenance,
        };
        Ok(Self { draft, digest, size })
    }

    /// SHA-256 and bytes of its body.
    pub fn body(&self) -> (Digest, u64) {
        (self.digest, self.size)
    }
}

/// What [`Staging::commit`] came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Answers that were not there.
    pub added: u64,
    /// Answers that took the place of older ones, or of any where that was asked for.
    pub replaced: u64,
    /// Answers that were there already, with the same body.
    pub known: u64,
    /// Answers left out, since a newer one with another body is stored.
    pub outdated: u64,
    /// Bodies that were not there.
    pub bodies: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How answers are taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taking {
    /// Keep them whatever the cache's limits say.
    pub pinned: bool,
    /// Let them take the place of newer answers, too.
    pub replace: bool,
}

/// Bodies on their way into the store. Dropped, it leaves nothing; what a killed process leaves is removed by whoever
/// opens the store next.
pub struct Staging {
    store: Store,
    dir: PathBuf,
    _lock: File,
    bodies: BTreeMap<Digest, u64>,
    current: Option<(File, PathBuf)>,
}

impl Store {
    /// Begins to take in bodies.
    pub fn stage(&self) -> Result<Staging, StoreError> {
        let tmp = self.root().join("tmp");
        loop {
            let (number, nanos) = (NEXT.fetch_add(1, Ordering::Relaxed), SystemTime::now());
            let nanos = nanos.duration_since(std::time::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_nanos());
            let dir = tmp.join(format!("{PREFIX}{}-{nanos:x}-{number}", std::process::id()));
            DirBuilder::new().mode(0o700).create(&dir).map_err(|error| StoreError::io("make", &dir, error))?;
            let path = dir.join(LOCK);
            let failed = |error| StoreError::io("lock", &path, error);
            let lock = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                // Somebody swept it away before it was locked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && path.exists() {
                return Ok(Staging { store: self.clone(), dir, _lock: lock, bodies: BTreeMap::new(), current: None });
            }
        }
    }
}

/// Whether the directory belongs to an import; removes it, unless `dry_run`, where that one's process is no more.
pub(super) fn sweep(dir: &Path, dry_run: bool) -> bool {
    let named = dir.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    // One without a lock is just being made, or was left at that moment; who made it makes another.
    let free = || match File::open(dir.join(LOCK)) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !named || !free() {
        return false;
    }
    if !dry_run {
        remove_flat(dir);
    }
    true
}

/// Removes a directory of files. Best effort: what stays is found the next time.
fn remove_flat(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name() != LOCK {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_file(dir.join(LOCK));
    let _ = fs::remove_dir(dir);
}

impl Staging {
    /// Begins the body with this digest, which the caller checks.
    pub fn begin(&mut self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.dir.join(digest.to_string());
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        self.current = Some((file.map_err(|error| StoreError::io("write", &path, error))?, path));
        Ok(())
    }

    /// Appends to the body begun last.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let Some((file, path)) = &mut self.current else { return Ok(()) };
        file.write_all(bytes).map_err(|error| StoreError::io("write", path, error))
    }

    /// Keeps the body begun last: it is `digest`, of `size` bytes.
    pub fn keep(&mut self, digest: Digest, size: u64) {
        self.current = None;
        self.bodies.insert(digest, size);
    }

    /// Drops the body begun last.
    pub fn discard(&mut self) {
        if let Some((_, path)) = self.current.take() {
            let _ = fs::remove_file(path);
        }
    }

    /// Makes a file the body with this digest without a copy: by a symbolic link. For stores that do not outlive the
    /// file.
    pub fn link(&mut self, digest: Digest, size: u64, target: &Path) -> Result<(), StoreError> {
        let path = self.dir.join(digest.to_string());
        std::os::unix::fs::symlink(target, &path).map_err(|error| StoreError::io("link", &path, error))?;
        self.bodies.insert(digest, size);
        Ok(())
    }

    /// Stores all answers, or none. Bodies that none of them names are left out; every body named must be here.
    pub fn commit(self, arrivals: &[Arrival], taking: Taking) -> Result<Imported, StoreError> {
        if let Some(missing) = arrivals.iter().find(|one| self.bodies.get(&one.digest) != Some(&one.size)) {
            let path = self.dir.join(missing.digest.to_string());
            return Err(StoreError::io("find", &path, io::ErrorKind::NotFound.into()));
        }
        let digests: Vec<Digest> = self.bodies.keys().copied().collect();
        self.place_and_enter(arrivals, taking).inspect_err(|_| {
            // The index had no room, say: bodies that no row names must not keep what is left.
            let _ = self.store.unlink_unreferenced(&digests);
        })
    }

    fn place_and_enter(&self, arrivals: &[Arrival], taking: Taking) -> Result<Imported, StoreError> {
        let _session = self.store.writing()?;
        self.sync()?;
        for digest in self.bodies.keys() {
            self.place(digest)?;
        }
        self.sync()?;
        let mut index = self.store.write_index();
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Whoever removes bodies that no row names is kept out from here on, and may have come in between.
        for (digest, &size) in &self.bodies {
            if fs::metadata(self.store.blob_path(digest)).map_or(0, |found| found.len()) != size {
                self.place(digest)?;
            }
        }
        let mut imported = Imported::default();
        let mut unused = Vec::new();
        for arrival in arrivals {
            unused.extend(enter(&transaction, arrival, taking, &mut imported)?);
        }
        let (_, mut files) = remove_unused_blobs(&transaction, &unused)?;
        transaction.commit()?;
        drop(index);
        // Of answers left out.
        files.extend(self.bodies.keys());
        self.store.unlink_unreferenced(&files)?;
        self.store.sync_index()?;
        Ok(imported)
    }

    /// A second name of the body becomes its place: where the same is there already, a fresh copy takes the place of one
    /// that may be damaged.
    fn place(&self, digest: &Digest) -> Result<(), StoreError> {
        let (from, target) = (self.dir.join(digest.to_string()), self.store.blob_path(digest));
        let failed = |error| StoreError::io("write", &target, error);
        if let Some(parent) = target.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        let second = from.with_extension("placed");
        match fs::hard_link(&from, &second) {
            Ok(()) => {
                let renamed = fs::rename(&second, &target);
                // Renaming one name of a file to another name of it does nothing.
                let _ = fs::remove_file(&second);
                renamed.map_err(failed)
            }
            // A file system without links; the body is then not to be had a second time.
            Err(_) if from.symlink_metadata().is_err() && target.exists() => Ok(()),
            Err(_) => fs::rename(&from, &target).map_err(failed),
        }
    }

    /// Makes all of the file system durable: one call for however many bodies and directories.
    fn sync(&self) -> Result<(), StoreError> {
        File::open(&self.dir)
            .and_then(|dir| syncfs(dir).map_err(Into::into))
            .map_err(|error| StoreError::io("write to", &self.dir, error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        remove_flat(&self.dir);
    }
}

/// Enters one answer, and returns the bodies it took the places of.
fn enter(
    transaction: &Transaction<'_>,
    arrival: &Arrival,
    taking: Taking,
    imported: &mut Imported,
) -> Result<Vec<i64>, StoreError> {
    let Arrival { draft, digest, size } = arrival;
    let variant = row::variant(&draft.vary, draft.part);
    let stored: Option<(i64, Digest, i64, u16)> = transaction
        .prepare_cached(
            "SELECT entry.id, blob.digest, entry.responded, entry.status FROM entry JOIN blob ON blob.id = entry.blob \
             WHERE entry.key = ?1 AND entry.variant = ?2",
        )?
        .query_row(params![&draft.key[..], &variant[..]], |row| {
            Ok((row.get(0)?, digest_at(row, 1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let pin = |id: i64| transaction.execute("UPDATE entry SET pinned = 1 WHERE id = ?1", [id]);
    match stored {
        Some((id, there, _, status)) if there == *digest && status == draft.status => {
            imported.known += 1;
            if taking.pinned {
                pin(id)?;
            }
            return Ok(Vec::new());
        }
        Some((_, _, responded, _)) if !taking.replace && from_millis(responded) > draft.responded => {
            imported.outdated += 1;
            return Ok(Vec::new());
        }
        _ if !taking.replace && has_newer_parts(transaction, draft)? => {
            imported.outdated += 1;
            return Ok(Vec::new());
        }
        Some(_) => imported.replaced += 1,
        None => imported.added += 1,
    }
    let known = transaction
        .prepare_cached("SELECT 1 FROM blob WHERE digest = ?1")?
        .query_row([&digest.0[..]], |_| Ok(()))
        .optional()?
        .is_some();
    if !known {
        imported.bodies += 1;
        imported.bytes += size;
    }
    let now = SystemTime::now();
    let blob = insert_blob(transaction, *digest, *size, millis(now))?;
    let (id, replaced) = insert_entry(transaction, draft, blob, *digest, *size)?;
    // As if it had been used just now: else the first to make room would begin with it.
    transaction.prepare_cached("UPDATE entry SET last_used = ?2 WHERE id = ?1")?.execute(params![id, millis(now)])?;
    if taking.pinned {
        pin(id)?;
    }
    let mut unused: Vec<i64> = replaced.into_iter().filter(|&old| old != blob).collect();
    unused.extend(remove_superseded(transaction, (id, blob), draft, *size)?);
    unused.extend(limit_variants(transaction, &draft.key)?);
    Ok(unused)
}
