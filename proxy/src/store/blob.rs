//! Writing blobs: a locked temporary file, hashed as it grows, readable while it arrives.
//!
//! The lock tells a live writer's file from one left by a killed process, in whatever process or pid namespace either
//! lives.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest::{self, Context, SHA256};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;
use crate::rules::Promised;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_digest(digest::digest(&SHA256, bytes))
    }

    /// Reads 64 hex digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The digest of a file, read from its beginning.
    pub fn of_file(mut file: &File) -> io::Result<Self> {
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 256 * 1024];
        io::Seek::seek(&mut file, io::SeekFrom::Start(0))?;
        loop {
            let count = io::Read::read(&mut file, &mut buffer)?;
            if count == 0 {
                return Ok(Self::from_digest(context.finish()));
            }
            context.update(&buffer[..count]);
        }
    }

    fn from_digest(found: digest::Digest) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(found.as_ref());
        Self(bytes)
    }

    /// The digest that a blob's path names.
    pub(crate) fn of_path(path: &Path) -> Option<Self> {
        let parts: Vec<&str> = path.iter().rev().take(3).filter_map(|part| part.to_str()).collect();
        let [rest, second, first] = parts.as_slice() else { return None };
        Self::from_hex(&format!("{first}{second}{rest}"))
    }

    /// The path of the blob below `root`, as `cacache` lays it out.
    pub fn path(&self, root: &Path) -> PathBuf {
        let text = self.to_string();
        root.join("content-v2/sha256").join(&text[..2]).join(&text[2..4]).join(&text[4..])
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{self}")
    }
}

/// A blob being written. Dropped before it is committed, it leaves nothing.
pub struct BlobWriter {
    file: Arc<File>,
    path: PathBuf,
    sums: Sums,
    placed: bool,
}

/// What is worked out of a body while it passes, stored or not.
pub(crate) struct Sums {
    hash: Context,
    promised: Option<(Context, Promised)>,
    size: u64,
}

impl Sums {
    /// Of a body that has not begun.
    pub(crate) fn new(promised: Option<Promised>) -> Self {
        let promised = promised.map(|promised| (Context::new(promised.algorithm), promised));
        Self { hash: Context::new(&SHA256), promised, size: 0 }
    }

    /// Takes in the next bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        if let Some((context, _)) = &mut self.promised {
            context.update(bytes);
        }
        self.size += bytes.len() as u64;
    }

    /// Bytes taken in.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The SHA-256 of what has been taken in.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_digest(self.hash.clone().finish())
    }

    /// Checks the promise, now that the body is whole.
    pub(crate) fn check(&mut self) -> Result<(), StoreError> {
        if let Some((context, promised)) = self.promised.take() {
            let found = hex::encode(context.finish());
            if found != promised.hex {
                return Err(StoreError::Mismatch(format!(
                    "its {} is {found}, and {} was promised",
                    promised.name(),
                    promised.hex
                )));
            }
        }
        Ok(())
    }
}

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Makes a file in the directory of temporary files, and locks it: the lock says that its writer lives.
pub(super) fn create_locked(dir: &Path, suffix: &str) -> Result<(File, PathBuf), StoreError> {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.as_nanos());
        let path = dir.join(format!("{}-{nanos:x}-{number}{suffix}", std::process::id()));
        let failed = |error| StoreError::io("write", &path, error);
        let file = match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other.map_err(failed)?,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            // A sweep has it, and removes it.
            Err(Errno::WOULDBLOCK) => continue,
            Err(error) => {
                // Best effort: without a lock it is swept away later in any case.
                let _ = fs::remove_file(&path);
                return Err(StoreError::io("lock", &path, error.into()));
            }
        }
        // A sweep may have come between creation and lock; then its name is gone, or another's.
        let own = file.metadata().map_err(failed)?;
        if fs::symlink_metadata(&path).is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())) {
            return Ok((file, path));
        }
    }
}

impl BlobWriter {
    pub(super) fn create(dir: &Path) -> Result<Self, StoreError> {
        let (file, path) = create_locked(dir, "")?;
        let file = Arc::new(file);
        Ok(Self { file, path, sums: Sums::new(None), placed: false })
    }

    /// Demands that the body have this digest as well.
    pub fn promise(&mut self, promised: Promised) {
        self.sums.promised = Some((Context::new(promised.algorithm), promised));
    }

    /// Demands nothing of the digest any more.
    pub fn release(&mut self) {
        self.sums.promised = None;
    }

    /// The file, for readers; what has been written can be read from it.
    pub fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Bytes written.
    pub fn size(&self) -> u64 {
        self.sums.size
    }

    /// Appends.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_all(&[bytes])
    }

    /// Appends several pieces.
    pub fn write_all(&mut self, pieces: &[impl AsRef<[u8]>]) -> Result<(), StoreError> {
        let written = write_pieces(&self.file, self.sums.size, pieces);
        written.map_err(|error| StoreError::io("write", &self.path, error))?;
        for piece in pieces {
            self.sums.add(piece.as_ref());
        }
        Ok(())
    }

    /// Checks the promise, now that the body is whole.
    pub fn check(&mut self) -> Result<(), StoreError> {
        self.sums.check()
    }

    /// The SHA-256 of what has been written.
    pub fn digest(&self) -> Digest {
        self.sums.digest()
    }

    pub(crate) fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Removes the file, and gives back what was worked out of the bytes that were written.
    pub(crate) fn give_up(mut self) -> Sums {
        std::mem::replace(&mut self.sums, Sums::new(None))
    }

    /// Checks the promise, and makes the bytes durable. The blob is not yet in place.
    pub fn seal(mut self) -> Result<SealedBlob, StoreError> {
        self.check()?;
        self.file.sync_data().map_err(|error| StoreError::io("write", &self.path, error))?;
        let digest = self.digest();
        Ok(SealedBlob { writer: self, digest })
    }
}

/// Bytes of a file written at a time. A larger write is given larger pieces of the page cache, and those a virtual
/// machine that gives free memory back to its host has to be given again first: a megabyte at a time took ten times as
/// long there, and a seventh less where memory was at hand (docs/decisions/0011).
const WRITE: u64 = 32 * 1024;

/// Writes pieces from a position on, each write to a multiple of [`WRITE`].
fn write_pieces(file: &File, mut position: u64, pieces: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let mut slices = Vec::new();
    for piece in pieces {
        let mut rest = piece.as_ref();
        while !rest.is_empty() {
            let room = usize::try_from(WRITE - position % WRITE).unwrap_or(rest.len());
            let (part, behind) = rest.split_at(room.min(rest.len()));
            slices.push(IoSlice::new(part));
            position += part.len() as u64;
            if position.is_multiple_of(WRITE) {
                write_vectored(file, &mut slices)?;
                slices.clear();
            }
            rest = behind;
        }
    }
    write_vectored(file, &mut slices)
}

fn write_vectored(mut file: &File, mut left: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !left.is_empty() {
        let written = match &*left {
            [one] => file.write(one),
            several => file.write_vectored(several),
        };
        match written {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl BlobWriter {
    fn rename_to(&mut self, target: &Path) -> Result<(), StoreError> {
        fs::rename(&self.path, target).map_err(|error| StoreError::io("write", target, error))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A blob whole and durable, waiting to be put in place.
pub struct SealedBlob {
    writer: BlobWriter,
    digest: Digest,
}

impl SealedBlob {
    /// The SHA-256.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.writer.sums.size
    }

    /// The open file.
    pub fn file(&self) -> Arc<File> {
        self.writer.file()
    }

    /// Puts the blob in its place, durably. The temporary name stays until the row is in, since whoever removes blobs
    /// that no row names may come in between; see [`Self::keep_in_place`].
    pub(super) fn place(&mut self, root: &Path) -> Result<(), StoreError> {
        let target = self.digest.path(root);
        let parent = target.parent().unwrap_or(root);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| StoreError::io("make the directory", parent, error))?;
        let second = self.writer.path.with_extension("placed");
        if fs::hard_link(&self.writer.path, &second).is_ok() {
            // Where the same content is there already, a fresh copy takes the place of one that may be damaged.
            let renamed = fs::rename(&second, &target);
            // Renaming one name of a file to another name of it does nothing.
            let _ = fs::remove_file(&second);
            renamed.map_err(|error| StoreError::io("write", &target, error))?;
        } else {
            // A file system without links.
            self.writer.rename_to(&target)?;
        }
        // The directory, and those above it, which may be new. After the first of them the others cost nothing on a
        // file system with a journal.
        for dir in parent.ancestors().take(4) {
            sync_dir(dir)?;
        }
        Ok(())
    }

    /// Removes the temporary name: a row names the blob now.
    pub(super) fn entered(&mut self) {
        if !std::mem::replace(&mut self.writer.placed, true) {
            let _ = fs::remove_file(&self.writer.path);
        }
    }

    /// Makes sure that the blob is still in its place; the caller holds the index's write transaction, which keeps
    /// removals out.
    pub(super) fn keep_in_place(&mut self, root: &Path) -> Result<(), StoreError> {
        let target = self.digest.path(root);
        if fs::metadata(&target).is_ok_and(|found| found.len() == self.writer.sums.size) {
            return Ok(());
        }
        self.writer.rename_to(&target)?;
        sync_dir(target.parent().unwrap_or(root))
    }
}

/// Makes what was created, renamed or removed in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(|error| StoreError::io("write to", dir, error))
}
