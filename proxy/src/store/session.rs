//! Who writes to the store, and what is left of those who were killed.
//!
//! A process that stores something holds a locked file of its own in `tmp` for as long as blobs and rows may differ.
//! Whoever finds one without a lock knows that a process (or the machine) died, and looks for what it left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLockReadGuard};

use rustix::fs::{FlockOperation, flock};

use super::blob::{create_locked, sync_dir};
use super::{Store, StoreError, import};

const SUFFIX: &str = ".session";

/// The mark of a process that writes.
pub(crate) struct Session {
    path: PathBuf,
    _locked: File,
}

/// Files in `tmp` whose writers are no more.
#[derive(Default)]
pub(super) struct Left {
    pub blobs: Vec<PathBuf>,
    pub sessions: Vec<PathBuf>,
    /// Directories, of which some may be of imports, and of those some of dead ones.
    pub imports: Vec<PathBuf>,
}

impl Session {
    fn begin(tmp: &Path) -> Result<Self, StoreError> {
        let (locked, path) = create_locked(tmp, SUFFIX)?;
        sync_dir(tmp)?;
        Ok(Self { path, _locked: locked })
    }

    fn end(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Leaves the mark of one who died, so that somebody looks at what is there.
pub(super) fn leave_mark(tmp: &Path) -> Result<(), StoreError> {
    let (_, _path) = create_locked(tmp, SUFFIX)?;
    sync_dir(tmp)
}

pub(super) fn left_behind(tmp: &Path) -> Result<Left, StoreError> {
    let mut left = Left::default();
    let entries = fs::read_dir(tmp).map_err(|error| StoreError::io("read", tmp, error))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            left.imports.push(path);
            continue;
        }
        // Writers make no other kinds; what else somebody put here is not ours to remove.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let session = path.to_str().is_some_and(|path| path.ends_with(SUFFIX));
            if session { &mut left.sessions } else { &mut left.blobs }.push(path);
        }
    }
    Ok(left)
}

impl Store {
    fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// Removes temporary files whose writer is no more; with `dry_run` counts them only.
    pub(crate) fn sweep(&self, dry_run: bool) -> Result<Vec<PathBuf>, StoreError> {
        let Left { blobs: mut left, imports, .. } = left_behind(&self.tmp())?;
        if !dry_run {
            for path in &left {
                remove(path)?;
            }
        }
        left.extend(imports.into_iter().filter(|dir| import::sweep(dir, dry_run)));
        Ok(left)
    }

    /// Whether a process died while it wrote, and nobody has looked since at what it left ([`Store::recover`]).
    pub fn needs_recovery(&self) -> bool {
        left_behind(&self.tmp()).is_ok_and(|left| !left.sessions.is_empty())
    }

    /// The marks of those who died.
    pub(super) fn dead_sessions(&self) -> Result<Vec<PathBuf>, StoreError> {
        Ok(left_behind(&self.tmp())?.sessions)
    }

    /// Says that this process writes, for as long as the guard lives and until all is settled.
    pub(crate) fn writing(&self) -> Result<RwLockReadGuard<'_, Option<Session>>, StoreError> {
        loop {
            let session = self.session().read().unwrap_or_else(PoisonError::into_inner);
            if session.is_some() {
                return Ok(session);
            }
            drop(session);
            let mut session = self.session().write().unwrap_or_else(PoisonError::into_inner);
            if session.is_none() {
                *session = Some(Session::begin(&self.tmp())?);
            }
        }
    }

    /// Makes all that was stored durable, and says that nothing is being written. The next blob begins anew.
    pub fn settle(&self) -> Result<(), StoreError> {
        // Who is writing now settles later.
        let Ok(mut session) = self.session().try_write() else { return Ok(()) };
        if session.is_some() {
            self.sync_index()?;
            session.take().into_iter().for_each(Session::end);
        }
        Ok(())
    }

    /// Makes what was committed to the index durable. A commit alone is not, for speed: after a power cut the last
    /// ones may be missing. What must not come back, or not be missed, waits for this.
    pub(super) fn sync_index(&self) -> Result<(), StoreError> {
        let path = self.root().join("index.sqlite-wal");
        match File::open(&path).and_then(|file| file.sync_data()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("write", &path, error)),
            _ => Ok(()),
        }
    }
}

/// Removes a file; another may have been faster.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path, error)),
        _ => Ok(()),
    }
}
