//! Blobs by SHA-256 in cacache's layout, and beside them an index in SQLite.
//!
//! Several processes may use one store. Everything here blocks: call it from the blocking pool.

mod adopt;
mod blob;
mod entry;
mod headers;
mod index;
mod promise;
mod schema;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rustix::fs::Access;

pub use self::blob::{BlobWriter, Digest, SealedBlob};
pub use self::entry::{Draft, Entry, Part, Provenance, Touch, VaryField};
pub(crate) use self::headers::decode as decode_headers;
/// The time that so many milliseconds since 1970 stand for.
pub use self::index::from_millis as time_of;
pub(crate) use self::index::{ENTRY_COLUMNS, decode_entry, from_millis, millis, remove_unused_blobs};
pub use self::promise::{Learnt, Promise};

/// The format of what lies on disk; another format gets another directory.
const FORMAT: &str = "v1";
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# This directory is Larder's cache. Deleting it costs only downloads.\n";

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory lies on a network file system.
    #[error("the cache directory {path} is on a network file system ({kind}), where the index would be damaged")]
    Network {
        /// The directory.
        path: PathBuf,
        /// The file system.
        kind: &'static str,
    },
    /// The index was written by a newer version.
    #[error("the index of the cache {path} has version {found}, and this Larder knows up to {known}")]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Version found.
        found: i64,
        /// Newest version known.
        known: i64,
    },
    /// A file or directory could not be used.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The index failed.
    #[error("the index of the cache failed: {0}")]
    Index(#[from] rusqlite::Error),
    /// The work was cut short: a panic, or the runtime's end.
    #[error("the cache's work was cut short: {0}")]
    Stopped(String),
    /// The body is not the one its URL or origin promised.
    #[error("the body is not as promised: {0}")]
    Mismatch(String),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the index itself is damaged: no question to it can be answered any more.
    pub fn is_damaged_index(&self) -> bool {
        let Self::Index(error) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
        )
    }

    /// What the user can do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Network { .. } => "choose a directory on a local disk for the cache",
            Self::Newer { .. } => "use the newer Larder, or another cache directory",
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "free some space, or run `larder cache gc --max-size SIZE`"
                }
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                    "choose a cache directory that this user may write"
                }
                _ => "check the directory, or choose another",
            },
            Self::Index(_) => "run `larder cache verify --repair`; deleting the cache directory costs only downloads",
            Self::Stopped(_) => "please report this",
            Self::Mismatch(_) => "ask the mirror's operator, or try another mirror",
        }
    }
}

/// The store of one cache directory. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("root", &self.inner.root).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the cache in `dir`, making it (mode 0700) where it is missing, and removes what killed writers left.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let store = Self::open_as_it_is(dir)?;
        store.sweep(false)?;
        Ok(store)
    }

    /// The same, and removes nothing.
    pub(crate) fn open_as_it_is(dir: &Path) -> Result<Self, StoreError> {
        let root = dir.join(FORMAT);
        for path in [root.as_path(), &root.join("tmp"), &root.join("content-v2")] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|error| StoreError::io("make the directory", path, error))?;
        }
        refuse_network(dir)?;
        // SQLite would only say that it cannot open a file.
        rustix::fs::access(&root, Access::WRITE_OK).map_err(|error| StoreError::io("write to", &root, error.into()))?;
        let tag = dir.join("CACHEDIR.TAG");
        if !tag.exists() {
            fs::write(&tag, TAG).map_err(|error| StoreError::io("write", &tag, error))?;
        }
        let path = root.join("index.sqlite");
        let writer = schema::open(&path, dir)?;
        let reader = schema::open(&path, dir)?;
        let inner = Inner { root, writer: Mutex::new(writer), reader: Mutex::new(reader) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Removes an index that cannot be read any more. The next to open the cache makes a new one, without entries.
    pub fn discard_index(dir: &Path) -> Result<(), StoreError> {
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let path = dir.join(FORMAT).join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The directory that holds blobs and index: what `cacache` calls the cache.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// Where the blob lies.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        digest.path(&self.inner.root)
    }

    /// Opens a blob, having checked its size.
    pub fn open_blob(&self, digest: &Digest, size: u64) -> io::Result<File> {
        let file = File::open(self.blob_path(digest))?;
        let found = file.metadata()?.len();
        if found != size {
            let message = format!("blob {digest} has {found} bytes instead of {size}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(file)
    }

    /// Begins a blob.
    pub fn writer(&self) -> Result<BlobWriter, StoreError> {
        BlobWriter::create(&self.inner.root.join("tmp"))
    }

    /// Removes temporary files whose writer is no more; with `dry_run` counts them only.
    pub(crate) fn sweep(&self, dry_run: bool) -> Result<Vec<PathBuf>, StoreError> {
        blob::sweep(&self.inner.root.join("tmp"), dry_run)
    }

    /// A connection of one's own, for what takes long: look-ups of requests go on beside it.
    pub(crate) fn reader(&self) -> Result<Connection, StoreError> {
        schema::open_to_read(&self.inner.root.join("index.sqlite"))
    }

    pub(crate) fn write_index(&self) -> MutexGuard<'_, Connection> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read_index(&self) -> MutexGuard<'_, Connection> {
        self.inner.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// SQLite's WAL needs shared memory between the processes, which network file systems do not give.
fn refuse_network(dir: &Path) -> Result<(), StoreError> {
    let found = network_file_system(dir).map_err(|error| StoreError::io("examine", dir, error))?;
    found.map_or(Ok(()), |kind| Err(StoreError::Network { path: dir.to_owned(), kind }))
}

/// The kind of network file system a directory is on, if it is on one.
pub fn network_file_system(dir: &Path) -> io::Result<Option<&'static str>> {
    let found = rustix::fs::statfs(dir)?;
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "magic numbers are 32 bits wide")]
    let magic = found.f_type as u32;
    Ok(Some(match magic {
        0x0000_6969 => "NFS",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 | 0x0000_517b => "SMB",
        0x0102_1997 => "9p",
        0x5346_414f => "AFS",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests;
