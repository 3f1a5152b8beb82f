//! The folder the interception CA is kept in: readable by its owner only, and shared by processes under a lock.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use crate::error::CaError;

/// Key and certificate in one file, so that the two always belong together.
const FILE: &str = "ca.pem";

/// The folder, with its lock held.
pub(crate) struct CaDir {
    dir: PathBuf,
    _lock: File,
}

impl CaDir {
    /// Makes the folder where it is missing, refuses one that others may read, and waits for the lock.
    pub(crate) fn open(dir: &Path) -> Result<Self, CaError> {
        if let Some(parent) = dir.parent() {
            fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        }
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io_error("create", dir)(error)),
            _ => {}
        }
        let meta = fs::symlink_metadata(dir).map_err(io_error("look at", dir))?;
        if !meta.is_dir() {
            return Err(io_error("use", dir)(io::ErrorKind::NotADirectory.into()));
        }
        check(dir, &meta, 0o700)?;
        let path = dir.join("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(io_error("open", &path))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)
            .map_err(|errno| io_error("lock", &path)(errno.into()))?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// What is kept there, if anything.
    pub(crate) fn read(&self) -> Result<Option<String>, CaError> {
        let path = self.dir.join(FILE);
        // Not through a link: another's file must not become the CA.
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        check(&path, &file.metadata().map_err(io_error("look at", &path))?, 0o600)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io_error("read", &path))?;
        Ok(Some(text))
    }

    /// Puts new content in place, whole or not at all.
    pub(crate) fn write(&self, text: &str) -> Result<(), CaError> {
        let temporary = self.dir.join("ca.pem.new");
        // Left by a process that was killed; the lock says nobody else is writing it.
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(io_error("create", &temporary))?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io_error("write", &temporary))?;
        let path = self.dir.join(FILE);
        fs::rename(&temporary, &path).map_err(io_error("write", &path))
    }

    /// Puts the certificate alone beside it, for tools that are given a file.
    pub(crate) fn publish(&self, certificate: &str) -> Result<(), CaError> {
        let path = self.dir.join("ca-certificate.pem");
        if fs::read(&path).is_ok_and(|old| old == certificate.as_bytes()) {
            return Ok(());
        }
        let temporary = self.dir.join("ca-certificate.pem.new");
        fs::write(&temporary, certificate).map_err(io_error("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(io_error("write", &path))
    }
}

fn check(path: &Path, meta: &fs::Metadata, wanted: u32) -> Result<(), CaError> {
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() != own {
        return Err(CaError::ForeignOwner { path: path.to_owned(), owner: meta.uid() });
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(CaError::Exposed { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_owned();
    move |source| CaError::Io { action, path, source }
}
