//! Blobs by SHA-256 in cacache's layout, and beside them an index in SQLite.
//!
//! Several processes may use one store. Everything here blocks: call it from the blocking pool.

mod adopt;
mod blob;
mod damage;
mod entry;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod headers;
mod import;
mod index;
mod parts;
mod promise;
mod rebuild;
mod recover;
mod row;
mod schema;
mod seal;
mod session;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::Connection;
use rustix::fs::Access;

pub(crate) use self::blob::Sums;
pub use self::blob::{BlobWriter, Digest, SealedBlob};
pub use self::damage::Damage;
pub use self::entry::{Draft, Entry, Part, Provenance, Touch, VaryField};
pub(crate) use self::headers::decode as decode_headers;
pub use self::import::{Arrival, ArrivalParts, Imported, Staging, Taking};
pub(crate) use self::index::{GAP, HOLD, damaged_rows, remove_unused_blobs};
pub use self::promise::{Learnt, Promise};
pub use self::recover::Recovered;
/// The time that so many milliseconds since 1970 stand for.
pub use self::row::from_millis as time_of;
pub(crate) use self::row::{ENTRY_COLUMNS, digest_at, from_millis, intact, millis};
use self::session::Session;

/// The format of what lies on disk; another format gets another directory.
const FORMAT: &str = "v1";
const EIO: i32 = rustix::io::Errno::IO.raw_os_error();
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();

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
    /// The index is not one, or not as it was written.
    #[error("the index of the cache is damaged: {0}")]
    Damaged(String),
    /// The work was cut short: a panic, or the runtime's end.
    #[error("the cache's work was cut short: {0}")]
    Stopped(String),
    /// The body is larger than all of the cache may be.
    #[error("the body is larger than the cache may be ({0} bytes; the setting cache.max_size)")]
    TooLarge(u64),
    /// The body is not the one its URL or origin promised.
    #[error("the body is not as promised: {0}")]
    Mismatch(String),
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Whether the index itself is damaged: SQLite says so, or its tables and rows are not those it was made with.
    pub fn is_damaged_index(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            Self::Damaged(_) => true,
            Self::Index(error) => error.sqlite_error_code().is_none_or(|code| {
                matches!(
                    code,
                    Code::DatabaseCorrupt
                        | Code::NotADatabase
                        | Code::ConstraintViolation
                        | Code::TypeMismatch
                        | Code::TooBig
                        // What SQLite says of a table that is not there.
                        | Code::Unknown
                )
            }),
            _ => false,
        }
    }

    /// Whether the directory cannot be written at present, through no fault of the settings: no room, no descriptors,
    /// or a file system that was made read-only. Downloads can go on without it.
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            Self::Io { source, .. } => {
                matches!(
                    source.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
                ) || matches!(source.raw_os_error(), Some(EMFILE | ENFILE | EIO))
            }
            Self::Index(error) => matches!(
                error.sqlite_error_code(),
                Some(Code::DiskFull | Code::SystemIoFailure | Code::CannotOpen | Code::DatabaseBusy)
            ),
            _ => false,
        }
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
            Self::Index(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) => {
                "free some space, or run `larder cache gc --max-size SIZE`"
            }
            Self::Index(_) if self.is_passing() => "check the disk and the directory, or choose another",
            Self::Index(_) | Self::Damaged(_) => {
                "run `larder cache verify --repair`; deleting the cache directory costs only downloads"
            }
            Self::Stopped(_) => "please report this",
            Self::TooLarge(_) => "give the cache more room, or fetch it past the cache",
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
    /// Fair to who waits while it was held long: many who enter bodies, and one who makes room for them.
    writer: parking_lot::Mutex<Connection>,
    /// The line of those who enter bodies: one of them at a time waits for the writer.
    line: parking_lot::Mutex<()>,
    reader: Mutex<Connection>,
    /// Of the index's file; 0 where it could not be told.
    inode: AtomicU64,
    /// The file system.
    device: Option<u64>,
    session: RwLock<Option<Session>>,
}

impl Drop for Store {
    fn drop(&mut self) {
        if Arc::strong_count(&self.inner) == 1 {
            let _ = self.settle();
        }
    }
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
        make_directories(&root)?;
        refuse_network(dir)?;
        // SQLite would only say that it cannot open a file.
        rustix::fs::access(&root, Access::WRITE_OK).map_err(|error| StoreError::io("write to", &root, error.into()))?;
        write_tag(dir)?;
        let path = root.join("index.sqlite");
        let writer = schema::open(&path, dir).map_err(|error| unwritable(error, &path))?;
        let reader = schema::open(&path, dir)?;
        // The files that SQLite made just now.
        blob::sync_dir(&root)?;
        let inode = AtomicU64::new(rebuild::inode(&root).unwrap_or(0));
        let device = rebuild::device(&root);
        let inner = Inner {
            root,
            writer: writer.into(),
            line: parking_lot::Mutex::default(),
            reader: reader.into(),
            inode,
            device,
            session: RwLock::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
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
        let tmp = self.inner.root.join("tmp");
        match BlobWriter::create(&tmp) {
            Err(StoreError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && self.follow_replaced_index()? =>
            {
                BlobWriter::create(&tmp)
            }
            other => other,
        }
    }

    /// A connection of one's own, for what takes long: look-ups of requests go on beside it.
    pub(crate) fn reader(&self) -> Result<Connection, StoreError> {
        schema::open_to_read(&self.inner.root.join("index.sqlite"))
    }

    fn session(&self) -> &RwLock<Option<Session>> {
        &self.inner.session
    }

    fn inode(&self) -> Option<u64> {
        Some(self.inner.inode.load(Ordering::Relaxed)).filter(|&inode| inode != 0)
    }

    fn set_inode(&self) {
        self.inner.inode.store(rebuild::inode(self.root()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Nobody should hold it for longer than [`HOLD`].
    pub(crate) fn write_index(&self) -> parking_lot::MutexGuard<'_, Connection> {
        self.inner.writer.lock()
    }

    /// To be held by who enters a body, from before they take the index until they give it back. Otherwise whoever makes
    /// room would wait for a hundred of them each time, and the cache would grow while room is made.
    fn line(&self) -> parking_lot::MutexGuard<'_, ()> {
        self.inner.line.lock()
    }

    pub(crate) fn read_index(&self) -> MutexGuard<'_, Connection> {
        self.inner.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_directories(root: &Path) -> Result<(), StoreError> {
    for path in [root, &root.join("tmp"), &root.join("content-v2")] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| StoreError::io("make the directory", path, error))?;
    }
    Ok(())
}

fn write_tag(dir: &Path) -> Result<(), StoreError> {
    let tag = dir.join("CACHEDIR.TAG");
    if tag.exists() {
        return Ok(());
    }
    fs::write(&tag, TAG).map_err(|error| StoreError::io("write", &tag, error))
}

/// A damaged head of the index can say that it must not be written.
fn unwritable(error: StoreError, path: &Path) -> StoreError {
    let read_only = matches!(&error, StoreError::Index(error)
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ReadOnly));
    if read_only && rustix::fs::access(path, Access::WRITE_OK).is_ok() {
        return StoreError::Damaged("its head says that it must not be written".to_owned());
    }
    error
}

/// SQLite's WAL needs shared memory between the processes, which network file systems do not give.
fn refuse_network(dir: &Path) -> Result<(), StoreError> {
    let found = network_file_system(dir).map_err(|error| StoreError::io("examine", dir, error))?;
    found.map_or(Ok(()), |kind| Err(StoreError::Network { path: dir.to_owned(), kind }))
}

/// Every stored URL with the rule it came under, of the cache in `dir`; none where there is no cache. Writes nothing.
pub fn urls(dir: &Path) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let path = dir.join(FORMAT).join("index.sqlite");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let index = schema::open_to_read(&path)?;
    let mut statement = index.prepare("SELECT url, rule FROM entry")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The kind of network file system a directory is on, if it is on one.
pub fn network_file_system(dir: &Path) -> io::Result<Option<&'static str>> {
    let found = rustix::fs::statfs(dir)?;
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "magic numbers are 32 bits wide")]
    let magic = found.f_type as u32;
    Ok(kind_of(magic))
}

/// By its magic number (statfs(2)).
fn kind_of(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x0000_6969 => "NFS",
        0xff53_4d42 => "CIFS",
        0xfe53_4d42 | 0x0000_517b => "SMB",
        0x0102_1997 => "9p",
        0x5346_414f => "AFS",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x4750_4653 => "GPFS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
